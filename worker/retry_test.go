package worker_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/worker"
)

// attempts records when an event of a stream was tried, since the start.
type attempts struct {
	mu    sync.Mutex
	began time.Time
	times []time.Duration
}

func (a *attempts) tried() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.times = append(a.times, time.Since(a.began).Round(100*time.Millisecond))
}

func (a *attempts) list() []time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.times)
}

// feed appends an event of a fresh key now and then, so that something succeeds between the
// attempts at another one.
func (b *bed) feed(every, long time.Duration) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for i := range int(long / every) {
			select {
			case <-done:
				return
			case <-tick.C:
				b.deposit(1, fmt.Sprintf("other-%d", i))
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

func TestTheScheduleOfAttemptsEndsInParking(t *testing.T) {
	bubble(t, func(b *bed) {
		a := attempts{began: time.Now()}
		p := mailer(projection.Options{}, func(_ context.Context, _ Deposited, ev event.Event) error {
			if ev.Stream.ID == "poison" {
				a.tried()
				return fmt.Errorf("broken %d", len(a.list()))
			}
			return nil
		})
		b.deposit(1, "poison")
		w := b.start(b.config(p))
		stop := b.feed(time.Second, 3*time.Hour)
		defer stop()
		pass(time.Minute)
		if w.Status().Waiting != 1 || w.Status().BlockedKeys != 1 {
			b.Fatalf("after a minute: %+v", w.Status())
		}
		pass(2 * time.Hour)
		b.rowsAre(p, "poison@1 parked 10")
		var sum time.Duration
		for i, pause := range []time.Duration{0, 200, 800, 5000, 15_000, 45_000, 135_000, 405_000, 1_215_000, 3_600_000} {
			sum += pause * time.Millisecond
			if got := a.list(); i >= len(got) || got[i]-sum > 500*time.Millisecond || got[i] < sum {
				b.Fatalf("attempt %d: %v, want at %v", i+1, got, sum)
			}
		}
		if n := len(a.list()); n != 10 {
			b.Fatalf("%d attempts, want 10", n)
		}
		if row := b.rows(p)[0]; row.First != "broken 1" || row.Last != "broken 10" || row.Since.Sub(a.began) > 2*time.Second {
			b.Fatalf("row %+v", row)
		}
		w.drains()
	})
}

func TestARowKeepsTheFirstErrorAndTheLastOne(t *testing.T) {
	for _, goes := range []string{"error", "goexit"} {
		t.Run(goes, func(t *testing.T) {
			bubble(t, func(b *bed) {
				n := 0
				m := projection.NewModel("balances", projection.Fold(func(*Balance, Deposited, event.Event) error {
					if n++; n == 2 && goes == "goexit" {
						goexit()
					}
					return fmt.Errorf("broken %d", n)
				}))
				b.deposit(1, "a")
				w := b.start(b.config(m))
				w.waits(1)
				if row := b.rows(m)[0]; row.First != "broken 1" || row.Last != "broken 3" {
					b.Fatalf("row %+v", row)
				}
				pass(10 * time.Second)
				w.drains()
				if row := b.rows(m)[0]; row.First != "broken 1" || row.Last != fmt.Sprint("broken ", n) || n < 4 {
					b.Fatalf("row %+v after %d tries", row, n)
				}
			})
		})
	}
}

func TestLaterEventsOfABlockedKeyWaitBehindItAndFollowInOrder(t *testing.T) {
	for _, n := range []int{1, 8} {
		t.Run(fmt.Sprintf("concurrency %d", n), func(t *testing.T) {
			bubble(t, func(b *bed) {
				var broken switchable
				broken.set(errBroken)
				var c calls
				p := mailer(projection.Options{Concurrency: n}, func(_ context.Context, _ Deposited, ev event.Event) error {
					if ev.Stream.ID != "bad" {
						return nil
					}
					if err := broken.get(); err != nil {
						return err
					}
					c.add("%d", ev.Position)
					return nil
				})
				b.deposit(1, "bad", "good", "bad", "good", "bad")
				w := b.start(b.config(p))
				w.waits(5)
				b.rowsAre(p, "bad@1 waiting 3", "bad@3 waiting 0", "bad@5 waiting 0")
				w.waits(b.deposit(1, "good", "bad"))
				b.rowsAre(p, "bad@1 waiting 3", "bad@3 waiting 0", "bad@5 waiting 0", "bad@7 waiting 0")
				broken.set(nil)
				pass(10 * time.Second)
				if got := strings.Join(c.list(), " "); got != "1 3 5 7" {
					b.Fatalf("handled %q, want 1 3 5 7", got)
				}
				w.waits(b.deposit(1, "bad"))
				if got := strings.Join(c.list(), " "); got != "1 3 5 7 8" {
					b.Fatalf("handled %q, want 1 3 5 7 8", got)
				}
				b.rowsAre(p)
				if st := w.Status(); st.BlockedKeys != 0 || st.Err != nil {
					b.Fatalf("all is well, and the status is %+v", st)
				}
				w.drains()
			})
		})
	}
}

func TestAModelFoldsAParkedKeyInOrderAfterARetry(t *testing.T) {
	bubble(t, func(b *bed) {
		var broken switchable
		broken.set(projection.Park(errBroken))
		m := projection.NewModel("balances", projection.Fold(func(s *Balance, e Deposited, ev event.Event) error {
			s.Cents += 1000 // spoils the state before it fails
			if ev.Position == 3 {
				if err := broken.get(); err != nil {
					return err
				}
			}
			s.Cents -= 1000
			return s.deposit(e, ev)
		}))
		b.deposit(1, "a", "b", "a", "b", "a")
		w := b.start(b.config(m))
		w.waits(5)
		b.rowsAre(m, "a@3 parked 1", "a@5 waiting 0")
		if got := b.balance(m, "a"); got.Cents != 1 || !slices.Equal(got.Seen, []event.Position{1}) {
			b.Fatalf("the state of the blocked key is %+v, want that before the parked event", got)
		}
		if got := b.balance(m, "b"); got.Cents != 2 {
			b.Fatalf("the other key is %+v", got)
		}
		w.waits(b.deposit(1, "a"))
		pass(time.Hour)
		b.rowsAre(m, "a@3 parked 1", "a@5 waiting 0", "a@6 waiting 0")
		broken.set(nil)
		if err := w.Retry(b.Context(), "a"); err != nil {
			b.Fatal(err)
		}
		b.until("unblocked", func() bool { return w.Status().BlockedKeys == 0 })
		w.waits(b.deposit(1, "a"))
		if got := b.balance(m, "a"); got.Cents != 5 || !slices.Equal(got.Seen, []event.Position{1, 3, 5, 6, 7}) {
			b.Fatalf("after the retry: %+v", got)
		}
		b.rowsAre(m)
		if info := b.info(m); len(info.Wish.Retry) != 0 {
			b.Fatalf("the wish is still there: %+v", info.Wish)
		}
		w.drains()
	})
}

func TestARetryIsObeyedByTheNextHolder(t *testing.T) {
	bubble(t, func(b *bed) {
		var broken switchable
		broken.set(projection.Park(errBroken))
		p := mailer(projection.Options{}, func(context.Context, Deposited, event.Event) error { return broken.get() })
		b.deposit(1, "a")
		w := b.start(b.config(p))
		w.waits(1)
		w.drains()
		broken.set(nil)
		if err := w.Retry(b.Context(), ""); err != nil {
			b.Fatal(err)
		}
		b.rowsAre(p, "a@1 parked 1")
		w = b.start(b.config(p))
		b.until("handled", func() bool { return w.Status().State == worker.Live && len(b.rows(p)) == 0 })
		w.drains()
	})
}

func TestRetryAfterIsTheDueTimeAndHoldsNothingElse(t *testing.T) {
	bubble(t, func(b *bed) {
		a := attempts{began: time.Now()}
		p := mailer(projection.Options{}, func(_ context.Context, _ Deposited, ev event.Event) error {
			if ev.Stream.ID != "later" {
				return nil
			}
			a.tried()
			if len(a.list()) == 1 {
				return projection.RetryAfter(time.Hour, errBroken)
			}
			return nil
		})
		b.deposit(1, "later", "b")
		w := b.start(b.config(p))
		w.waits(2)
		if d := time.Since(a.began); d > time.Second {
			b.Fatalf("the other key waited %v", d)
		}
		pass(2 * time.Hour)
		if got := a.list(); len(got) != 2 || got[1] != time.Hour {
			b.Fatalf("tried at %v, want 0 and 1 h", got)
		}
		b.rowsAre(p)
		w.drains()
	})
}

func TestPanicsAndGoexitAreFailuresOfTheEvent(t *testing.T) {
	type spoil func()
	for name, f := range map[string]spoil{
		"panic":  func() { panic("boom") },
		"goexit": func() { goexit() },
		"error":  func() { panic(errBroken) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				var fixed switchable
				fixed.set(errBroken)
				bad := func(ev event.Event) {
					if ev.Position == 2 && fixed.get() != nil {
						f()
					}
				}
				m := projection.NewModel("balances", projection.Fold(func(s *Balance, e Deposited, ev event.Event) error {
					s.Cents = -1000
					bad(ev)
					s.Cents = int64(len(s.Seen))
					return s.deposit(e, ev)
				}))
				p := mailer(projection.Options{}, func(_ context.Context, _ Deposited, ev event.Event) error {
					bad(ev)
					return nil
				})
				p8 := projection.NewEffect("mailer8", projection.On(func(_ context.Context, _ Deposited, ev event.Event) error {
					bad(ev)
					return nil
				})).With(projection.Options{Start: store.AtPosition(1), Concurrency: 8})
				b.deposit(1, "a", "a", "b", "a")
				var ws []*running
				all := []projection.Projection{m, p, p8}
				for _, x := range all {
					w := b.start(b.config(x))
					w.waits(4)
					b.rowsAre(x, "a@2 waiting 3", "a@4 waiting 0")
					ws = append(ws, w)
				}
				if got := b.rows(p)[0].Last; name == "panic" && !strings.Contains(got, "retry_test.go") {
					b.Fatalf("no stack in %q", got)
				}
				fixed.set(nil)
				pass(time.Minute)
				for i, x := range all {
					b.rowsAre(x)
					ws[i].drains()
				}
				if got := b.balance(m, "a"); got.Cents != 3 || len(got.Seen) != 3 {
					b.Fatalf("state %+v", got)
				}
			})
		})
	}
}

