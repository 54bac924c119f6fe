package worker_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/worker"
)

func TestARetryOfAKeyIsForThatKey(t *testing.T) {
	bubble(t, func(b *bed) {
		var broken switchable
		broken.set(projection.Park(errBroken))
		p := mailer(projection.Options{}, func(context.Context, Deposited, event.Event) error { return broken.get() })
		w := b.start(b.config(p))
		w.waits(b.deposit(1, "a", "b", "c"))
		broken.set(nil)
		if err := w.Retry(b.Context(), "b"); err != nil {
			b.Fatal(err)
		}
		b.until("one is handled", func() bool { return len(b.rows(p)) == 2 })
		b.until("the wish is fulfilled", func() bool { return len(b.info(p).Wish.Retry) == 0 })
		b.rowsAre(p, "a@1 parked 1", "c@3 parked 1")
		w.drains()
		w = b.start(b.config(p))
		w.becomes(worker.Live)
		if st := w.Status(); st.Parked != 2 || st.Waiting != 0 || st.BlockedKeys != 2 {
			b.Errorf("after a restart the status is %+v", st)
		}
		w.drains()
	})
}

// The wish is gone when its commit is there: what it made due must be in that.
func TestARetryOutlivesTheWorkerThatBeganIt(t *testing.T) {
	bubble(t, func(b *bed) {
		var broken switchable
		broken.set(projection.Park(errBroken))
		entered := make(chan struct{})
		enter := sync.OnceFunc(func() { close(entered) })
		p := mailer(projection.Options{}, func(ctx context.Context, _ Deposited, ev event.Event) error {
			select {
			case <-entered:
				return nil
			default:
			}
			if err := broken.get(); err != nil {
				return err
			}
			enter()
			<-ctx.Done()
			return ctx.Err()
		})
		b.deposit(1, "a", "a")
		w := b.start(b.config(p))
		w.waits(2)
		broken.set(nil)
		if err := w.Retry(b.Context(), "a"); err != nil {
			b.Fatal(err)
		}
		<-entered
		b.until("the wish is fulfilled", func() bool { return len(b.info(p).Wish.Retry) == 0 })
		b.rowsAre(p, "a@1 waiting 1", "a@2 waiting 0")
		w.cancel()
		if err := w.ends(); !errors.Is(err, context.Canceled) {
			b.Fatal(err)
		}
		b.rowsAre(p, "a@1 waiting 1", "a@2 waiting 0") // an attempt that is cut short is none
		w = b.start(b.config(p))
		b.until("both are handled", func() bool { return w.Status().State == worker.Live && len(b.rows(p)) == 0 })
		w.drains()
	})
}

// Only a commit makes a wish come true.
func TestAWishToRetryOutlivesARefusedCommit(t *testing.T) {
	bubble(t, func(b *bed) {
		var broken switchable
		broken.set(projection.Park(errBroken))
		p := mailer(projection.Options{}, func(context.Context, Deposited, event.Event) error { return broken.get() })
		w := b.start(b.config(p))
		w.waits(b.deposit(1, "a"))
		// It does not know yet that somebody has ended its lease.
		if err := b.store.Subscriber(b.config(p).Key).ReleaseLease(b.Context()); err != nil {
			b.Fatal(err)
		}
		if err := w.Retry(b.Context(), ""); err != nil {
			b.Fatal(err)
		}
		if err := w.ends(); !errors.Is(err, store.ErrLeaseLost) {
			b.Fatalf("Run: %v", err)
		}
		b.rowsAre(p, "a@1 parked 1")
		broken.set(nil)
		w = b.start(b.config(p))
		b.until("it is handled", func() bool { return w.Status().State == worker.Live && len(b.rows(p)) == 0 })
		w.drains()
	})
}
