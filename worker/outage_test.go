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
		})).With(projection.Options{Retry: projection.Retry{Attempts: 1}})
		var last event.Position
		const keys = 100
		for i := range keys {
			last = b.deposit(1, fmt.Sprintf("k%02d", i))
		}
		w := b.start(b.config(m))
		pass(10 * time.Minute)
		if st := w.Status(); st.State != worker.Retrying || st.Parked != 0 || st.Waiting > 40 {
			b.Fatalf("after ten minutes: %+v", st)
		}
		down.set(nil)
		w.waits(last)
		b.until("all rows handled", func() bool { return w.Status().BlockedKeys == 0 })
		w.drains()
		for i := range keys {
			if got := b.balance(m, fmt.Sprintf("k%02d", i)).Cents; got != 1 {
				b.Fatalf("key %d has %d cents", i, got)
			}
		}
	})
}

func TestFiveKeysThatFailInARowAreAnOutage(t *testing.T) {
	bubble(t, func(b *bed) {
		p := mailer(projection.Options{Retry: projection.Retry{Initial: time.Hour}}, func(_ context.Context, _ Deposited, ev event.Event) error {
			if strings.HasPrefix(ev.Stream.ID, "good") {
				return nil
			}
			return errBroken
		})
		w := b.start(b.config(p))
		w.waits(b.deposit(1, "x", "y", "z", "good", "u", "v", "good", "a", "b", "c", "d"))
		pass(3 * time.Second)
		if st := w.Status(); st.State != worker.Live {
			b.Errorf("after four: %+v", st)
		}
		b.deposit(1, "e")
		pass(3 * time.Second)
		if st := w.Status(); st.State != worker.Retrying {
			b.Errorf("after five: %+v", st)
		}
		w.drains()
	})
}

// What is due while a handler takes its time is in hand when that one's failure is the last
// that makes an outage.
func TestAnOutageLeavesNothingInHand(t *testing.T) {
	bubble(t, func(b *bed) {
		var down switchable
		down.set(errBroken)
		p := mailer(projection.Options{}, func(_ context.Context, _ Deposited, ev event.Event) error {
			if ev.Stream.ID == "slow" {
				pass(time.Minute)
			}
			return down.get()
		})
		b.deposit(1, "a", "b", "c", "d", "slow")
		w := b.start(b.config(p))
		pass(10 * time.Minute)
		if st := w.Status(); st.State != worker.Retrying {
			b.Errorf("the status is %+v", st)
		}
		down.set(nil)
		pass(3 * time.Minute)
		b.rowsAre(p)
		w.drains()
	})
}

