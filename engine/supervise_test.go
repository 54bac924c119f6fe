package engine_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// trap is a log handler that panics in the worker's own goroutine when the worker starts:
// any fault of the worker itself.
type trap struct {
	slog.Handler
	armed  atomic.Bool
	sprung atomic.Int64
}

func (h *trap) Enabled(context.Context, slog.Level) bool { return true }

func (h *trap) WithAttrs([]slog.Attr) slog.Handler { return h }

func (h *trap) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "to" && a.Value.String() == "starting" && h.armed.Load() {
			h.sprung.Add(1)
			panic("trapped")
		}
		return true
	})
	return nil
}

func TestAWorkerThatPanicsIsStartedAgainForAsLongAsItIsWanted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &trap{Handler: slog.DiscardHandler}
		h.armed.Store(true)
		b := setupWith(t, store.Options{Logger: slog.New(h)})
		m := tally(projection.Options{})
		r := b.run(b.engine(m))
		time.Sleep(time.Hour)
		if n := h.sprung.Load(); n < 60 || n > 1000 {
			t.Fatalf("%d restarts in an hour; want them later and later, but at least each minute", n)
		}
		st := b.status(r.Engine, "tally")
		if st.Err == nil || !strings.Contains(st.Err.Error(), "trapped") || st.Restarts < 60 {
			t.Fatalf("the status says nothing of it: restarts %d, error %v", st.Restarts, st.Err)
		}
		h.armed.Store(false)
		began := time.Now()
		b.must(r.Wait(t.Context(), m, b.append("a", Added{1})))
		if took := time.Since(began); took > time.Minute {
			t.Errorf("it took %v to go on", took)
		}
	})
}

func TestALostLeaseIsClaimedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := tally(projection.Options{})
	r := b.run(b.engine(m))
	for range 5 {
		b.must(r.Wait(t.Context(), m, b.append("a", Added{1})))
		b.must(r.ReleaseLease(t.Context(), "tally"))
	}
	b.must(r.Wait(t.Context(), m, b.append("a", Added{1})))
	if n := b.tally(m, "a"); n != 6 {
		t.Fatalf("the tally is %d, want 6", n)
	}
}

// An idle worker of which nobody wants anything notices by the renewal that its lease is
// gone.
func TestOneTickerRenewsTheLeasesOfAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		m := tally(projection.Options{})
		var f effect
		entered, leave := make(chan struct{}), make(chan struct{})
		slow := projection.NewEffect("slow", projection.On(func(context.Context, Added, event.Event) error {
			close(entered)
			<-leave
			return nil
		})).With(projection.Options{Start: store.AtPosition(1)})
		pos := b.append("a", Added{1})
		fast := f.projection(projection.Options{})
		r := b.run(b.engine(m, fast, slow))
		<-entered
		b.must(r.Wait(t.Context(), m, pos))
		b.must(r.Wait(t.Context(), fast, pos))
		terms := func() (out []uint64) {
			for _, st := range []string{"tally", "effect", "slow"} {
				info := b.status(r.Engine, st).Subscriber
				if info.Worker.IsZero() {
					t.Errorf("nobody holds the lease of %s", st)
				}
				out = append(out, info.Term)
			}
			return out
		}
		before := terms()
		time.Sleep(10 * time.Minute) // 60 times the TTL, with a handler at work
		for i, term := range terms() {
			if term != before[i] {
				t.Errorf("the term rose from %d to %d: the lease was not kept", before[i], term)
			}
		}
		close(leave)
		b.must(r.Wait(t.Context(), slow, pos))
	})
}

// Leases that were claimed at different times run out at the same time: those of one engine
// are renewed in one go, at a third of the TTL.
func TestLeasesOfDifferentAgesAreRenewedTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		m := tally(projection.Options{})
		p := new(effect).projection(projection.Options{})
		r := b.run(b.engine(m, p))
		pos := b.append("a", Added{1})
		b.must(r.Wait(t.Context(), m, pos))
		b.must(r.Wait(t.Context(), p, pos))
		b.must(r.Pause(t.Context(), "effect", "to claim later"))
		b.until("it is paused", func() bool { return b.status(r.Engine, "effect").State == "paused" })
		time.Sleep(time.Second)
		b.must(r.Resume(t.Context(), "effect"))
		b.must(r.Wait(t.Context(), p, b.append("a", Added{1})))
		until := func(name string) time.Time { return b.status(r.Engine, name).Subscriber.Until }
		if until("tally").Equal(until("effect")) {
			t.Fatal("claimed at the same time: the test shows nothing")
		}
		time.Sleep(engine.DefaultLeaseTTL)
		for range 300 {
			time.Sleep(100 * time.Millisecond)
			if m, e := until("tally"), until("effect"); !m.Equal(e) {
				t.Fatalf("the leases run out %v apart", e.Sub(m))
			}
			if left := time.Until(until("tally")); left < engine.DefaultLeaseTTL*6/10 {
				t.Fatalf("only %v are left of a lease of %v", left, engine.DefaultLeaseTTL)
			}
		}
	})
}

func TestEnginesShareTheWorkAndHandOverAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		var f effect
		p := f.projection(projection.Options{})
		first := b.run(b.engine(p))
		b.must(first.Wait(t.Context(), p, b.append("a", Added{1})))
		second := b.run(b.engine(p))
		time.Sleep(time.Minute)
		if st := b.status(second.Engine, "effect").State; st != "standby" {
			t.Fatalf("the second one is %s", st)
		}
		b.must(first.stop())
		released := time.Now()
		b.must(second.Wait(t.Context(), p, b.append("a", Added{2})))
		if took := time.Since(released); took > 50*time.Millisecond {
			t.Errorf("the hand-over took %v", took)
		}
		if got := f.handled(); len(got) != 2 {
			t.Errorf("handled %v", got)
		}
	})
}

func TestTakeoverAsksTheHolderToDrain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := tally(projection.Options{})
	first := b.run(b.engine(m))
	b.must(first.Wait(t.Context(), m, b.append("a", Added{1})))
	second := b.run(b.engineWith(engine.Config{Projections: []projection.Projection{m}, Takeover: true, LeaseTTL: time.Second}))
	b.until("the second one works", func() bool { return b.status(second.Engine, "tally").State == "live" })
	b.until("the first one stands by", func() bool { return b.status(first.Engine, "tally").State == "standby" })
	b.must(second.Wait(t.Context(), m, b.append("a", Added{1})))
	b.must(second.stop())
	b.must(first.Wait(t.Context(), m, b.append("a", Added{1})))
	if n := b.tally(m, "a"); n != 3 {
		t.Fatalf("the tally is %d, want 3", n)
	}
}

// Everything that can happen to workers, at random: the model is the fold of the log, and
// every event was emitted for once.
func TestNothingIsLostOrDoubledWhateverHappensToWorkers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	m := tally(projection.Options{})
	echo := projection.NewEffect("echo", projection.On(func(ctx context.Context, e Added, ev event.Event) error {
		return projection.Emit(ctx, store.Batch{Stream: Counters.Stream("echo"), Expect: store.Any, Events: event.Of(Echoed{int(ev.Position)})})
	})).With(projection.Options{Start: store.AtPosition(1)})
	engines := func() *running { return b.run(b.engine(m, echo)) }
	running := []*running{engines(), engines()}
	stop := make(chan struct{})
	var appending sync.WaitGroup
	sum := 0
	appending.Go(func() {
		for sum < 4000 {
			select {
			case <-stop:
				return
			default:
			}
			sum++
			if _, err := b.store.Append(context.Background(), store.Batch{
				Stream: Counters.Stream("a"), Expect: store.Any, Events: event.Of(Added{1}),
			}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	ctx := t.Context()
	name := func() string { return []string{"tally", "echo"}[random.IntN(2)] }
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 300 {
		<-tick.C
		i := random.IntN(2)
		switch random.IntN(6) {
		case 0:
			b.must(running[i].stop())
			running[i] = engines()
		case 1:
			n := name()
			b.must(running[i].Pause(ctx, n, "at random"))
			b.must(running[1-i].Resume(ctx, n))
		case 2:
			if err := running[i].Rebuild(ctx, "tally"); err != nil && !errors.Is(err, engine.ErrUnavailable) && !errors.Is(err, engine.ErrUnknown) {
				t.Fatal(err)
			}
		default:
			b.must(running[i].ReleaseLease(ctx, name()))
		}
	}
	close(stop)
	appending.Wait()
	b.must(running[0].stop())
	b.must(running[1].stop())
	last := b.engine(m, echo)
	for _, n := range []string{"tally", "echo"} {
		b.must(last.Resume(ctx, n))
	}
	b.must(last.CatchUp(ctx))
	if n := b.tally(m, "a"); n != sum {
		t.Errorf("the tally is %d, want %d", n, sum)
	}
	echoes := map[int]int{}
	for ev, err := range b.store.Events(ctx, store.Query{Match: store.MatchTypes(Echoed{}.EventType())}) {
		b.must(err)
		e, err := event.Decode[Echoed](ev)
		b.must(err)
		echoes[e.N]++
	}
	if len(echoes) != sum {
		t.Errorf("%d events were answered, want %d", len(echoes), sum)
	}
	for pos, n := range echoes {
		if n != 1 {
			t.Errorf("the event at %d was answered %d times", pos, n)
		}
	}
}
