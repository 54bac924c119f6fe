package engine_test

import (
	"context"
	"errors"
	"fmt"
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

// Whoever changes what there is to expect, and on whichever engine: those who wait hear of
// it at once, without looking from time to time.
func TestWaitHearsOfWhatAnotherEngineDoes(t *testing.T) {
	t.Parallel()
	for name, act := range map[string]func(ctx context.Context, e *running) error{
		"pause": func(ctx context.Context, e *running) error { return e.Pause(ctx, "tally", "for the audit") },
		"halt": func(ctx context.Context, e *running) error {
			return e.Store().Subscriber(store.SubscriberKey{Projection: "tally"}).SetWish(ctx, func(w *store.Wish) error {
				w.Halted = "by another process"
				return nil
			})
		},
	} {
		for _, holds := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, on the engine that holds the lease: %v", name, holds), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					b := setup(t)
					m := tally(projection.Options{})
					first := b.run(b.engine(m))
					b.must(first.Wait(t.Context(), m, b.append("a", Added{1})))
					second := b.run(b.engine(m))
					b.until("the second one stands by", func() bool { return b.status(second.Engine, "tally").State == "standby" })
					waits, acts := first, second
					if !holds {
						waits, acts = second, first
					}
					answer := make(chan error, 1)
					go func() { answer <- waits.Wait(context.Background(), m, 1000) }()
					time.Sleep(time.Hour)
					began := time.Now()
					b.must(act(t.Context(), acts))
					if err := <-answer; !errors.Is(err, engine.ErrUnavailable) {
						t.Errorf("got %v", err)
					}
					if took := time.Since(began); took > 50*time.Millisecond {
						t.Errorf("the answer took %v", took)
					}
				})
			})
		}
	}
}

// A Wait goes on over everything that happens to workers, on two engines.
func TestWaitGoesOnOverLostLeasesRewindsAndSwitches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		m := tally(projection.Options{})
		engines := []*running{b.run(b.engine(m)), b.run(b.engine(m))}
		pos := b.append("a", Added{1})
		for _, e := range engines {
			b.must(e.Wait(t.Context(), m, pos))
		}
		for i := range 40 {
			answers, next := make(chan error, 4), pos+1
			for n := range cap(answers) {
				e := engines[n%2]
				go func() { answers <- e.Wait(context.Background(), m, next, engine.WaitThrough) }()
			}
			time.Sleep(time.Duration(i) * 7 * time.Millisecond)
			acts := engines[i/2%2]
			switch i % 4 {
			case 0:
				b.must(acts.ReleaseLease(t.Context(), "tally"))
			case 1:
				if err := acts.Rebuild(t.Context(), "tally"); !errors.Is(err, engine.ErrUnavailable) {
					b.must(err)
				}
			case 2:
				b.must(acts.stop())
				engines[i/2%2] = b.run(b.engine(m))
				// those who waited there have their answer
			}
			began := time.Now()
			pos = b.append("a", Added{1})
			for range cap(answers) {
				if err := <-answers; err != nil && !errors.Is(err, engine.ErrUnavailable) {
					t.Fatal(err)
				}
			}
			for _, e := range engines {
				b.must(e.Wait(t.Context(), m, pos, engine.WaitThrough))
			}
			if took := time.Since(began); took > engine.DefaultLeaseTTL {
				t.Errorf("round %d took %v", i, took)
			}
		}
	})
}
