package worker_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/worker"
)

func TestAModelCatchesUpAndFollows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := balances(projection.Options{PageSize: 3})
	for range 10 {
		b.deposit(1, "a", "b")
	}
	w := b.start(b.config(m))
	w.waits(20)
	if got := b.balance(m, "a").Cents; got != 10 {
		t.Fatalf("caught up with %d cents, want 10", got)
	}
	w.waits(b.deposit(5, "a"))
	if got := b.balance(m, "a").Cents; got != 15 {
		t.Fatalf("followed to %d cents, want 15", got)
	}
	w.becomes(worker.Live)
	w.drains()
	if info := b.info(m); info.Checkpoint != 21 || !info.Worker.IsZero() {
		t.Fatalf("after the drain: %+v", info)
	}
}

func TestAnEffectHandlesEachEventOnce(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 8} {
		b := setup(t)
		var c calls
		p := mailer(projection.Options{Concurrency: n, PageSize: 4}, func(_ context.Context, _ Deposited, ev event.Event) error {
			c.add("%s/%d", ev.Stream.ID, ev.Version)
			return nil
		})
		for range 50 {
			b.deposit(1, "a", "b", "c")
		}
		w := b.start(b.config(p))
		w.waits(150)
		w.drains()
		got := c.list()
		if len(got) != 150 {
			t.Fatalf("%d calls, want 150", len(got))
		}
		at := map[byte]string{}
		for _, s := range got {
			if len(s) < len(at[s[0]]) || len(s) == len(at[s[0]]) && s <= at[s[0]] {
				t.Fatalf("with concurrency %d: %s came after %s", n, s, at[s[0]])
			}
			at[s[0]] = s
		}
	}
}

func TestUntilEndsRunWhenItIsCommitted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := balances(projection.Options{})
	b.deposit(1, "a", "a")
	b.note()
	b.deposit(1, "a")
	c := b.config(m)
	c.Until = 3
	if err := b.start(c).ends(); err != nil {
		t.Fatal(err)
	}
	if info := b.info(m); info.Checkpoint != 3 {
		t.Fatalf("checkpoint %d, want 3", info.Checkpoint)
	}
	if got := b.balance(m, "a").Cents; got != 2 {
		t.Fatalf("%d cents, want 2: nothing beyond Until is handled", got)
	}
}

func TestUntilBeyondTheHeadIsReachedByEventsOfOthers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := balances(projection.Options{})
	b.deposit(1, "a")
	c := b.config(m)
	c.Until = 3
	w := b.start(c)
	b.note()
	b.note()
	if err := w.ends(); err != nil {
		t.Fatal(err)
	}
	if info := b.info(m); info.Checkpoint != 3 {
		t.Fatalf("checkpoint %d, want 3", info.Checkpoint)
	}
}

func TestTheStartIsWhereAnEffectBegins(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var c calls
	p := mailer(projection.Options{}, func(_ context.Context, _ Deposited, ev event.Event) error {
		c.add("%d", ev.Position)
		return nil
	})
	b.deposit(1, "a", "a", "a", "a")
	cfg := b.config(p)
	cfg.From = 3
	w := b.start(cfg)
	w.waits(4)
	w.drains()
	// Rewound to the very beginning, the start counts no more.
	if err := b.store.Subscriber(cfg.Key).Rewind(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	w = b.start(cfg)
	w.waits(4)
	w.drains()
	if got := c.list(); len(got) != 6 || got[0] != "3" || got[2] != "1" {
		t.Fatalf("handled %q, want 3 4 1 2 3 4", got)
	}
}

func TestAbandoningCommitsNothingAndReleases(t *testing.T) {
	bubble(t, func(b *bed) {
		started := make(chan struct{})
		p := mailer(projection.Options{}, func(ctx context.Context, _ Deposited, ev event.Event) error {
			if ev.Position == 2 {
				close(started)
				<-ctx.Done()
				if !errors.Is(context.Cause(ctx), worker.ErrAbandoned) {
					b.Errorf("cause %v, want ErrAbandoned", context.Cause(ctx))
				}
			}
			return ctx.Err()
		})
		b.deposit(1, "a", "b")
		w := b.start(b.config(p))
		<-started
		w.cancel()
		if err := w.ends(); !errors.Is(err, context.Canceled) {
			b.Fatalf("Run: %v", err)
		}
		info := b.info(p)
		if info.Checkpoint != 0 || !info.Worker.IsZero() {
			b.Fatalf("after abandoning: %+v", info)
		}
	})
}

func TestADrainFinishesTheEventInHand(t *testing.T) {
	bubble(t, func(b *bed) {
		started, finish := make(chan struct{}), make(chan struct{})
		p := mailer(projection.Options{}, func(_ context.Context, _ Deposited, ev event.Event) error {
			if ev.Position == 1 {
				close(started)
				<-finish
			}
			return nil
		})
		b.deposit(1, "a", "b", "c")
		w := b.start(b.config(p))
		<-started
		w.Drain()
		synctest.Wait()
		close(finish)
		if err := w.ends(); err != nil {
			b.Fatal(err)
		}
		if info := b.info(p); info.Checkpoint != 1 {
			b.Fatalf("checkpoint %d, want 1: the event in hand and no other", info.Checkpoint)
		}
	})
}

func TestTheDelayComesBeforeTheFirstPage(t *testing.T) {
	bubble(t, func(b *bed) {
		began := time.Now()
		var first time.Duration
		p := mailer(projection.Options{Delay: 3 * time.Second}, func(context.Context, Deposited, event.Event) error {
			first = time.Since(began)
			return nil
		})
		b.deposit(1, "a")
		w := b.start(b.config(p))
		w.waits(1)
		if first < 3*time.Second {
			b.Fatalf("handled after %v, want 3 s", first)
		}
		w.drains()
	})
}

func TestNewReportsAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := worker.New(worker.Config{LeaseTTL: -1, StateCache: -1})
	if !errors.Is(err, store.ErrInvalid) {
		t.Fatalf("New: %v", err)
	}
	for _, field := range []string{"Config.Store", "Config.Program", "Config.LeaseTTL", "Config.StateCache"} {
		if !containsField(err, field) {
			t.Errorf("%q is not reported in %v", field, err)
		}
	}
}

func containsField(err error, field string) bool {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return false
	}
	for _, e := range joined.Unwrap() {
		if in, ok := errors.AsType[*store.InvalidError](e); ok && in.Field == field {
			return true
		}
	}
	return false
}

func TestRunMayBeCalledOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := b.start(b.config(balances(projection.Options{})))
	w.becomes(worker.Live)
	if err := w.Run(t.Context()); !errors.Is(err, worker.ErrUnavailable) {
		t.Fatalf("second Run: %v", err)
	}
	w.drains()
}

func TestUntilDoesNotWaitToWriteThatOthersEventsAreCovered(t *testing.T) {
	bubble(t, func(b *bed) {
		m := balances(projection.Options{})
		b.deposit(1, "a")
		c := b.config(m)
		c.Until = 3
		w := b.start(c)
		b.until("its own event is committed", func() bool { return b.info(m).Checkpoint == 1 })
		b.note()
		b.note()
		began := time.Now()
		if err := w.ends(); err != nil {
			b.Fatal(err)
		}
		if took := time.Since(began); took > 100*time.Millisecond {
			b.Fatalf("Run ended %v after it could", took)
		}
	})
}
