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
	"github.com/riffle-go/riffle/snapshot"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/worker"
)

// Events that are due, however many, and new ones take turns.
func TestNewEventsDoNotWaitForAllThatIsDue(t *testing.T) {
	const keys, each = 300, 10 * time.Millisecond
	var broken atomic.Bool
	var fresh atomic.Int64 // when the new event was handled, by the fake clock
	handle := func(ev event.Event) error {
		switch {
		case ev.Stream.ID == "fresh":
			fresh.Store(time.Now().UnixNano())
			return nil
		case broken.Load():
			return projection.Park(errBroken)
		}
		pass(each)
		return nil
	}
	for name, p := range map[string]projection.Projection{
		"model": projection.NewModel("balances", projection.Fold(func(s *Balance, e Deposited, ev event.Event) error {
			return errors.Join(handle(ev), s.deposit(e, ev))
		})),
		"effect": mailer(projection.Options{}, func(_ context.Context, _ Deposited, ev event.Event) error { return handle(ev) }),
	} {
		t.Run(name, func(t *testing.T) { // one after the other: they share what happens
			bubbleHere(t, func(b *bed) {
				broken.Store(true)
				var last event.Position
				for i := range keys {
					last = b.deposit(1, fmt.Sprint("k", i))
				}
				w := b.start(b.config(p))
				w.waits(last)
				broken.Store(false)
				if err := w.Retry(b.Context(), ""); err != nil {
					b.Fatal(err)
				}
				pass(5 * each / 2) // it is at work on them
				began := time.Now()
				w.waits(b.deposit(1, "fresh"))
				if took := time.Unix(0, fresh.Load()).Sub(began); took > keys*each/4 {
					b.Errorf("a new event came after %v, all that was due takes %v", took, keys*each)
				}
				b.until("all are handled", func() bool { return w.Status().BlockedKeys == 0 })
				w.drains()
			})
		})
	}
}

// A long way to the head holds up neither what is due again nor operators.
func TestABacklogLetsOthersHaveTheirTurn(t *testing.T) {
	const backlog, each, soon = 1000, 10 * time.Millisecond, time.Second
	for _, kind := range []string{"model", "effect", "sink"} {
		t.Run(kind, func(t *testing.T) {
			bubble(t, func(b *bed) {
				var parked switchable
				parked.set(projection.Park(errBroken))
				began := time.Now()
				var again, retried atomic.Bool
				handle := func(ev event.Event) error {
					switch ev.Stream.ID {
					case "later":
						if time.Since(began) < soon/2 {
							return projection.RetryAfter(soon/10, errBroken)
						}
						again.Store(true)
					case "parked", "bad":
						if err := parked.get(); err != nil {
							return err
						}
						retried.Store(true)
					}
					pass(each)
					return nil
				}
				var p projection.Projection = mailer(projection.Options{}, func(_ context.Context, _ Deposited, ev event.Event) error { return handle(ev) })
				switch kind {
				case "model":
					p = projection.NewModel("balances", projection.Fold(func(s *Balance, e Deposited, ev event.Event) error {
						return errors.Join(handle(ev), s.deposit(e, ev))
					}))
				case "sink":
					p = sinkOf(&hooked{&table{}, handle}, projection.Options{PageSize: 10})
				}
				bad := b.deposit(1, "later", "parked", "bad")
				var last event.Position
				for i := range backlog {
					last = b.deposit(1, fmt.Sprint("k", i))
				}
				w := b.start(b.config(p))
				pass(soon)
				if !again.Load() {
					b.Errorf("what was due again was not tried within %v", soon)
				}
				asked := time.Now()
				if err := w.Skip(b.Context(), "bad", bad); err != nil {
					b.Fatal(err)
				}
				if took := time.Since(asked); took > soon {
					b.Errorf("Skip took %v", took)
				}
				parked.set(nil)
				if err := w.Retry(b.Context(), "parked"); err != nil {
					b.Fatal(err)
				}
				pass(soon)
				if !retried.Load() {
					b.Errorf("a retry was not obeyed within %v", soon)
				}
				if st := w.Status(); st.Position >= last {
					b.Fatalf("the backlog is done already: %+v", st)
				}
				w.drains()
			})
		})
	}
}

// Whichever handler is done first: what they emit is in the order of their events.
func TestEmitsAreInTheOrderOfTheirEvents(t *testing.T) {
	bubble(t, func(b *bed) {
		p := mailer(projection.Options{Concurrency: 4, BatchEmits: true}, func(ctx context.Context, _ Deposited, ev event.Event) error {
			pass(time.Duration(10-ev.Position) * time.Millisecond) // the last one is the first that is done
			return errors.Join(emit(ctx, "all", store.Any, ev.Position), emit(ctx, "all", store.Any, 10*ev.Position))
		})
		b.deposit(1, "a", "b", "c", "d")
		w := b.start(b.config(p))
		w.waits(4)
		if got := fmt.Sprint(b.echoed()); got != "[1 10 2 20 3 30 4 40]" {
			b.Fatalf("emitted %s", got)
		}
		w.drains()
	})
}

// A state whose last event is not before the next one was made by somebody else: to go on
// would count events twice.
func TestAStateThatHasTheEventAlreadyHalts(t *testing.T) {
	bubble(t, func(b *bed) {
		m := balances(projection.Options{})
		b.deposit(1, "a", "b", "a")
		w := b.start(b.config(m))
		w.waits(3)
		w.drains()
		if err := b.store.Subscriber(b.config(m).Key).Rewind(b.Context(), 0); err != nil {
			b.Fatal(err)
		}
		w = b.start(b.config(m))
		w.becomes(worker.Halted)
		if err := w.Status().Err; !errors.Is(err, snapshot.ErrFoldedBefore) {
			b.Fatalf("halted because of %v", err)
		}
		if got := b.balance(m, "a").Cents; got != 2 {
			b.Fatalf("%d cents, want 2", got)
		}
		w.drains()
	})
}
