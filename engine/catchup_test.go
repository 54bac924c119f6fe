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

// countdown emits a smaller number for each number above 0.
func countdown() *projection.Effect {
	return projection.NewEffect("countdown", projection.On(func(ctx context.Context, e Added, ev event.Event) error {
		if e.N == 0 {
			return nil
		}
		return projection.Emit(ctx, store.Batch{Stream: ev.Stream, Expect: store.Any, Events: event.Of(Added{e.N - 1})})
	})).With(projection.Options{Start: store.AtPosition(1)})
}

func TestCatchUpFollowsWhatWasEmittedOnTheWay(t *testing.T) {
	t.Parallel()
	for _, runs := range []bool{false, true} {
		t.Run(map[bool]string{false: "without Run", true: "during Run"}[runs], func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			m := tally(projection.Options{})
			e := b.engine(m, countdown())
			if runs {
				b.run(e)
			}
			b.append("a", Added{10})
			b.must(e.CatchUp(t.Context()))
			if n := b.tally(m, "a"); n != 55 {
				t.Errorf("the tally is %d, want 55: all that was emitted", n)
			}
		})
	}
}

func TestCatchUpGivesUpOnALoop(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := projection.NewEffect("loop", projection.On(func(ctx context.Context, _ Added, ev event.Event) error {
		return projection.Emit(ctx, store.Batch{Stream: ev.Stream, Expect: store.Any, Events: event.Of(Added{1})})
	})).With(projection.Options{Start: store.AtPosition(1)})
	b.append("a", Added{1})
	err := b.engine(p).CatchUp(t.Context())
	if loop, ok := errors.AsType[*engine.LoopError](err); !ok || loop.Rounds != 1000 {
		t.Fatalf("got %v", err)
	}
}

// An append that carries no causation is nobody's answer to an event.
func TestCatchUpDoesNotFollowWhatNoEventHasCaused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := projection.NewEffect("apart", projection.On(func(_ context.Context, e Added, _ event.Event) error {
		b.append("a", Added{e.N + 1}) // without the handler's context
		return nil
	})).With(projection.Options{Start: store.AtPosition(1)})
	b.append("a", Added{1})
	b.must(b.engine(p).CatchUp(t.Context()))
}

// Appends of others are not waited for, however many there are.
func TestCatchUpEndsUnderTraffic(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := tally(projection.Options{})
	stop := make(chan struct{})
	var traffic sync.WaitGroup
	for range 8 {
		traffic.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					b.append("a", Added{1})
				}
			}
		})
	}
	for range 5 {
		b.must(b.engine(m).CatchUp(t.Context()))
	}
	close(stop)
	traffic.Wait()
}

func TestCatchUpLeavesNothingRunning(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := tally(projection.Options{})
	e := b.engine(m)
	for i := range 3 {
		b.append("a", Added{1})
		b.must(e.CatchUp(t.Context()))
		if n := b.tally(m, "a"); n != i+1 {
			t.Fatalf("the tally is %d, want %d", n, i+1)
		}
		info, err := b.store.Subscriber(store.SubscriberKey{Projection: "tally"}).Info(t.Context())
		b.must(err)
		if !info.Worker.IsZero() {
			t.Fatal("a lease is held after CatchUp")
		}
	}
	b.must(b.run(e).Wait(t.Context(), m, b.append("a", Added{1}))) // and Run may follow
}

// Which of the two comes first is nobody's business.
func TestRunAndCatchUpAtTheSameTime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := tally(projection.Options{})
	for range 50 {
		r := b.run(b.engine(m))
		pos := b.append("a", Added{1})
		b.must(r.CatchUp(t.Context()))
		b.must(r.Wait(t.Context(), m, pos))
		b.must(r.stop())
	}
}

func TestCatchUpsShareTheWork(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := tally(projection.Options{})
	e := b.engine(m)
	b.append("a", Added{1})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := e.CatchUp(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestCatchUpReportsWhatCannotGetThere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := tally(projection.Options{})
	var f effect
	e := b.engine(f.projection(projection.Options{}), m)
	b.append("a", Added{1})
	b.must(e.Pause(t.Context(), "effect", "today"))
	if err := wantState(t, e.CatchUp(t.Context()), "paused"); err.Projection != "effect" {
		t.Errorf("the error is of %s", err.Projection)
	}
	if n := b.tally(m, "a"); n != 1 {
		t.Errorf("the others did not get there: %d", n)
	}
}

// Events that are set aside to be tried later do not hold CatchUp.
func TestCatchUpDoesNotWaitForRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		p := projection.NewEffect("later", projection.On(func(_ context.Context, e Added, _ event.Event) error {
			if e.N < 0 {
				return projection.RetryAfter(time.Hour, errors.New("not yet"))
			}
			return nil
		})).With(projection.Options{Start: store.AtPosition(1)})
		b.append("a", Added{-1})
		b.append("b", Added{1})
		began := time.Now()
		b.must(b.engine(p).CatchUp(t.Context()))
		if took := time.Since(began); took > time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}

func TestCatchUpEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		m := tally(projection.Options{Delay: time.Hour})
		b.append("a", Added{1})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := b.engine(m).CatchUp(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		b.must(b.engine(m).CatchUp(t.Context())) // the delay is waited for
	})
}

func TestCatchUpOfNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.must(b.engine(tally(projection.Options{})).CatchUp(t.Context()))
	b.must(b.engine().CatchUp(t.Context()))
}
