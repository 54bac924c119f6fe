package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/crashfs"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/projection/sqlsink"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// ordeal is one database and the lives of the processes that write it, one after the other.
// Some end in order; the others lose what their store had not made durable, between the
// COMMIT of the database and the commit of the store too.
type ordeal struct {
	*testing.T
	db      *database
	sink    *projection.Sink
	fs      *crashfs.FS
	zombies sync.WaitGroup // handlers that have not ended, also of lives that have
	acked   event.Position // what appends have answered
	ended   string         // how the last life has

	mu  sync.Mutex
	rng *rand.Rand
	is  map[string]int // what has happened
}

// chance is true n times of a hundred.
func (o *ordeal) chance(n int, what string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.rng.IntN(1000) >= 10*n {
		return false
	}
	o.is[what]++
	return true
}

// happened returns how many faults there were.
func (o *ordeal) happened() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, times := range o.is {
		n += times
	}
	return n
}

func (o *ordeal) intN(n int) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.rng.IntN(n)
}

// inside makes handlers fail, in all the ways they can.
func (o *ordeal) inside(context.Context, *sql.Tx, event.Event) error {
	switch {
	case o.chance(2, "failure"):
		return errPoison
	case o.chance(1, "parked"):
		return projection.Park(errPoison)
	case o.chance(1, "panic"):
		panic(errPoison)
	case o.chance(1, "pause longer than a lease"):
		o.zombies.Add(1)
		defer o.zombies.Done()
		<-time.After(3 * ttl / 2) // it does not look at its context
	}
	return nil
}

const ttl = 100 * time.Millisecond

func (o *ordeal) commit() fault {
	switch {
	case o.chance(3, "COMMIT lost"):
		return before
	case o.chance(3, "answer to COMMIT lost"):
		return after
	}
	return none
}

// open begins a life. Workers have so much time to drain.
func (o *ordeal) open(drain time.Duration) (*store.Store, []*engine.Engine) {
	o.Helper()
	options := quiet()
	options.FS, options.FreeSpace = o.fs, pebblestore.NoFreeSpaceCheck
	st, err := pebblestore.Open("events", options)
	if err != nil {
		o.Fatal(err)
	}
	if head, err := st.Head(o.Context()); err != nil || head.Position < o.acked {
		o.Fatalf("the store has lost events: it ends at %d, an append has answered %d, after %s; %v", head.Position, o.acked, o.ended, err)
	}
	var engines []*engine.Engine
	for range 2 { // the second one stands by
		e, err := engine.New(engine.Config{Store: st, Projections: []projection.Projection{o.sink}, LeaseTTL: ttl, ShutdownTimeout: drain})
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
	for range 3 + o.intN(8) {
		o.act(st, engines[o.intN(len(engines))])
	}
	var after *crashfs.FS
	crash := func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		percent := 50 * o.rng.IntN(3)
		after = o.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: o.rng})
		o.ended = fmt.Sprintf("a crash that left %d %% of what was not synced", percent)
	}
	o.ended = "an orderly end"
	killed := o.chance(70, "crash")
	cancel()
	if killed && o.chance(50, "crash before the end of the workers") {
		// From here on the database takes nothing from them, as if the process had died: a row
		// that the copied disk does not have must not let the database go past its event.
		o.db.faults.set(func() fault { return before })
		crash()
	}
	running.Wait()
	o.db.faults.set(o.commit)
	if killed && after == nil {
		crash()
	}
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
	var err error
	switch n := o.intN(100); {
	case n < 45:
		var res store.Result
		res, err = st.Append(ctx, store.Batch{Stream: Accounts.Stream([]string{"ann", "bob", "eve", "joe"}[o.intN(4)]), Expect: store.Any, Events: o.events()})
		o.acked = max(o.acked, res.Position)
	case n < 70:
		o.watch()
	case n < 85:
		if err = e.ReleaseLease(ctx, "ledger"); err == nil {
			o.chance(100, "theft")
		}
	case n < 92:
		err = e.Retry(ctx, "ledger", "")
	default:
		var head store.Head
		if head, err = st.Head(ctx); err == nil && head.Position > 0 {
			err = e.Rewind(ctx, "ledger", store.AtPosition(1+event.Position(o.intN(int(head.Position)))))
		}
		switch {
		case err == nil:
			o.chance(100, "rewind")
		case errors.Is(err, store.ErrInvalid), errors.Is(err, engine.ErrUnknown), errors.Is(err, errCommit), errors.Is(err, store.ErrLeaseLost):
			err = nil // further than it is, too early, or met by a fault
		}
	}
	if err != nil {
		o.Errorf("%v", err)
	}
}

func (o *ordeal) events() []event.Payload {
	all := make([]event.Payload, 1+o.intN(12))
	for i := range all {
		if all[i] = (Added{int64(o.intN(100))}); o.intN(4) == 0 {
			all[i] = Noted{"of no interest"}
		}
	}
	return all
}

// watch waits until the workers have written some pages, if they do.
func (o *ordeal) watch() {
	enough := o.db.faults.commits.Load() + int64(1+o.intN(4))
	deadline := time.NewTimer(30 * time.Millisecond)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for o.db.faults.commits.Load() < enough {
		select {
		case <-tick.C:
		case <-deadline.C:
			return
		}
	}
}

func TestEveryEventIsAppliedOnceWhateverIsKilled(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		seed := rand.Uint64()
		t.Log("seed", seed)
		db.must(t, journalTables(db.dialect))
		l := &ledger{}
		o := &ordeal{
			T: t, db: db, fs: crashfs.New(), rng: rand.New(rand.NewPCG(seed, 0)), is: map[string]int{},
			sink: sqlsink.New("ledger", db.DB, db.dialect, l.handlers()...).With(projection.Options{
				PageSize: 6, Retry: projection.Retry{Initial: time.Millisecond, Max: 2 * time.Millisecond},
			}),
		}
		faults := 50
		switch {
		case *long:
			faults = 500
		case testing.Short():
			faults = 20
		}
		l.set(o.inside)
		db.faults.set(o.commit)
		for o.happened() < faults && !t.Failed() {
			o.live()
		}
		l.set(nil)
		db.faults.set(nil)
		o.settle()
		t.Log(o.is)
	})
}

// settle lets everything come to its end, without faults, and checks it.
func (o *ordeal) settle() {
	o.Helper()
	o.zombies.Wait()
	st, engines := o.open(0)
	defer func() {
		if err := st.Close(); err != nil {
			o.Error(err)
		}
	}()
	o.db.settle(o.T, st, engines[0])
}

// settle lets an engine handle everything that there is in a store, and compares the tables
// with it.
func (db *database) settle(t *testing.T, st *store.Store, e *engine.Engine) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		if err := e.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		all, err := e.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if all[0].Parked == 0 && all[0].Waiting == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("events are still set aside: %+v", all[0])
		}
		if err := e.Retry(t.Context(), "ledger", ""); err != nil {
			t.Fatal(err)
		}
	}
	want, err := logged(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	if len(want) == 0 {
		t.Fatal("nothing has happened")
	}
	db.check(t, want)
	db.checkOrder(t)
}
