package engine

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// moving is a store with an effect that is known by its former name, and an engine that knows
// it by its new one.
type moving struct {
	*testing.T
	store    *store.Store
	engine   *Engine
	renamed  *projection.Effect
	handled  int
	old, new *store.Subscriber
	row      store.ProjectionRow // of the old name
}

func setupMoving(t *testing.T) *moving {
	t.Helper()
	st, err := pebblestore.OpenMem(&pebblestore.Options{Store: store.Options{Logger: slog.New(slog.DiscardHandler)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	m := &moving{
		T: t, store: st,
		old: st.Subscriber(store.SubscriberKey{Projection: "old"}), new: st.Subscriber(store.SubscriberKey{Projection: "new"}),
	}
	on := projection.On(func(context.Context, ticked, event.Event) error { m.handled++; return nil })
	former := projection.NewEffect("old", on).With(projection.Options{Start: store.AtPosition(1)})
	m.tick()
	m.tick()
	m.must(m.made(former).CatchUp(t.Context()))
	if m.row, err = st.Projection(t.Context(), "old"); err != nil {
		t.Fatal(err)
	}
	m.renamed = projection.NewEffect("new", on).With(projection.Options{Start: store.AtPosition(1), RenamedFrom: "old"})
	m.engine = m.made(m.renamed)
	return m
}

func (m *moving) made(p projection.Projection) *Engine {
	m.Helper()
	e, err := New(Config{Store: m.store, Projections: []projection.Projection{p}})
	m.must(err)
	return e
}

func (m *moving) tick() event.Position {
	m.Helper()
	res, err := m.store.Append(m.Context(), store.Batch{Stream: event.Aggregate("clock").Stream("c"), Expect: store.Any, Events: event.Of(ticked{})})
	m.must(err)
	return res.Position
}

func (m *moving) must(err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
}

func (m *moving) claim(u *store.Subscriber) *store.Lease {
	m.Helper()
	l, err := u.Claim(m.Context(), event.NewID(), DefaultLeaseTTL)
	m.must(err)
	return l
}

// move is what another engine does.
func (m *moving) move(to *store.Lease) *move {
	return &move{store: m.store, from: m.old.Key(), to: m.new.Key(), most: m.store.Limits(), lease: to}
}

// wanted is the row of the new name.
func (m *moving) wanted() store.ProjectionRow {
	row := m.row
	row.Name, row.Revision = "new", 0
	return row
}

// Another engine moves the same projection, and that takes longer than any patience: the two
// must not force each other off for ever.
func TestAMoveThatTakesLongIsNotDisturbed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := setupMoving(t)
		to := m.claim(m.new)
		ended := make(chan error, 1)
		err := keeping(t.Context(), m.store, DefaultLeaseTTL, to, func(ctx context.Context) error {
			old := m.claim(m.old)
			err := keeping(ctx, m.store, DefaultLeaseTTL, old, func(ctx context.Context) error {
				go func() { ended <- m.engine.CatchUp(t.Context()) }()
				select {
				case <-ctx.Done():
					return context.Cause(ctx)
				case <-time.After(10 * DefaultShutdownTimeout):
				}
				if err := m.move(to).copy(ctx, old); err != nil {
					return err
				}
				_, err := m.store.SaveProjection(ctx, m.wanted())
				return err
			})
			return errors.Join(err, released(ctx, old)) // it may be deleted already
		})
		m.must(errors.Join(err, released(t.Context(), to)))
		m.must(<-ended)
		last := m.tick()
		m.must(m.engine.CatchUp(t.Context()))
		if info, err := m.new.Info(t.Context()); m.handled != 3 || err != nil || info.Checkpoint != last {
			t.Errorf("%d were handled, want 3; the checkpoint is %d, %v", m.handled, info.Checkpoint, err)
		}
	})
}

// The engine that moved died in the middle: the other one finishes what it began.
func TestAMoveGoesOnWhenTheOtherEngineDies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := setupMoving(t)
		m.claim(m.new)
		m.claim(m.old)
		began := time.Now()
		m.must(m.engine.CatchUp(t.Context()))
		if took := time.Since(began); took > 2*DefaultLeaseTTL {
			t.Errorf("it took %v, the leases run out after %v", took, DefaultLeaseTTL)
		}
		if row, err := m.store.Projection(t.Context(), "new"); err != nil || row.Deleted || m.handled != 2 {
			t.Errorf("%d were handled, the row is %+v, %v", m.handled, row, err)
		}
	})
}

// Its worker takes longer with the event in hand than a lease runs.
func TestAMoveKeepsItsLeaseWhileTheOldWorkerDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := setupMoving(t)
		old := m.claim(m.old)
		ended := make(chan error, 1)
		m.must(keeping(t.Context(), m.store, DefaultLeaseTTL, old, func(context.Context) error {
			go func() { ended <- m.engine.CatchUp(t.Context()) }()
			for range 19 { // seconds of 20 that it is given
				time.Sleep(time.Second)
				if info, err := m.new.Info(t.Context()); err != nil || info.Worker.IsZero() {
					t.Fatalf("nobody holds the lease of the new name: %+v, %v", info, err)
				}
			}
			return nil
		}))
		m.must(old.Release(t.Context()))
		m.must(<-ended)
	})
}

// Whoever has lost the old name may not take over what it has copied: it is not the last
// state of affairs.
func TestACopyOfALostLeaseIsNotTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := setupMoving(t)
		old, to := m.claim(m.old), m.claim(m.new)
		m.must(m.old.ReleaseLease(t.Context()))
		if err := m.move(to).copy(t.Context(), old); !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("copied with a lease that was lost: %v", err)
		}
	})
}

// What another engine has moved is not moved once more.
func TestAMoveThatIsDoneIsDoneOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := setupMoving(t)
		first, err := m.move(nil).run(t.Context(), m.engine.config, m.wanted())
		m.must(err)
		for _, held := range []bool{false, true} {
			if held {
				m.claim(m.new) // by a worker
			}
			was, err := m.old.Info(t.Context())
			m.must(err)
			again, err := m.move(nil).run(t.Context(), m.engine.config, m.wanted())
			if err != nil || again.Revision != first.Revision {
				t.Errorf("the row is %+v, %v, want revision %d", again, err, first.Revision)
			}
			if is, err := m.old.Info(t.Context()); err != nil || is.Term != was.Term {
				t.Errorf("the old name was claimed once more: %+v, %v", is, err)
			}
		}
		if info, err := m.new.Info(t.Context()); err != nil || info.Worker.IsZero() {
			t.Errorf("the worker was driven off: %+v, %v", info, err)
		}
	})
}

// Who has moved goes on to work: its lease is never free for who waits.
func TestAMoveIsSeenWhileTheLeaseIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := setupMoving(t)
		to := m.claim(m.new)
		m.must(keeping(t.Context(), m.store, DefaultLeaseTTL, to, func(ctx context.Context) error {
			ended := make(chan error, 1)
			go func() {
				_, err := m.move(nil).run(ctx, m.engine.config, m.wanted())
				ended <- err
			}()
			synctest.Wait() // it waits for the lease
			if _, err := m.store.SaveProjection(ctx, m.wanted()); err != nil {
				return err
			}
			select {
			case err := <-ended:
				return err
			case <-time.After(time.Minute):
				return errors.New("it waits for a lease that is kept")
			}
		}))
	})
}
