package worker_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/worker"
)

func TestARebuildSwitchesInOneOfItsCommits(t *testing.T) {
	bubble(t, func(b *bed) {
		m := balances(projection.Options{})
		row, err := b.store.SaveProjection(b.Context(), store.ProjectionRow{Name: "balances", Kind: "model", Next: 2})
		if err != nil {
			b.Fatal(err)
		}
		b.deposit(1, "a", "a", "b")
		old := b.start(b.config(m))
		old.waits(3)
		c := b.config(m)
		c.Key.Generation = 1
		asked := 0
		c.Activate = func(ctx context.Context, checkpoint event.Position) (*store.Activation, error) {
			if asked++; asked < 3 {
				return nil, nil
			}
			info, err := b.store.Subscriber(b.config(m).Key).Info(ctx)
			if err != nil || info.Checkpoint > checkpoint {
				return nil, err
			}
			switched := row
			switched.Active = 1
			at := info.Checkpoint
			if asked == 3 {
				at-- // moved meanwhile: the commit must be refused
			}
			return &store.Activation{Row: switched, Old: b.config(m).Key, OldCheckpoint: at}, nil
		}
		states := make(chan worker.State, 10)
		c.OnChange = func(s worker.Status) { states <- s.State }
		w := b.start(c)
		w.becomes(worker.Live)
		if row, err = b.store.Projection(b.Context(), "balances"); err != nil || row.Active != 1 {
			b.Fatalf("active is %d (%v)", row.Active, err)
		}
		if asked != 4 {
			b.Fatalf("asked %d times, want 4", asked)
		}
		if got := <-states; got != worker.Starting {
			b.Fatalf("first state %s", got)
		}
		if got := <-states; got != worker.Rebuilding {
			b.Fatalf("then %s", got)
		}
		if err := old.ends(); !errors.Is(err, store.ErrLeaseLost) {
			b.Fatalf("the old worker ended with %v", err)
		}
		w.waits(b.deposit(1, "a"))
		w.drains()
	})
}

// The old generation may have passed events of others behind the last one that concerns the
// projection, while the new one sleeps until there is one more.
func TestARebuildPassesEventsOfOthersToSwitch(t *testing.T) {
	bubble(t, func(b *bed) {
		m := balances(projection.Options{})
		row, err := b.store.SaveProjection(b.Context(), store.ProjectionRow{Name: "balances", Kind: "model", Next: 2})
		if err != nil {
			b.Fatal(err)
		}
		at := b.deposit(1, "a")
		old := b.start(b.config(m))
		old.waits(at)
		asked := make(chan struct{}, 1000)
		var beyond atomic.Uint64
		c := b.config(m)
		c.Key.Generation = 1
		c.Activate = func(ctx context.Context, checkpoint event.Position) (*store.Activation, error) {
			asked <- struct{}{}
			if least := beyond.Load(); least == 0 || uint64(checkpoint) < least {
				return nil, nil
			}
			info, err := b.store.Subscriber(b.config(m).Key).Info(ctx)
			switched := row
			switched.Active = 1
			return &store.Activation{Row: switched, Old: b.config(m).Key, OldCheckpoint: info.Checkpoint}, err
		}
		w := b.start(c)
		for range 3 {
			<-asked
		}
		b.note()
		beyond.Store(uint64(b.note()))
		w.becomes(worker.Live)
		w.drains()
	})
}

func TestAFailingEventHaltsARebuild(t *testing.T) {
	bubble(t, func(b *bed) {
		m := projection.NewModel("balances", projection.Fold(func(s *Balance, e Deposited, ev event.Event) error {
			if e.Cents < 0 {
				return errBroken
			}
			return s.deposit(e, ev)
		}))
		b.deposit(1, "a")
		b.deposit(-1, "b")
		c := b.config(m)
		c.Key.Generation = 1
		c.Activate = func(context.Context, event.Position) (*store.Activation, error) {
			b.Error("asked for the switch, and the rebuild had failed")
			return nil, nil
		}
		w := b.start(c)
		w.becomes(worker.Halted)
		if !errors.Is(w.Status().Err, errBroken) {
			b.Fatalf("halted because of %v", w.Status().Err)
		}
		w.drains()
	})
}