func TestAPayloadThatDoesNotDecodeTakesTheSamePathAndCounts(t *testing.T) {
	bubble(t, func(b *bed) {
		p := mailer(projection.Options{Retry: projection.Retry{Attempts: 4}}, func(context.Context, Deposited, event.Event) error { return nil })
		b.append(accounts.Stream("a"), other{})
		b.deposit(1, "b")
		w := b.start(b.config(p))
		w.waits(2)
		b.rowsAre(p, "a@1 waiting 3")
		pass(time.Minute)
		b.rowsAre(p, "a@1 parked 4")
		w.drains()
	})
}

// other is stored as a deposit and cannot be read as one.
type other struct{}

func (other) EventType() event.Type        { return Deposited{}.EventType() }
func (other) MarshalJSON() ([]byte, error) { return []byte(`{"Cents":"many"}`), nil }

func TestStandingOrderOfAttemptsIsShownInTheDelivery(t *testing.T) {
	bubble(t, func(b *bed) {
		var c calls
		p := mailer(projection.Options{}, func(ctx context.Context, _ Deposited, ev event.Event) error {
			d := projection.DeliveryFrom(ctx)
			c.add("%d %s %t", d.Attempt, d.Key, d.Term > 0)
			if len(c.list()) < 5 {
				return errBroken
			}
			return nil
		})
		b.deposit(1, "a")
		w := b.start(b.config(p))
		b.until("handled", func() bool { return len(c.list()) == 5 })
		synctest.Wait()
		want := "1 a true,2 a true,3 a true,4 a true,4 a true"
		if got := strings.Join(c.list(), ","); got != want {
			b.Fatalf("deliveries %q, want %q: the fourth did not count, nothing else had succeeded", got, want)
		}
		w.drains()
	})
}
