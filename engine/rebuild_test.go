package engine_test

import (
	"context"
	"errors"
	"math/rand/v2"
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

// Doubled is another shape of the tally's state.
type Doubled struct{ Twice int }

func TestARebuildUnderTrafficIsNeverSeenHalfDone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const keys, each = 20, 100
	names := make([]string, keys)
	for i := range names {
		names[i] = string(rune('a' + i))
		for range each {
			b.append(names[i], Added{1})
		}
	}
	m := tally(projection.Options{})
	r := b.run(b.engine(m))
	b.must(r.Wait(t.Context(), m, keys*each))

	stop := make(chan struct{})
	var traffic sync.WaitGroup
	extra := 0
	traffic.Go(func() {
		for extra < 5000 {
			select {
			case <-stop:
				return
			default:
			}
			extra++
			if _, err := b.store.Append(context.Background(), store.Batch{
				Stream: Counters.Stream("a"), Expect: store.Any, Events: event.Of(Added{1}),
			}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	traffic.Go(func() {
		now := time.NewTicker(100 * time.Microsecond)
		defer now.Stop()
		for {
			select {
			case <-stop:
				return
			case <-now.C:
			}
			s, err := m.Get(context.Background(), b.store, names[rand.IntN(keys)])
			if err != nil || s.Value.N < each {
				t.Errorf("a reader saw %d, %v", s.Value.N, err)
				return
			}
		}
	})
	for want := range uint32(3) {
		b.must(r.Rebuild(t.Context(), "tally"))
		b.until("the new generation is active", func() bool {
			st := b.status(r.Engine, "tally")
			return st.Row.Active == want+1 && st.Rebuild == nil
		})
	}
	close(stop)
	traffic.Wait()
	b.must(r.Wait(t.Context(), m, event.Position(keys*each+extra)))
	if n := b.tally(m, "a"); n != each+extra {
		t.Errorf("a is %d, want %d", n, each+extra)
	}
	for _, name := range names[1:] {
		if n := b.tally(m, name); n != each {
			t.Errorf("%s is %d, want %d", name, n, each)
		}
	}
	if st := b.status(r.Engine, "tally"); st.Row.SwitchedAt.IsZero() {
		t.Error("the row does not say when the switch was")
	}
}

func TestARebuildGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var slow atomic.Bool
	var folded atomic.Int64
	gate := make(chan struct{})
	m := projection.NewModel("tally", projection.Fold(func(t *Tally, e Added, _ event.Event) error {
		if folded.Add(1); slow.Load() && folded.Load() > 300 {
			<-gate
		}
		t.N += e.N
		return nil
	})).With(projection.Options{PageSize: 100, CommitEvery: time.Nanosecond})
	for range 400 {
		b.append("a", Added{1})
	}
	e := b.engine(m)
	b.must(e.CatchUp(t.Context()))
	b.must(e.Rebuild(t.Context(), "tally"))
	slow.Store(true)
	folded.Store(0)
	r := b.run(e)
	b.until("the rebuild has come half way", func() bool {
		st := b.status(e, "tally")
		return folded.Load() > 300 && st.Rebuild != nil && st.Rebuild.Position > 0
	})
	if st := b.status(e, "tally"); st.Rebuild.Progress <= 0 || st.Rebuild.Progress >= 1 || st.State != "live" {
		t.Errorf("the status is %+v, rebuild %+v", st, st.Rebuild)
	}
	slow.Store(false)
	close(gate)
	b.must(r.stop())
	again := b.engine(m)
	folded.Store(0)
	b.must(again.CatchUp(t.Context()))
	st := b.status(again, "tally")
	if st.Row.Active != 1 || st.Rebuild != nil {
		t.Errorf("the active generation is %d", st.Row.Active)
	}
	if n := folded.Load(); n >= 400 {
		t.Errorf("%d events were folded after the restart: it began anew", n)
	}
	if n := b.tally(m, "a"); n != 400 {
		t.Errorf("the tally is %d, want 400", n)
	}
}

func TestAChangedRevisionRebuildsBesideTheOldStates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pos := b.append("a", Added{1}, Added{2})
	b.must(b.engine(tally(projection.Options{})).CatchUp(t.Context()))

	// Paused, so that the time between is long enough to be looked at.
	changed := tally(projection.Options{Revision: 2})
	b.must(b.engine(changed).Pause(t.Context(), "tally", "to look at it"))
	r := b.run(b.engine(changed))
	b.until("a new generation is begun", func() bool { return b.status(r.Engine, "tally").Rebuild != nil })
	if n := b.tally(changed, "a"); n != 3 {
		t.Errorf("the old state of the same shape is not served: %d", n)
	}
	wantState(t, r.Wait(t.Context(), changed, pos), "paused")
	b.must(r.Resume(t.Context(), "tally"))
	b.must(r.Wait(t.Context(), changed, pos, engine.WaitThrough))
	st := b.status(r.Engine, "tally")
	if st.Row.Active != 1 || st.Row.Generations[1].Revision != 2 {
		t.Errorf("the row is %+v", st.Row)
	}
	b.must(r.Wait(t.Context(), changed, b.append("a", Added{3})))
	if n := b.tally(changed, "a"); n != 6 {
		t.Errorf("the tally is %d, want 6", n)
	}
}

func TestAnotherShapeIsRebuiltAndNotServedMeanwhile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pos := b.append("a", Added{1}, Added{2})
	b.must(b.engine(tally(projection.Options{})).CatchUp(t.Context()))
	gate := make(chan struct{})
	changed := projection.NewModel("tally", projection.Fold(func(d *Doubled, e Added, _ event.Event) error {
		<-gate
		d.Twice += 2 * e.N
		return nil
	}))
	r := b.run(b.engine(changed))
	b.until("a new generation is begun", func() bool { return b.status(r.Engine, "tally").Rebuild != nil })
	if _, err := changed.Get(t.Context(), b.store, "a"); !errors.Is(err, projection.ErrRebuilding) {
		t.Errorf("Get: %v", err)
	}
	err := r.Wait(t.Context(), changed, pos)
	wantState(t, err, "rebuilding")
	if !errors.Is(err, projection.ErrRebuilding) {
		t.Errorf("Wait: %v, want it to match ErrRebuilding", err)
	}
	if h := r.Health(); h.Live != nil {
		t.Errorf("not live: %v", h.Live)
	}
	close(gate)
	b.must(r.Wait(t.Context(), changed, pos, engine.WaitThrough))
	s, err := changed.Get(t.Context(), b.store, "a")
	if err != nil || s.Value.Twice != 6 {
		t.Errorf("the state is %+v, %v", s, err)
	}
}

func TestANewHandlerRebuilds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.append("a", Added{1}, Noted{"n"})
	b.must(b.engine(tally(projection.Options{})).CatchUp(t.Context()))
	more := projection.NewModel("tally",
		projection.Fold(func(t *Tally, e Added, _ event.Event) error { t.N += e.N; return nil }),
		projection.Fold(func(t *Tally, _ Noted, _ event.Event) error { t.N += 100; return nil }),
	)
	b.must(b.engine(more).CatchUp(t.Context()))
	if n := b.tally(more, "a"); n != 101 {
		t.Errorf("the tally is %d: events of the past are missing", n)
	}
}

