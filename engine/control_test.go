package engine_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

func TestControlOfUnknownProjections(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := b.engine(tally(projection.Options{}))
	ctx := t.Context()
	for name, err := range map[string]error{
		"Pause": e.Pause(ctx, "nobody", "why"), "Resume": e.Resume(ctx, "nobody"),
		"Rewind": e.Rewind(ctx, "nobody", store.AtPosition(1)), "Rebuild": e.Rebuild(ctx, "nobody"),
		"Retry": e.Retry(ctx, "nobody", ""), "Skip": e.Skip(ctx, "nobody", "k", 1), "ReleaseLease": e.ReleaseLease(ctx, "nobody"),
		"Rebuild before the first run": e.Rebuild(ctx, "tally"), "Skip before the first run": e.Skip(ctx, "tally", "k", 1),
	} {
		if !errors.Is(err, engine.ErrUnknown) {
			t.Errorf("%s: %v, want ErrUnknown", name, err)
		}
	}
	if err := e.Pause(ctx, "tally", ""); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("Pause without a reason: %v", err)
	}
	if err := e.Skip(ctx, "tally", "k", 0); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("Skip of position 0: %v", err)
	}
}

func TestAPauseSurvivesARestart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := tally(projection.Options{})
	b.must(b.engine(m).Pause(t.Context(), "tally", "before the first run"))
	r := b.run(b.engine(m))
	pos := b.append("a", Added{1})
	wantState(t, r.Wait(t.Context(), m, pos), "paused")
	b.must(r.stop())
	r = b.run(b.engine(m))
	wantState(t, r.Wait(t.Context(), m, pos), "paused")
	if st := b.status(r.Engine, "tally"); st.State != "paused" || st.Subscriber.Paused != "before the first run" || st.Subscriber.Checkpoint != 0 {
		t.Fatalf("the status is %+v", st)
	}
	b.must(r.Resume(t.Context(), "tally"))
	b.must(r.Wait(t.Context(), m, pos))
}

func TestAHaltSurvivesARestartUntilResume(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var mended atomic.Bool
	m := projection.NewModel("tally", projection.Fold(func(t *Tally, e Added, _ event.Event) error {
		if !mended.Load() {
			return projection.Halt(errors.New("broken"))
		}
		t.N += e.N
		return nil
	}))
	r := b.run(b.engine(m))
	pos := b.append("a", Added{1})
	wantState(t, r.Wait(t.Context(), m, pos), "halted")
	b.must(r.stop())
	mended.Store(true)
	r = b.run(b.engine(m))
	wantState(t, r.Wait(t.Context(), m, pos), "halted")
	b.must(r.Resume(t.Context(), "tally"))
	b.must(r.Wait(t.Context(), m, pos))
}

// picky parks what it is told to.
type picky struct {
	effect
	refuse atomic.Bool
}

func (p *picky) projection(o projection.Options) *projection.Effect {
	o.Start = store.AtPosition(1)
	return projection.NewEffect("picky", projection.On(func(ctx context.Context, e Added, ev event.Event) error {
		if e.N < 0 && p.refuse.Load() {
			return projection.Park(errors.New("negative"))
		}
		return p.handle(ctx, e, ev)
	})).With(o)
}

func TestRetryHandlesParkedEventsInOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var p picky
	p.refuse.Store(true)
	def := p.projection(projection.Options{})
	r := b.run(b.engine(def))
	b.must(r.Wait(t.Context(), def, b.append("a", Added{1}, Added{-2}, Added{3})))
	b.must(r.Wait(t.Context(), def, b.append("b", Added{4})))
	if got := p.handled(); !slices.Equal(got, []int{1, 4}) {
		t.Fatalf("handled %v", got)
	}
	if st := b.status(r.Engine, "picky"); st.Parked != 1 && st.Parked != 2 || st.ParkedSince.IsZero() {
		t.Errorf("the status is %+v", st)
	}
	p.refuse.Store(false)
	b.must(r.Retry(t.Context(), "picky", "a"))
	b.until("the parked events are handled", func() bool { return len(p.handled()) == 4 })
	if got := p.handled(); !slices.Equal(got, []int{1, 4, -2, 3}) {
		t.Errorf("handled %v, want the parked ones in order", got)
	}
	b.until("nothing is parked", func() bool { return b.status(r.Engine, "picky").Parked == 0 })
}

func TestRetryOnTheEngineThatStandsBy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var p picky
	p.refuse.Store(true)
	def := p.projection(projection.Options{})
	first := b.run(b.engine(def))
	b.must(first.Wait(t.Context(), def, b.append("a", Added{-1})))
	second := b.run(b.engine(def))
	b.until("the second one stands by", func() bool { return b.status(second.Engine, "picky").State == "standby" })
	p.refuse.Store(false)
	b.must(second.Retry(t.Context(), "picky", "a"))
	b.until("the parked event is handled", func() bool { return len(p.handled()) == 1 })
}

