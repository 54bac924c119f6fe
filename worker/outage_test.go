package worker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/worker"
)

func TestAnOutageOfTenMinutesParksNothing(t *testing.T) {
	for _, n := range []int{1, 8} {
		t.Run(fmt.Sprintf("concurrency %d", n), func(t *testing.T) {
			bubble(t, func(b *bed) {
				var down switchable
				down.set(errBroken)
				var c calls
				p := mailer(projection.Options{Concurrency: n, Retry: projection.Retry{Attempts: 4}},
					func(_ context.Context, _ Deposited, ev event.Event) error {
						if err := down.get(); err != nil {
							return err
						}
						c.add("%s", ev.Stream.ID)
						return nil
					})
				var last event.Position
				for i := range 100 {
					last = b.deposit(1, fmt.Sprintf("k%02d", i))
				}
				w := b.start(b.config(p))
				pass(15 * time.Second)
				if st := w.Status(); st.State != worker.Retrying || !errors.Is(st.Err, errBroken) {
					b.Fatalf("while everything fails the worker is %+v", st)
				}
				pass(10 * time.Minute)
				for _, r := range b.rows(p) {
					if r.State != store.Waiting || r.Attempts > 3 {
						b.Fatalf("an outage was held against %+v", r)
					}
				}
				if st := w.Status(); st.State != worker.Retrying || st.Waiting > 40 {
					b.Fatalf("after ten minutes: %+v", st)
				}
				down.set(nil)
				at := time.Now()
				w.waits(last)
				b.until("all rows handled", func() bool { return w.Status().BlockedKeys == 0 })
				if d := time.Since(at); d > time.Minute {
					b.Fatalf("recovered after %v", d)
				}
				if got := c.list(); len(got) != 100 {
					b.Fatalf("%d handled, want each of 100 once", len(got))
				}
				w.waits(b.deposit(1, "new"))
				b.rowsAre(p)
				w.becomes(worker.Live)
				w.drains()
			})
		})
	}
}

func TestAModelGoesThroughAnOutageToo(t *testing.T) {
	bubble(t, func(b *bed) {
		var down switchable
		down.set(errBroken)
		m := projection.NewModel("balances", projection.Fold(func(s *Balance, e Deposited, ev event.Event) error {
			if err := down.get(); err != nil {
				return err
			}
			return s.deposit(e, ev)
		}))
		var last event.Position
		for i := range 30 {
			last = b.deposit(1, fmt.Sprintf("k%02d", i))
		}
		w := b.start(b.config(m))
		pass(10 * time.Minute)
		if st := w.Status(); st.State != worker.Retrying || st.Parked != 0 {
			b.Fatalf("after ten minutes: %+v", st)
		}
		down.set(nil)
		w.waits(last)
		b.until("all rows handled", func() bool { return w.Status().BlockedKeys == 0 })
		w.drains()
		for i := range 30 {
			if got := b.balance(m, fmt.Sprintf("k%02d", i)).Cents; got != 1 {
				b.Fatalf("key %d has %d cents", i, got)
			}
		}
	})
}

func TestALoneFailingKeyCountsAfterAQuarterOfAnHour(t *testing.T) {
	bubble(t, func(b *bed) {
		p := mailer(projection.Options{Retry: projection.Retry{Attempts: 4, Max: time.Minute}},
			func(context.Context, Deposited, event.Event) error { return errBroken })
		b.deposit(1, "a")
		w := b.start(b.config(p))
		pass(14 * time.Minute)
		b.rowsAre(p, "a@1 waiting 3")
		pass(3 * time.Minute)
		b.rowsAre(p, "a@1 parked 4")
		w.drains()
	})
}

func TestAPoisonKeyDelaysNoOtherByMoreThanItsTriesInHand(t *testing.T) {
	bubble(t, func(b *bed) {
		p := mailer(projection.Options{}, func(_ context.Context, _ Deposited, ev event.Event) error {
			if ev.Stream.ID == "poison" {
				return errBroken
			}
			return nil
		})
		ids := make([]string, 0, 1000)
		for i := range 1000 {
			ids = append(ids, fmt.Sprint(i))
		}
		ids[3] = "poison"
		last := b.deposit(1, ids...)
		at := time.Now()
		w := b.start(b.config(p))
		w.waits(last)
		if d := time.Since(at); d > 1200*time.Millisecond {
			b.Fatalf("the others waited %v", d)
		}
		w.drains()
	})
}

func TestACapHaltsBeforeTheCommitThatWouldExceedIt(t *testing.T) {
	bubble(t, func(b *bed) {
		p := mailer(projection.Options{}, func(context.Context, Deposited, event.Event) error {
			return projection.Park(errBroken)
		})
		batch := make([]event.Payload, 0, 501)
		for range 500 {
			batch = append(batch, Deposited{})
		}
		for range 20 {
			b.append(accounts.Stream("a"), batch...)
		}
		b.append(accounts.Stream("a"), batch[:5]...)
		w := b.start(b.config(p))
		w.becomes(worker.Halted)
		if _, ok := errors.AsType[*worker.CapError](w.Status().Err); !ok {
			b.Fatalf("halted because of %v", w.Status().Err)
		}
		if n, info := len(b.rows(p)), b.info(p); n > 10_000 || info.Checkpoint > 10_000 || info.Checkpoint != event.Position(n) {
			b.Fatalf("%d rows at checkpoint %d", n, info.Checkpoint)
		}
		w.drains()
	})
}