func TestAChangeHaltsWhenToldSoUntilRebuild(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pos := b.append("a", Added{1})
	b.must(b.engine(tally(projection.Options{})).CatchUp(t.Context()))
	m := tally(projection.Options{Revision: 1, OnChange: projection.ChangeHalt})
	r := b.run(b.engine(m))
	wantState(t, r.Wait(t.Context(), m, pos), "halted")
	b.must(r.Rebuild(t.Context(), "tally"))
	b.must(r.Wait(t.Context(), m, pos, engine.WaitThrough))
}

func TestOlderCodeStandsBy(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pos := b.append("a", Added{1})
	b.must(b.engine(tally(projection.Options{Revision: 2})).CatchUp(t.Context()))
	old := tally(projection.Options{Revision: 1})
	r := b.run(b.engine(old))
	wantState(t, r.Wait(t.Context(), old, pos), "standby")
	b.until("it is not ready", func() bool { return errors.Is(r.Health().Ready, engine.ErrUnavailable) })
	if _, err := old.Get(t.Context(), b.store, "a"); !errors.Is(err, projection.ErrRebuilding) {
		t.Errorf("Get: %v", err)
	}
	if err := r.Rebuild(t.Context(), "tally"); !errors.Is(err, engine.ErrUnavailable) {
		t.Errorf("Rebuild by older code: %v", err)
	}
	info, err := b.store.Subscriber(store.SubscriberKey{Projection: "tally"}).Info(t.Context())
	b.must(err)
	if !info.Worker.IsZero() {
		t.Error("older code works")
	}
}

