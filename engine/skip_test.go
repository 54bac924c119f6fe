package engine_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// The worker of the engine that stands by was made before the skip was decided.
func TestASkipReachesTheEngineThatStandsBy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var f effect
	p := f.projection(projection.Options{})
	pos := b.append("a", Added{1})
	first := b.run(b.engine(p))
	b.must(first.Wait(t.Context(), p, pos))
	second := b.run(b.engine(p))
	b.must(second.Wait(t.Context(), p, pos)) // it has made its plan
	b.until("the second one stands by", func() bool { return b.status(second.Engine, "effect").State == "standby" })
	b.must(first.Skip(t.Context(), "effect", "a", pos+1)) // it is still to come
	b.must(first.stop())
	b.append("a", Added{2})
	b.must(second.Wait(t.Context(), p, b.append("a", Added{3})))
	if got := f.handled(); !slices.Equal(got, []int{1, 3}) {
		t.Errorf("handled %v: the second one is skipped", got)
	}
}

func TestOperatorsDoNotOverwriteWhatOthersDecide(t *testing.T) {
	t.Parallel()
	for range 20 {
		b := setup(t)
		m := tally(projection.Options{})
		pos := b.append("a", Added{1})
		b.must(b.engine(m).CatchUp(t.Context()))
		first, second := b.engine(m), b.engine(m)
		rebuilt := make(chan error, 1)
		go func() { rebuilt <- first.Rebuild(t.Context(), "tally") }()
		b.must(second.Skip(t.Context(), "tally", "a", pos+1))
		b.must(<-rebuilt)
		if st := b.status(first, "tally"); st.Rebuild == nil || len(st.Row.Skips) != 1 {
			t.Fatalf("the row is %+v", st.Row)
		}
	}
}

func TestWhatWasHandledCannotBeSkipped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := b.engine(tally(projection.Options{}))
	pos := b.append("a", Added{1})
	b.must(e.CatchUp(t.Context()))
	if err := e.Skip(t.Context(), "tally", "a", pos); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if st := b.status(e, "tally"); len(st.Row.Skips) != 0 {
		t.Errorf("later generations would skip %v", st.Row.Skips)
	}
}

func TestASinkDoesNotGetWhatIsSkipped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var s shelf
	p := projection.NewSink("rows", &s, store.Match{Aggregate: Counters})
	e := b.engine(p)
	pos := b.append("a", Added{1})
	b.must(e.CatchUp(t.Context()))
	b.must(e.Skip(t.Context(), "rows", "a", pos+1)) // it is still to come
	b.append("a", Added{2}, Added{3})
	b.must(e.CatchUp(t.Context()))
	if rows, _ := s.state(); !slices.Equal(rows, []event.Position{1, 3}) {
		t.Errorf("the target has %v", rows)
	}
}

// An event that is parked in the active generation halts a rebuild. Skipping it is for both.
func TestASkipGetsARebuildPastTheEventThatHaltedIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := projection.NewModel("tally", projection.Fold(func(t *Tally, e Added, _ event.Event) error {
		if e.N < 0 {
			return projection.Park(errors.New("negative"))
		}
		t.N += e.N
		return nil
	}))
	bad := b.append("a", Added{1}, Added{-1}, Added{1}) - 1
	r := b.run(b.engine(m))
	b.must(r.Wait(t.Context(), m, bad+1))
	b.must(r.Rebuild(t.Context(), "tally"))
	b.until("the rebuild has halted", func() bool {
		st := b.status(r.Engine, "tally")
		return st.Rebuild != nil && st.Rebuild.State == "halted"
	})
	b.must(r.Skip(t.Context(), "tally", "a", bad))
	b.must(r.Resume(t.Context(), "tally"))
	b.until("the rebuild is done", func() bool { return b.status(r.Engine, "tally").Row.Active == 1 })
	if n := b.tally(m, "a"); n != 2 {
		t.Errorf("the tally is %d, want 2", n)
	}
}

// What was skipped once is skipped by generations that come later, whatever their folds say.
func TestALaterGenerationHonoursASkip(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var mended atomic.Bool
	m := projection.NewModel("tally", projection.Fold(func(t *Tally, e Added, _ event.Event) error {
		if e.N < 0 && !mended.Load() {
			return projection.Park(errors.New("negative"))
		}
		t.N += e.N
		return nil
	}))
	bad := b.append("a", Added{1}, Added{-1}, Added{1}) - 1
	e := b.engine(m)
	b.must(e.CatchUp(t.Context()))
	b.must(e.Skip(t.Context(), "tally", "a", bad))
	mended.Store(true)
	b.must(e.Rebuild(t.Context(), "tally"))
	b.must(e.CatchUp(t.Context()))
	if st := b.status(e, "tally"); st.Row.Active != 1 {
		t.Fatalf("the row is %+v", st.Row)
	}
	if n := b.tally(m, "a"); n != 2 {
		t.Errorf("the tally is %d, want 2: the skipped event is counted", n)
	}
	info, err := b.store.Subscriber(store.SubscriberKey{Projection: "tally", Generation: 1}).Info(context.Background())
	if err != nil || info.Checkpoint != bad+1 {
		t.Errorf("the checkpoint is %d, %v", info.Checkpoint, err)
	}
}

// A rebuild under way that has handled the event already keeps it, and the next one does not.
func TestASkipDuringARebuildThatIsPastTheEventCountsForTheNextOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var mended, building atomic.Bool
	past, goOn := make(chan struct{}), make(chan struct{})
	m := projection.NewModel("tally", projection.Fold(func(t *Tally, e Added, _ event.Event) error {
		switch {
		case e.N < 0 && !mended.Load():
			return projection.Park(errors.New("negative"))
		case e.N == 10 && building.Swap(false):
			close(past)
			<-goOn
		}
		t.N += e.N
		return nil
	}))
	bad := b.append("a", Added{1}, Added{-1})
	last := b.append("b", Added{10})
	r := b.run(b.engine(m))
	b.must(r.Wait(t.Context(), m, last))
	mended.Store(true)
	building.Store(true)
	b.must(r.Rebuild(t.Context(), "tally"))
	<-past
	b.must(r.Skip(t.Context(), "tally", "a", bad))
	if n := b.tally(m, "a"); n != 1 {
		t.Errorf("the tally is %d after the Skip, want 1", n)
	}
	close(goOn)
	built := func(generation uint32, want int) {
		t.Helper()
		b.until("the next generation is active", func() bool {
			st := b.status(r.Engine, "tally")
			return st.Row.Active == generation && st.Rebuild == nil
		})
		if n := b.tally(m, "a"); n != want {
			t.Errorf("the tally of generation %d is %d, want %d", generation, n, want)
		}
	}
	built(1, 0)
	b.must(r.Rebuild(t.Context(), "tally"))
	built(2, 1)
}