func TestRetryIsRememberedWhileNothingRuns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var p picky
	p.refuse.Store(true)
	def := p.projection(projection.Options{})
	b.append("a", Added{-1})
	e := b.engine(def)
	b.must(e.CatchUp(t.Context()))
	p.refuse.Store(false)
	b.must(e.Retry(t.Context(), "picky", ""))
	b.run(e)
	b.until("the parked event is handled", func() bool { return len(p.handled()) == 1 })
}

func TestSkipLetsTheEventsBehindGoOn(t *testing.T) {
	t.Parallel()
	for _, runs := range []bool{true, false} {
		t.Run(map[bool]string{true: "while it runs", false: "while nothing runs"}[runs], func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			var p picky
			p.refuse.Store(true)
			def := p.projection(projection.Options{})
			first := b.append("a", Added{-1}, Added{2}) - 1
			e := b.engine(def)
			b.must(e.CatchUp(t.Context()))
			if runs {
				b.run(e)
				b.until("it is live", func() bool { return b.status(e, "picky").State == "live" })
			}
			b.must(e.Skip(t.Context(), "picky", "a", first))
			if !runs {
				b.run(e)
			}
			b.until("the event behind is handled", func() bool { return slices.Equal(p.handled(), []int{2}) })
			st := b.status(e, "picky")
			if want := []store.Skip{{Key: "a", Position: first}}; !slices.Equal(st.Row.Skips, want) {
				t.Errorf("the skips are %v, want %v", st.Row.Skips, want)
			}
			if err := e.Skip(t.Context(), "picky", "a", first+1); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("skipping what was handled: %v", err)
			}
		})
	}
}

func TestSkipGetsPastTheEventThatHalted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := projection.NewModel("tally", projection.Fold(func(t *Tally, e Added, _ event.Event) error {
		if e.N < 0 {
			return projection.Halt(errors.New("negative"))
		}
		t.N += e.N
		return nil
	}))
	bad := b.append("a", Added{1}, Added{-1}, Added{1}) - 1
	r := b.run(b.engine(m))
	wantState(t, r.Wait(t.Context(), m, bad), "halted")
	b.must(r.Skip(t.Context(), "tally", "a", bad))
	b.must(r.Resume(t.Context(), "tally"))
	b.must(r.Wait(t.Context(), m, bad+1))
	if n := b.tally(m, "a"); n != 2 {
		t.Errorf("the tally is %d, want 2", n)
	}
}

func TestSkipOnTheEngineThatStandsBy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var p picky
	p.refuse.Store(true)
	def := p.projection(projection.Options{})
	bad := b.append("a", Added{-1})
	config := engine.Config{Projections: []projection.Projection{def}, LeaseTTL: 300 * time.Millisecond, ShutdownTimeout: time.Second}
	first := b.run(b.engineWith(config))
	b.must(first.Wait(t.Context(), def, bad))
	second := b.run(b.engineWith(config))
	b.until("the second one stands by", func() bool { return b.status(second.Engine, "picky").State == "standby" })
	b.must(second.Skip(t.Context(), "picky", "a", bad))
	b.until("nothing is parked", func() bool { return b.status(second.Engine, "picky").Parked == 0 })
	b.must(second.Wait(t.Context(), def, b.append("a", Added{2})))
	if got := p.handled(); !slices.Equal(got, []int{2}) {
		t.Errorf("handled %v", got)
	}
}

func TestRewindRepeatsAnEffectThatAllowsIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var f effect
	p := f.projection(projection.Options{Repeat: true})
	r := b.run(b.engine(p))
	pos := b.append("a", Added{1}, Added{2}, Added{3})
	b.must(r.Wait(t.Context(), p, pos))
	b.must(r.Rewind(t.Context(), "effect", store.AtPosition(2)))
	b.must(r.Wait(t.Context(), p, pos))
	if got := f.handled(); !slices.Equal(got, []int{1, 2, 3, 2, 3}) {
		t.Errorf("handled %v", got)
	}
	if err := r.Rewind(t.Context(), "effect", store.AtPosition(100)); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a rewind forward: %v", err)
	}
	b.must(r.Wait(t.Context(), p, b.append("a", Added{4}))) // it goes on after a refusal
}

// A subscriber that never ran begins at its Start, one that was set back to 0 does not.
func TestRewindGoesBackBehindTheStart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.append("a", Added{1}, Added{2})
	var f effect
	p := f.projection(projection.Options{Repeat: true, Start: store.AtHead()})
	r := b.run(b.engine(p))
	b.until("it is live", func() bool { return b.status(r.Engine, "effect").State == "live" })
	pos := b.append("a", Added{3})
	b.must(r.Wait(t.Context(), p, pos))
	b.must(r.Rewind(t.Context(), "effect", store.AtPosition(1)))
	b.must(r.Wait(t.Context(), p, pos))
	if got := f.handled(); !slices.Equal(got, []int{3, 1, 2, 3}) {
		t.Errorf("handled %v", got)
	}
}