func TestAFailingEventHaltsTheRebuildAndTheOldStays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var broken atomic.Bool
	m := projection.NewModel("tally", projection.Fold(func(t *Tally, e Added, _ event.Event) error {
		if broken.Load() && e.N == 2 {
			return errors.New("broken")
		}
		t.N += e.N
		return nil
	})).With(projection.Options{Retry: projection.Retry{Attempts: 1}})
	b.append("a", Added{1}, Added{2})
	r := b.run(b.engine(m))
	b.must(r.Wait(t.Context(), m, 2))
	broken.Store(true)
	b.must(r.Rebuild(t.Context(), "tally"))
	b.until("the rebuild has halted", func() bool {
		st := b.status(r.Engine, "tally")
		return st.Rebuild != nil && st.Rebuild.State == "halted"
	})
	st := b.status(r.Engine, "tally")
	if st.State != "live" || st.Row.Active != 0 || st.Rebuild.Err == nil {
		t.Errorf("the status is %+v, rebuild %+v", st, st.Rebuild)
	}
	b.must(r.Wait(t.Context(), m, b.append("a", Added{3}))) // the old one goes on
	if n := b.tally(m, "a"); n != 6 {
		t.Errorf("the tally is %d, want 6", n)
	}
	broken.Store(false)
	b.must(r.Rebuild(t.Context(), "tally")) // another one takes the place of the halted
	b.until("the next rebuild is done", func() bool { return b.status(r.Engine, "tally").Row.Active == 2 })
	if err := r.CatchUp(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestASecondRebuildIsRefusedWhileOneRuns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.append("a", Added{1})
	e := b.engine(tally(projection.Options{}))
	b.must(e.CatchUp(t.Context()))
	b.must(e.Rebuild(t.Context(), "tally"))
	wantState(t, e.Rebuild(t.Context(), "tally"), "rebuilding")
}

func TestTheOldGenerationIsDeletedTenMinutesLater(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		t.Run(map[bool]string{false: "by the engine that runs", true: "after a restart"}[restart], func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := setup(t)
				m := tally(projection.Options{})
				b.append("a", Added{1})
				r := b.run(b.engine(m))
				b.must(r.Wait(t.Context(), m, 1))
				b.must(r.Rebuild(t.Context(), "tally"))
				b.must(r.CatchUp(t.Context()))
				states := func() (n int) {
					for _, err := range b.store.States(t.Context(), "tally", 0, store.Range{}) {
						b.must(err)
						n++
					}
					return n
				}
				if states() != 1 {
					t.Fatal("the old generation is gone at once")
				}
				if restart {
					b.must(r.stop())
				}
				time.Sleep(9 * time.Minute)
				if states() != 1 {
					t.Fatal("the old generation is gone too soon")
				}
				time.Sleep(2 * time.Minute)
				if restart {
					if states() != 1 {
						t.Fatal("who deleted it?")
					}
					r = b.run(b.engine(m))
					time.Sleep(time.Second)
				}
				synctest.Wait()
				if states() != 0 {
					t.Fatal("the old generation is still there")
				}
				st := b.status(r.Engine, "tally")
				if len(st.Row.Generations) != 1 || st.Row.Next != 2 {
					t.Errorf("the row is %+v", st.Row)
				}
				for info, err := range b.store.Subscribers(t.Context()) {
					b.must(err)
					if info.Key.Generation == 0 {
						t.Errorf("the old subscriber is still there: %+v", info)
					}
				}
				b.must(r.Wait(t.Context(), m, b.append("a", Added{1})))
				if n := b.tally(m, "a"); n != 2 {
					t.Errorf("the tally is %d, want 2", n)
				}
			})
		})
	}
}

// The engine that did not make the switch notices, and serves the new generation when its
// turn comes.
func TestTheOtherEngineFollowsASwitch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := tally(projection.Options{})
	b.append("a", Added{1})
	first := b.run(b.engine(m))
	b.must(first.Wait(t.Context(), m, 1))
	second := b.run(b.engine(m))
	b.must(second.Wait(t.Context(), m, 1)) // it has made its plan, before there is a rebuild
	b.until("the second one stands by", func() bool { return b.status(second.Engine, "tally").State == "standby" })
	b.must(first.Rebuild(t.Context(), "tally"))
	b.must(first.CatchUp(t.Context()))
	b.must(first.stop())
	b.must(second.Wait(t.Context(), m, b.append("a", Added{2})))
	if n := b.tally(m, "a"); n != 3 {
		t.Errorf("the tally is %d, want 3", n)
	}
	old, err := b.store.Subscriber(store.SubscriberKey{Projection: "tally"}).Info(t.Context())
	b.must(err)
	b.until("nobody works on the old generation", func() bool {
		old, err = b.store.Subscriber(store.SubscriberKey{Projection: "tally"}).Info(t.Context())
		return err == nil && old.Worker.IsZero()
	})
}