// While everything fails there is one try after each pause, and it counts for nobody: also not
// for a key that was to blame before.
func TestAnOutageIsProbedNowAndThen(t *testing.T) {
	for _, n := range []int{1, 8} {
		t.Run(fmt.Sprintf("concurrency %d", n), func(t *testing.T) {
			bubble(t, func(b *bed) {
				var down switchable
				var c calls
				p := mailer(projection.Options{Concurrency: n, Retry: projection.Retry{Attempts: 5, Initial: time.Minute, Max: 24 * time.Hour}},
					func(_ context.Context, _ Deposited, ev event.Event) error {
						if ev.Stream.ID == "poison" && len(c.list()) < 3 {
							c.add("poison")
							return errBroken
						}
						c.add("%s", ev.Stream.ID)
						return down.get()
					})
				w := b.start(b.config(p))
				w.waits(b.deposit(1, "poison", "good")) // now "poison" is to blame
				down.set(errBroken)
				b.deposit(1, "a", "b", "c", "d", "e")
				var last event.Position
				for i := range 40 {
					last = b.deposit(1, fmt.Sprint("new", i))
				}
				w.becomes(worker.Retrying)
				pass(3 * time.Minute)
				before := len(c.list())
				pass(10 * time.Minute)
				if tries := len(c.list()) - before; tries < 15 || tries > 27 {
					b.Errorf("%d tries in ten minutes, want one after each half a minute, more or less", tries)
				}
				pass(5 * time.Hour)
				for _, r := range b.rows(p) {
					if r.State != store.Waiting || r.Attempts > 4 || r.Key == "poison" && r.Attempts != 3 {
						b.Errorf("the outage was held against %+v", r)
					}
				}
				down.set(nil)
				began := time.Now()
				b.until("all are handled", func() bool { st := w.Status(); return st.BlockedKeys == 0 && st.Position == last })
				if d := time.Since(began); d > 40*time.Second {
					b.Errorf("recovered after %v, the next try was due after 36 s at the most", d)
				}
				w.drains()
			})
		})
	}
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

// Two keys that fail now and then, and nothing that succeeds: which of them is to blame?
func TestKeysThatFailTogetherDoNotCount(t *testing.T) {
	bubble(t, func(b *bed) {
		p := mailer(projection.Options{Retry: projection.Retry{Attempts: 4, Max: 5 * time.Minute}},
			func(context.Context, Deposited, event.Event) error { return errBroken })
		b.deposit(1, "a", "b")
		w := b.start(b.config(p))
		pass(2 * time.Hour)
		b.rowsAre(p, "a@1 waiting 3", "b@2 waiting 3")
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

// When half of the keys that may be blocked are, an outage lets no more new events be set
// aside. One that is not in hand any more must be.
func TestAnOutageWithManyBlockedKeysLosesNothing(t *testing.T) {
	const parked, failing = 495, 5
	fill := func(b *bed, fails func(id string)) {
		for i := range parked {
			fails(fmt.Sprint("park", i))
		}
		for i := range failing {
			fails(fmt.Sprint("fail", i))
		}
	}
	t.Run("new events", func(t *testing.T) {
		bubble(t, func(b *bed) {
			var down switchable
			down.set(errBroken)
			p := mailer(projection.Options{}, func(_ context.Context, _ Deposited, ev event.Event) error {
				if strings.HasPrefix(ev.Stream.ID, "park") {
					return projection.Park(errBroken)
				}
				return down.get()
			})
			fill(b, func(id string) { b.deposit(1, id) })
			last := b.deposit(1, "new", "newer", "newest")
			w := b.start(b.config(p))
			pass(5 * time.Hour)
			if st := w.Status(); st.State != worker.Retrying || st.BlockedKeys != parked+failing {
				b.Errorf("the status is %+v", st)
			}
			down.set(nil)
			w.waits(last)
			b.until("only the parked ones are left", func() bool { return len(b.rows(p)) == parked })
			w.drains()
		})
	})
	t.Run("a state that cannot be encoded", func(t *testing.T) {
		bubble(t, func(b *bed) {
			m := projection.NewModel("balances", projection.Fold(func(s *picky, e Deposited, ev event.Event) error {
				switch id := ev.Stream.ID; {
				case strings.HasPrefix(id, "park"):
					return projection.Park(errBroken)
				case strings.HasPrefix(id, "fail"):
					return errBroken
				}
				s.Sum += e.Cents
				return nil
			}))
			fill(b, func(id string) { b.deposit(1, id) })
			odd := b.deposit(-1, "odd")
			w := b.start(b.config(m))
			w.waits(odd)
			if !slices.ContainsFunc(b.rows(m), func(r store.Row) bool { return r.Position == odd }) {
				b.Error("the event is in no state and in no row")
			}
			w.drains()
		})
	})
	t.Run("an event without a key", func(t *testing.T) {
		bubble(t, func(b *bed) {
			k := &keyless{fail: func() { panic("no key") }}
			k.set(errBroken)
			tab := &table{bad: map[event.Position]error{}}
			p := sinkOf(tab, projection.Options{Key: k.of, ParkUnkeyed: true})
			fill(b, func(id string) { tab.bad[b.deposit(1, id)] = projection.Park(errBroken) })
			tab.bad[b.deposit(1, "later")] = projection.RetryAfter(time.Minute, errBroken)
			w := b.start(b.config(p))
			w.waits(parked + failing + 1)
			tab.do(func() { tab.down = errBroken })
			w.becomes(worker.Retrying) // with the event that is due again
			bad := b.deposit(1, "bad")
			pass(5 * time.Second)
			tab.do(func() { tab.down = nil })
			w.waits(bad)
			if !slices.ContainsFunc(b.rows(p), func(r store.Row) bool { return r.Position == bad }) {
				b.Error("the event is neither in the target nor in a row")
			}
			w.drains()
		})
	})
}

func TestMoreBlockedKeysThanAllowedHalt(t *testing.T) {
	for name, verdict := range map[string]error{"parked": projection.Park(errBroken), "waiting": projection.RetryAfter(time.Hour, errBroken)} {
		for kind, p := range map[string]projection.Projection{
			"model":  projection.NewModel("model", projection.Fold(func(*Balance, Deposited, event.Event) error { return verdict })),
			"effect": mailer(projection.Options{}, func(context.Context, Deposited, event.Event) error { return verdict }),
			"sink":   sinkOf(&hooked{&table{}, func(event.Event) error { return verdict }}, projection.Options{PageSize: 20}),
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				bubble(t, func(b *bed) {
					for i := range 1005 {
						b.deposit(1, fmt.Sprint("k", i))
					}
					w := b.start(b.config(p))
					w.becomes(worker.Halted)
					if _, ok := errors.AsType[*worker.CapError](w.Status().Err); !ok {
						b.Fatalf("halted because of %v", w.Status().Err)
					}
					n, info := len(b.rows(p)), b.info(p)
					if n > 1000 || info.Checkpoint != event.Position(n) {
						b.Fatalf("%d rows at checkpoint %d", n, info.Checkpoint)
					}
					w.drains()
					w = b.start(b.config(p)) // it has not forgotten what is stored
					if w.becomes(worker.Halted); len(b.rows(p)) > 1000 {
						b.Fatalf("%d rows", len(b.rows(p)))
					}
					w.drains()
				})
			})
		}
	}
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
