package engine_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

func TestWaitReadsYourWritesUnderLoad(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := tally(projection.Options{})
	r := b.run(b.engine(m))
	var clients sync.WaitGroup
	for _, id := range []string{"a", "b", "c", "d"} {
		clients.Go(func() {
			for i := 1; i <= 50; i++ {
				res, err := b.store.Append(t.Context(), store.Batch{
					Stream: Counters.Stream(id), Expect: store.Any, Events: event.Of(Added{1}),
				})
				if err == nil {
					err = r.Wait(t.Context(), m, res.Position)
				}
				if err != nil {
					t.Error(err)
					return
				}
				if s, err := m.Get(t.Context(), b.store, id); err != nil || s.Value.N < i {
					t.Errorf("%s is %d after the wait for %d: %v", id, s.Value.N, i, err)
					return
				}
			}
		})
	}
	clients.Wait()
}

func TestWaitCountsEventsThatConcernOthers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := tally(projection.Options{})
	r := b.run(b.engine(m))
	b.must(r.Wait(t.Context(), m, b.append("a", Added{1})))
	b.must(r.Wait(t.Context(), m, b.append("a", Noted{"nobody folds this"})))
}

func TestWaitBeforeRunWaitsForIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := tally(projection.Options{})
	e := b.engine(m)
	pos := b.append("a", Added{1})
	waited := make(chan error, 1)
	go func() { waited <- e.Wait(t.Context(), m, pos) }()
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := e.Wait(short, m, pos); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Wait before Run: %v", err)
	}
	b.run(e)
	b.must(<-waited)
}

func TestWaitAfterRunIsUnavailable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := tally(projection.Options{})
	r := b.run(b.engine(m))
	done := b.append("a", Added{1})
	b.must(r.Wait(t.Context(), m, done))
	waiting := make(chan error, 1)
	go func() { waiting <- r.Wait(context.Background(), m, done+1) }()
	b.must(r.stop())
	wantState(t, <-waiting, "stopped")
	wantState(t, r.Wait(t.Context(), m, done+1), "stopped")
	b.must(r.Wait(t.Context(), m, done)) // what is done is done
}

func TestWaitForWhatTheEngineDoesNotHave(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := b.engine(tally(projection.Options{}))
	if err := e.Wait(t.Context(), new(effect).projection(projection.Options{}), 1); !errors.Is(err, engine.ErrUnknown) {
		t.Errorf("unknown: %v", err)
	}
	if err := e.Wait(t.Context(), nil, 1); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("nil: %v", err)
	}
}

func TestWaitFailsAtOnceWhenPaused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := tally(projection.Options{})
	r := b.run(b.engine(m))
	b.must(r.Wait(t.Context(), m, b.append("a", Added{1})))
	pending := make(chan error, 1)
	go func() { pending <- r.Wait(context.Background(), m, 1000) }()
	b.must(r.Pause(t.Context(), "tally", "for the audit"))
	if e := wantState(t, <-pending, "paused"); e.Reason != "for the audit" {
		t.Errorf("the reason is %q", e.Reason)
	}
	pos := b.append("a", Added{1})
	wantState(t, r.Wait(t.Context(), m, pos), "paused")
	b.must(r.Resume(t.Context(), "tally"))
	b.must(r.Wait(t.Context(), m, pos)) // also when the worker has not noticed yet
}

func TestWaitFailsAtOnceWhenHalted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	broken := errors.New("broken")
	m := projection.NewModel("tally", projection.Fold(func(t *Tally, e Added, _ event.Event) error {
		if e.N < 0 {
			return projection.Halt(broken)
		}
		t.N += e.N
		return nil
	}))
	r := b.run(b.engine(m))
	b.must(r.Wait(t.Context(), m, b.append("a", Added{1})))
	wantState(t, r.Wait(t.Context(), m, b.append("a", Added{-1})), "halted")
}

func TestAHandlerCannotWaitForItself(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := tally(projection.Options{})
	var e *engine.Engine
	var self, others error
	ready := make(chan struct{})
	var p *projection.Effect
	p = projection.NewEffect("waiter", projection.On(func(ctx context.Context, _ Added, ev event.Event) error {
		<-ready
		self, others = e.Wait(ctx, p, ev.Position), e.Wait(ctx, other, ev.Position)
		return nil
	})).With(projection.Options{Start: store.AtPosition(1)})
	e = b.engine(p, other)
	close(ready)
	pos := b.append("a", Added{1})
	r := b.run(e)
	b.must(r.Wait(t.Context(), p, pos))
	if !errors.Is(self, projection.ErrWaitSelf) {
		t.Errorf("waiting for itself: %v", self)
	}
	if others != nil {
		t.Errorf("waiting for another one: %v", others)
	}
}

// An event that was set aside is handled, as far as a waiter is concerned.
func TestWaitDoesNotWaitForWhatIsSetAside(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := projection.NewModel("tally", projection.Fold(func(t *Tally, e Added, _ event.Event) error {
		if e.N < 0 {
			return projection.Park(errors.New("negative"))
		}
		t.N += e.N
		return nil
	}))
	r := b.run(b.engine(m))
	b.must(r.Wait(t.Context(), m, b.append("a", Added{1}, Added{-1}, Added{1})))
	s, err := m.Get(t.Context(), b.store, "a")
	b.must(err)
	if !s.Blocked || s.Value.N != 1 || s.Position != 1 {
		t.Fatalf("the state is %+v, want it blocked behind the first event", s)
	}
}

// The engine that does not hold the lease answers by what the other one commits.
func TestWaitOnTheEngineThatStandsBy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := tally(projection.Options{})
	first := b.run(b.engine(m))
	b.must(first.Wait(t.Context(), m, b.append("a", Added{1})))
	second := b.run(b.engine(m))
	b.until("the second one stands by", func() bool { return b.status(second.Engine, "tally").State == "standby" })
	b.must(second.Wait(t.Context(), m, b.append("a", Added{1})))
	b.must(second.Wait(t.Context(), m, b.append("a", Noted{"not folded"})))
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		m := tally(projection.Options{})
		r := b.run(b.engine(m))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		if err := r.Wait(ctx, m, 1); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Minute {
			t.Fatalf("after %v: %v", time.Since(began), err)
		}
	})
}
