package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/crashfs"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// ordeal is one disk and the lives of the processes on it, one after the other, in each of
// which much happens to the workers.
type ordeal struct {
	*testing.T
	fs      *crashfs.FS
	zombies sync.WaitGroup // handlers that have not ended, also of lives that have
	acked   event.Position // what appends have answered
	ended   string         // how the last life has

	mu     sync.Mutex
	random *rand.Rand
	store  *store.Store   // of the present life
	is     map[string]int // what has happened
	calm   bool
}

// ordealTTL is the shortest lease there is.
const ordealTTL = 100 * time.Millisecond

// chance is true so many times of a thousand, until all is calm.
func (o *ordeal) chance(n int, what string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.calm || o.random.IntN(1000) >= n {
		return false
	}
	o.is[what]++
	return true
}

func (o *ordeal) intN(n int) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.random.IntN(n)
}

// faults is how many there were.
func (o *ordeal) faults() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, times := range o.is {
		n += times
	}
	return n
}

// inside is what happens in handlers.
func (o *ordeal) inside(name string) error {
	switch {
	case o.chance(1, "failure"):
		return errTrouble
	case o.chance(1, "panic of a handler"):
		panic(errTrouble)
	case o.chance(3, "pause longer than the lease"):
		// As after a freeze of the process: the lease has gone to somebody else, and the handler
		// wakes up and believes that it is still at work. It does not look at its context.
		o.zombies.Add(1)
		defer o.zombies.Done()
		o.mu.Lock()
		st := o.store
		o.mu.Unlock()
		for generation := range uint32(o.intN(16)) {
			_ = st.Subscriber(store.SubscriberKey{Projection: name, Generation: generation}).ReleaseLease(context.Background())
		}
		<-time.After(3 * ordealTTL / 2)
	}
	return nil
}

// Enabled, Handle, WithAttrs and WithGroup make an ordeal a log handler that panics now and
// then, in the goroutine of whoever logs: a worker that is killed by a fault of its own.
func (o *ordeal) Enabled(context.Context, slog.Level) bool { return true }
func (o *ordeal) WithAttrs([]slog.Attr) slog.Handler       { return o }
func (o *ordeal) WithGroup(string) slog.Handler            { return o }

func (o *ordeal) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "worker changed its state" && o.chance(60, "worker killed") {
		panic(errTrouble)
	}
	return nil
}

// open begins a life with two engines, one of which stands by. Their workers have so much
// time to drain.
func (o *ordeal) open(drain time.Duration) (*store.Store, []*engine.Engine) {
	o.Helper()
	st, err := pebblestore.Open("db", &pebblestore.Options{
		FS: o.fs, CacheSize: 8 << 20, FreeSpace: pebblestore.NoFreeSpaceCheck, Store: store.Options{Logger: slog.New(o)},
	})
	if err != nil {
		o.Fatal(err)
	}
	if head, err := st.Head(o.Context()); err != nil || head.Position < o.acked {
		o.Fatalf("the store has lost events: it ends at %d, an append has answered %d, after %s; %v", head.Position, o.acked, o.ended, err)
	}
	o.mu.Lock()
	o.store = st
	o.mu.Unlock()
	var engines []*engine.Engine
	for range 2 {
		e, err := engine.New(engine.Config{Store: st, Projections: books(o.inside), LeaseTTL: ordealTTL, ShutdownTimeout: drain})
		if err != nil {
			o.Fatal(err)
		}
		engines = append(engines, e)
	}
	return st, engines
}

// live is one life.
func (o *ordeal) live() {
	o.Helper()
	st, engines := o.open(50 * time.Millisecond)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, e := range engines {
		running.Go(func() {
			if err := e.Run(ctx); err != nil {
				if _, late := errors.AsType[*engine.ShutdownError](err); !late {
					o.Errorf("Run: %v", err)
				}
			}
		})
	}
	for range 5 + o.intN(15) {
		o.act(st, engines[o.intN(len(engines))])
	}
	var after *crashfs.FS
	if o.chance(600, "crash") {
		o.mu.Lock()
		percent := 50 * o.random.IntN(3)
		after = o.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: o.random})
		o.mu.Unlock()
		o.ended = fmt.Sprintf("a crash that left %d %% of what was not synced", percent)
	} else {
		o.ended = "an orderly end"
	}
	cancel()
	running.Wait()
	o.zombies.Wait() // a handler that is stuck would use a store that is closed
	if err := st.Close(); err != nil {
		o.Error(err)
	}
	if after != nil {
		o.fs = after
	}
}

// act is one thing that happens in a life.
func (o *ordeal) act(st *store.Store, e *engine.Engine) {
	o.Helper()
	ctx := o.Context()
	name := []string{"tally", "echo"}[o.intN(2)]
	var err error
	switch n := o.intN(100); {
	case n < 50:
		var res store.Result
		res, err = st.Append(ctx, store.Batch{Stream: Counters.Stream([]string{"a", "b", "c", "d"}[o.intN(4)]), Expect: store.Any, Events: o.events()})
		o.acked = max(o.acked, res.Position)
	case n < 70:
		<-time.After(time.Duration(o.intN(8)) * time.Millisecond)
	case n < 80:
		if err = e.ReleaseLease(ctx, name); err == nil {
			o.chance(1000, "theft")
		}
	case n < 89:
		if err = e.Rebuild(ctx, "tally"); err == nil {
			o.chance(1000, "rebuild")
		} else if errors.Is(err, engine.ErrUnavailable) || errors.Is(err, engine.ErrUnknown) {
			err = nil // one is under way, or nothing has run yet
			short, cancel := context.WithTimeout(ctx, 2*ordealTTL)
			_ = e.CatchUp(short) // it gets its chance to become active
			cancel()
		}
	case n < 92:
		err = e.Pause(ctx, name, "at random")
	default:
		err = errors.Join(e.Resume(ctx, "tally"), e.Resume(ctx, "echo"), e.Retry(ctx, name, ""))
	}
	if err != nil {
		o.Errorf("%v", err)
	}
}

func (o *ordeal) events() []event.Payload {
	all := make([]event.Payload, 1+o.intN(12))
	for i := range all {
		if all[i] = (Added{o.intN(100)}); o.intN(4) == 0 {
			all[i] = Noted{"of no interest"}
		}
	}
	return all
}

// Everything that can happen to workers and their processes, at random: the model is the
// fold of the log, and every event was answered once, in the order of its key.
func TestNothingIsLostOrDoubledWhateverIsKilled(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Log("seed", seed)
	o := &ordeal{T: t, fs: crashfs.New(), random: rand.New(rand.NewPCG(seed, 0)), is: map[string]int{}}
	for want := rounds(60, 500); o.faults() < want && !t.Failed(); {
		o.live()
	}
	o.mu.Lock()
	o.calm = true
	o.mu.Unlock()
	st, engines := o.open(0)
	settle(t, st, engines[0])
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	t.Log(o.is)
}