// The other engine stands by for the lease, and must not get it in the middle.
func TestRewindWithAnotherEngineInWait(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var f effect
	p := f.projection(projection.Options{Repeat: true})
	first, second := b.run(b.engine(p)), b.run(b.engine(p))
	pos := b.append("a", Added{1}, Added{2})
	b.must(first.Wait(t.Context(), p, pos))
	for i := range 6 {
		began := time.Now()
		b.must([]*running{first, second}[i%2].Rewind(t.Context(), "effect", store.AtPosition(2)))
		if took := time.Since(began); took > engine.DefaultLeaseTTL {
			t.Errorf("the rewind took %v, although nothing was at hand", took)
		}
		b.until("the event is repeated", func() bool { return len(f.handled()) == 3+i })
	}
	if got := f.handled(); !slices.Equal(got, []int{1, 2, 2, 2, 2, 2, 2, 2}) {
		t.Errorf("handled %v", got)
	}
}

// The worker of the other engine finishes what it has at hand.
func TestRewindWaitsForTheHandlerOfAnotherEngine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		var calls, cut atomic.Int32
		p := projection.NewEffect("slow", projection.On(func(ctx context.Context, _ Added, _ event.Event) error {
			calls.Add(1)
			select {
			case <-time.After(5 * time.Second):
			case <-ctx.Done():
				cut.Add(1)
			}
			return nil
		})).With(projection.Options{Start: store.AtPosition(1), Repeat: true})
		pos := b.append("a", Added{1})
		b.run(b.engine(p))
		b.until("the handler is at work", func() bool { return calls.Load() == 1 })
		second := b.run(b.engine(p))
		b.must(second.Rewind(t.Context(), "slow", store.AtPosition(1)))
		b.must(second.Wait(t.Context(), p, pos))
		if calls.Load() != 2 || cut.Load() != 0 {
			t.Errorf("%d calls, of which %d were cut short; want 2, none", calls.Load(), cut.Load())
		}
	})
}

func TestRewindIsRefusedWhereItWouldHarm(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := tally(projection.Options{})
	sink := projection.NewSink("rows", target{}, store.Match{Aggregate: Counters})
	e := b.engine(m, new(effect).projection(projection.Options{}), sink)
	b.append("a", Added{1})
	b.must(e.CatchUp(t.Context()))
	if err := e.Rewind(t.Context(), "tally", store.AtPosition(1)); !errors.Is(err, projection.ErrUseRebuild) {
		t.Errorf("a model: %v", err)
	}
	if err := e.Rewind(t.Context(), "effect", store.AtPosition(1)); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("an effect without Repeat: %v", err)
	}
	if err := e.Rewind(t.Context(), "rows", store.AtPosition(1)); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a sink without Reset: %v", err)
	}
	if err := e.Rebuild(t.Context(), "effect"); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a rebuild of an effect: %v", err)
	}
	if err := e.Rebuild(t.Context(), "rows"); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a rebuild of a sink without Reset: %v", err)
	}
}

// A worker that has frozen past its TTL is fenced: what it does later is refused, and its
// handler's context ends.
func TestReleaseLeaseFencesAFrozenWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		causes := make(chan error, 2)
		var calls atomic.Int32
		p := projection.NewEffect("frozen", projection.On(func(ctx context.Context, _ Added, _ event.Event) error {
			if calls.Add(1) > 1 {
				return nil
			}
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return nil // it believes that it is done
		})).With(projection.Options{Start: store.AtPosition(1)})
		pos := b.append("a", Added{1})
		first := b.run(b.engine(p))
		b.until("the handler is at work", func() bool { return calls.Load() == 1 })
		second := b.run(b.engine(p))
		b.must(second.ReleaseLease(t.Context(), "frozen"))
		b.must(second.Wait(t.Context(), p, pos))
		if cause := <-causes; !errors.Is(cause, store.ErrLeaseLost) {
			t.Errorf("the frozen handler's context ended with %v", cause)
		}
		if n := calls.Load(); n != 2 {
			t.Errorf("%d calls, want the frozen one and its repetition", n)
		}
		b.must(first.Wait(t.Context(), p, b.append("a", Added{1})))
	})
}

func TestDeleteForgetsAnOrphanOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := tally(projection.Options{})
	b.append("a", Added{1})
	first := b.engine(m)
	b.must(first.CatchUp(t.Context()))
	if err := first.Delete(t.Context(), "tally"); !errors.Is(err, engine.ErrRunning) {
		t.Fatalf("deleting what is wanted: %v", err)
	}
	e := b.engine()
	if st := b.status(e, "tally"); st.State != engine.Orphaned || st.Kind != "model" || st.Subscriber.Checkpoint != 1 {
		t.Fatalf("the status is %+v", st)
	}
	b.must(e.Delete(t.Context(), "tally"))
	if _, err := m.Get(t.Context(), b.store, "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a state of the deleted model: %v", err)
	}
	all, err := e.Status(t.Context())
	if err != nil || len(all) != 0 {
		t.Errorf("the status is %v, %v", all, err)
	}
	again := b.engine(m)
	b.must(again.CatchUp(t.Context()))
	st := b.status(again, "tally")
	if st.Row.Active != 1 || b.tally(m, "a") != 1 {
		t.Errorf("the new one is generation %d; numbers must not come twice", st.Row.Active)
	}
	if err := e.Delete(t.Context(), "nobody"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("deleting nothing: %v", err)
	}
}
