package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/worker"
)

func TestSkipVerdictAndSkipPolicyRecordTheEvent(t *testing.T) {
	bubble(t, func(b *bed) {
		var c calls
		p := mailer(projection.Options{OnFailure: projection.FailSkip, Retry: projection.Retry{Attempts: 3}},
			func(_ context.Context, _ Deposited, ev event.Event) error {
				switch ev.Position {
				case 1:
					return projection.Skip(errBroken)
				case 3:
					return errBroken
				}
				c.add("%d", ev.Position)
				return nil
			})
		b.deposit(1, "a", "a", "b", "b", "c")
		w := b.start(b.config(p))
		w.waits(5)
		b.rowsAre(p, "a@1 skipped 1", "b@3 waiting 2", "b@4 waiting 0")
		pass(time.Minute)
		b.rowsAre(p, "a@1 skipped 1", "b@3 skipped 3")
		if got := strings.Join(c.list(), " "); got != "2 5 4" {
			b.Fatalf("handled %q, want 2 5 4", got)
		}
		w.drains()
	})
}

func TestTheHaltPolicyHaltsBeforeTheEvent(t *testing.T) {
	bubble(t, func(b *bed) {
		m := projection.NewModel("balances", projection.Fold(func(s *Balance, e Deposited, ev event.Event) error {
			if e.Cents < 0 {
				return projection.Halt(errBroken)
			}
			return s.deposit(e, ev)
		}))
		b.deposit(1, "a")
		b.deposit(-1, "b")
		b.deposit(1, "a")
		w := b.start(b.config(m))
		w.becomes(worker.Halted)
		if info := b.info(m); info.Checkpoint >= 2 {
			b.Fatalf("halted with checkpoint %d, beyond the event", info.Checkpoint)
		}
		b.rowsAre(m)
		// An operator skips the event, and the projection goes on.
		if err := w.Skip(b.Context(), "b", 2); err != nil {
			b.Fatal(err)
		}
		err := b.store.Subscriber(b.config(m).Key).SetWish(b.Context(), func(w *store.Wish) error { w.Halted = ""; return nil })
		if err != nil {
			b.Fatal(err)
		}
		w.Nudge()
		b.until("resumed", func() bool { return w.Status().State == worker.Live })
		w.waits(3)
		if got := b.balance(m, "a").Cents; got != 2 {
			b.Fatalf("%d cents, want 2", got)
		}
		w.drains()
	})
}

func TestSkipTakesAParkedEventOutForGood(t *testing.T) {
	bubble(t, func(b *bed) {
		m := projection.NewModel("balances", projection.Fold(func(s *Balance, e Deposited, ev event.Event) error {
			if e.Cents < 0 {
				return projection.Park(errBroken)
			}
			return s.deposit(e, ev)
		}))
		row, err := b.store.SaveProjection(b.Context(), store.ProjectionRow{Name: "balances", Kind: "model", Next: 1})
		if err != nil {
			b.Fatal(err)
		}
		b.deposit(1, "a")
		b.deposit(-1, "a")
		b.deposit(1, "a")
		w := b.start(b.config(m))
		w.waits(3)
		b.rowsAre(m, "a@2 parked 1", "a@3 waiting 0")
		if err := w.Skip(b.Context(), "a", 0); !errors.Is(err, store.ErrInvalid) {
			b.Fatalf("Skip of position 0: %v", err)
		}
		if err := w.Skip(b.Context(), "a", 1); !errors.Is(err, store.ErrNotFound) {
			b.Fatalf("Skip of a handled event: %v", err)
		}
		if err := w.Skip(b.Context(), "a", 2); err != nil {
			b.Fatal(err)
		}
		b.until("unblocked", func() bool { return w.Status().BlockedKeys == 0 })
		w.waits(b.deposit(1, "a"))
		b.rowsAre(m, "a@2 skipped 1")
		if got := b.balance(m, "a"); !slices.Equal(got.Seen, []event.Position{1, 3, 4}) {
			b.Fatalf("folded %v", got.Seen)
		}
		w.drains()
		row, err = b.store.Projection(b.Context(), row.Name)
		if err != nil || !slices.Equal(row.Skips, []store.Skip{{Key: "a", Position: 2}}) {
			b.Fatalf("the projection's row has the skips %v (%v)", row.Skips, err)
		}
		// A later generation passes over it.
		next := b.config(m)
		next.Key.Generation, next.Skips = 7, row.Skips
		w = b.start(next)
		w.waits(4)
		if st := w.Status(); st.BlockedKeys != 0 {
			b.Fatalf("the next generation is blocked: %+v", st)
		}
		w.drains()
	})
}

