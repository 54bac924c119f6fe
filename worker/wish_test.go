package worker_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/worker"
)

// Whoever wishes knows the store only, not the worker.
func TestAnIdleWorkerObeysWishesAtOnce(t *testing.T) {
	bubble(t, func(b *bed) {
		var fix switchable
		fix.set(projection.Park(errBroken))
		p := mailer(projection.Options{}, func(context.Context, Deposited, event.Event) error { return fix.get() })
		w := b.start(b.config(p))
		w.waits(b.deposit(1, "a"))
		b.rowsAre(p, "a@1 parked 1")
		sub := b.store.Subscriber(b.config(p).Key)
		promptly := func(what string, wish func(*store.Wish), ok func() bool) {
			b.Helper()
			pass(time.Hour) // it is asleep by now
			if err := sub.SetWish(b.Context(), func(w *store.Wish) error { wish(w); return nil }); err != nil {
				b.Fatal(err)
			}
			began := time.Now()
			b.until(what, ok)
			if took := time.Since(began); took > 10*time.Millisecond {
				b.Errorf("%s: after %v", what, took)
			}
		}
		in := func(st worker.State) func() bool { return func() bool { return w.Status().State == st } }
		promptly("paused", func(w *store.Wish) { w.Paused = "for the audit" }, in(worker.Paused))
		promptly("resumed", func(w *store.Wish) { w.Paused = "" }, in(worker.Live))
		fix.set(nil)
		promptly("retried", func(w *store.Wish) { w.Retry = []string{"a"} }, func() bool { return w.Status().Parked == 0 })
		promptly("stands by", func(w *store.Wish) { w.Drain = event.NewID() }, in(worker.Standby))
		w.drains()
		if err := sub.SetPaused(b.Context(), "nobody hears it"); err != nil {
			b.Fatal(err)
		}
		synctest.Wait()
	})
}