// A skip is no failure: it does not halt a rebuild.
func TestAFoldMaySkipInARebuild(t *testing.T) {
	bubble(t, func(b *bed) {
		m := projection.NewModel("balances", projection.Fold(func(s *Balance, e Deposited, ev event.Event) error {
			if e.Cents < 0 {
				return projection.Skip(errBroken)
			}
			return s.deposit(e, ev)
		}))
		b.deposit(1, "a")
		b.deposit(-1, "a")
		last := b.deposit(1, "a")
		c := b.config(m)
		c.Key.Generation = 1
		c.Activate = func(context.Context, event.Position) (*store.Activation, error) { return nil, nil }
		w := b.start(c)
		w.waits(last)
		if st := w.Status(); st.State != worker.Rebuilding || st.BlockedKeys != 0 {
			b.Errorf("the status is %+v", st)
		}
		w.drains()
	})
}

// What was skipped, by whatever decision, stays so in every later generation.
func TestARebuildSkipsWhatWasSkipped(t *testing.T) {
	bubble(t, func(b *bed) {
		m := projection.NewModel("balances", projection.Fold(func(s *Balance, e Deposited, ev event.Event) error {
			switch e.Cents {
			case -1:
				return projection.Skip(errBroken)
			case -2:
				return errBroken
			}
			return s.deposit(e, ev)
		})).With(projection.Options{OnFailure: projection.FailSkip, Retry: projection.Retry{Attempts: 1}})
		row, err := b.store.SaveProjection(b.Context(), store.ProjectionRow{Name: "balances", Kind: "model", Next: 3})
		if err != nil {
			b.Fatal(err)
		}
		for _, cents := range []int64{1, -1, -2, 1} {
			b.deposit(cents, "a")
		}
		w := b.start(b.config(m))
		w.waits(b.deposit(1, "b")) // so that what fails is to blame for it
		pass(time.Minute)
		want := b.rows(m)
		b.rowsAre(m, "a@2 skipped 1", "a@3 skipped 1")
		w.drains()
		for n := range uint32(2) {
			c := b.config(m)
			c.Key.Generation = n + 1
			c.Activate = func(ctx context.Context, _ event.Position) (*store.Activation, error) {
				switched := row
				switched.Active = n + 1
				return &store.Activation{Row: switched, Old: store.SubscriberKey{Projection: "balances", Generation: n}, OldCheckpoint: 5}, nil
			}
			w = b.start(c)
			w.becomes(worker.Live)
			var rows []store.Row
			for r, err := range b.store.Subscriber(c.Key).Rows(b.Context(), store.Range{}) {
				if err != nil {
					b.Fatal(err)
				}
				rows = append(rows, r)
			}
			if fmt.Sprint(rows) != fmt.Sprint(want) {
				b.Fatalf("generation %d has the rows %+v, want %+v", n+1, rows, want)
			}
			sn, err := b.store.State(b.Context(), store.SnapshotKey{Projection: "balances", Generation: n + 1, Key: "a"})
			if err != nil || string(sn.State) != `{"Cents":2,"Seen":["1","4"]}` {
				b.Fatalf("generation %d has %s (%v)", n+1, sn.State, err)
			}
			w.drains()
			if row, err = b.store.Projection(b.Context(), "balances"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func TestARebuildIsThrottledBetweenPages(t *testing.T) {
	bubble(t, func(b *bed) {
		m := balances(projection.Options{PageSize: 10})
		for range 100 {
			b.deposit(1, "a")
		}
		c := b.config(m)
		c.Key.Generation = 1
		c.Activate = func(context.Context, event.Position) (*store.Activation, error) { return nil, nil }
		c.Throttle = func() time.Duration { return time.Second }
		at := time.Now()
		w := b.start(c)
		w.waits(100)
		if d := time.Since(at); d < 9*time.Second || d > 11*time.Second {
			b.Fatalf("ten pages took %v", d)
		}
		w.drains()
	})
}