func TestAnEventThatIsStillToComeCanBeSkipped(t *testing.T) {
	for _, kind := range []string{"model", "effect", "sink"} {
		t.Run(kind, func(t *testing.T) {
			bubble(t, func(b *bed) {
				var c calls
				tab := &table{}
				var p projection.Projection
				var handled func() string
				switch kind {
				case "model":
					m := balances(projection.Options{})
					p, handled = m, func() string { return fmt.Sprint(b.balance(m, "a").Seen) }
				case "effect":
					p = mailer(projection.Options{}, func(_ context.Context, _ Deposited, ev event.Event) error {
						c.add("%d", ev.Position)
						return nil
					})
					handled = func() string { return fmt.Sprint(c.list()) }
				default:
					p, handled = sinkOf(tab, projection.Options{}), func() string { return fmt.Sprint(tab.rows()) }
				}
				w := b.start(b.config(p))
				w.waits(b.deposit(1, "a"))
				if err := w.Skip(b.Context(), "a", 2); err != nil {
					b.Fatal(err)
				}
				w.waits(b.deposit(1, "a", "a"))
				if got := handled(); got != "[1 3]" {
					b.Errorf("handled %s, want 1 and 3", got)
				}
				w.drains()
			})
		})
	}
}

// The skip is stored with the projection before the row says so; the process may die between.
func TestAnEventSetAsideThatWasSkippedIsNotTriedAgain(t *testing.T) {
	bubble(t, func(b *bed) {
		var c calls
		p := mailer(projection.Options{}, func(_ context.Context, _ Deposited, ev event.Event) error {
			c.add("%d", ev.Position)
			if ev.Position == 1 {
				return projection.RetryAfter(time.Minute, errBroken)
			}
			return nil
		})
		w := b.start(b.config(p))
		w.waits(b.deposit(1, "a", "a"))
		w.drains()
		next := b.config(p)
		next.Skips = []store.Skip{{Key: "a", Position: 1}}
		w = b.start(next)
		pass(2 * time.Minute)
		b.rowsAre(p, "a@1 skipped 1")
		if got := fmt.Sprint(c.list()); got != "[1 2]" {
			b.Errorf("handled %s", got)
		}
		w.drains()
	})
}

func TestASkipOfWhatIsInAHandlersHandsWaitsForIt(t *testing.T) {
	bubble(t, func(b *bed) {
		entered, leave := make(chan struct{}), make(chan struct{})
		first := true
		p := mailer(projection.Options{}, func(context.Context, Deposited, event.Event) error {
			if first {
				first = false
				return projection.RetryAfter(time.Minute, errBroken)
			}
			close(entered)
			<-leave
			return nil
		})
		w := b.start(b.config(p))
		w.waits(b.deposit(1, "a"))
		<-entered
		answer := make(chan error, 1)
		go func() { answer <- w.Skip(b.Context(), "a", 1) }()
		pass(time.Second)
		close(leave)
		if err := <-answer; !errors.Is(err, store.ErrNotFound) {
			b.Errorf("Skip of what was handled meanwhile: %v", err)
		}
		w.drains()
		b.rowsAre(p)
	})
}

func TestASkipWhoseCommitIsRefusedIsDoneWithoutTheWorker(t *testing.T) {
	bubble(t, func(b *bed) {
		p := mailer(projection.Options{}, func(_ context.Context, _ Deposited, ev event.Event) error {
			return projection.Park(errBroken)
		})
		b.deposit(1, "a")
		w := b.start(b.config(p))
		w.waits(1)
		// It does not know yet that somebody has ended its lease.
		if err := b.store.Subscriber(b.config(p).Key).ReleaseLease(b.Context()); err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
		defer cancel()
		if err := w.Skip(ctx, "a", 1); err != nil {
			b.Fatalf("Skip: %v", err)
		}
		b.rowsAre(p, "a@1 skipped 1")
		if err := w.ends(); !errors.Is(err, store.ErrLeaseLost) {
			b.Fatalf("Run: %v", err)
		}
	})
}
