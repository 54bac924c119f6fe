package worker_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/worker"
)

func TestAStandbyTakesOverAtOnceAfterARelease(t *testing.T) {
	bubble(t, func(b *bed) {
		m := balances(projection.Options{})
		first := b.start(b.config(m))
		first.becomes(worker.Live)
		second := b.start(b.config(m))
		second.becomes(worker.Standby)
		pass(time.Minute) // the first one renews
		if st := second.Status().State; st != worker.Standby {
			b.Fatalf("the second is %s while the first renews", st)
		}
		at := time.Now()
		first.drains()
		second.becomes(worker.Live)
		if took := time.Since(at); took > 10*time.Millisecond {
			b.Fatalf("took over after %v", took)
		}
		second.drains()
	})
}

// silent is a Renewer that renews nothing.
type silent struct{}

func (silent) Add(*store.Lease, func(error)) func() { return func() {} }

func TestAStandbyTakesOverAfterExpiryAndTheZombieIsRefused(t *testing.T) {
	bubble(t, func(b *bed) {
		wake, started := make(chan struct{}), make(chan struct{})
		var once sync.Once
		p := mailer(projection.Options{}, func(_ context.Context, _ Deposited, ev event.Event) error {
			frozen := false
			once.Do(func() { frozen = true })
			if frozen {
				close(started)
				<-wake // ignores its context
			}
			return nil
		})
		b.deposit(1, "a")
		c := b.config(p)
		c.Renewer = silent{} // as if the process was frozen
		zombie := b.start(c)
		<-started
		second := b.start(b.config(p))
		second.waits(1)
		term := b.info(p).Term
		close(wake)
		if err := zombie.ends(); !errors.Is(err, store.ErrLeaseLost) {
			b.Fatalf("the zombie ended with %v, want ErrLeaseLost", err)
		}
		if info := b.info(p); info.Term != term || info.Checkpoint != 1 || info.Worker != second.Status().Worker {
			b.Fatalf("the zombie changed something: %+v", info)
		}
		second.drains()
	})
}

func TestAHandlersContextEndsWithTheLeaseAndSaysWhy(t *testing.T) {
	bubble(t, func(b *bed) {
		started := make(chan struct{})
		cause := make(chan error, 1)
		p := mailer(projection.Options{}, func(ctx context.Context, _ Deposited, ev event.Event) error {
			close(started)
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return ctx.Err()
		})
		b.deposit(1, "a")
		w := b.start(b.config(p))
		<-started
		if err := b.store.Subscriber(b.config(p).Key).ReleaseLease(b.Context()); err != nil {
			b.Fatal(err)
		}
		if err := <-cause; !errors.Is(err, store.ErrLeaseLost) {
			b.Fatalf("cause %v, want ErrLeaseLost", err)
		}
		if err := w.ends(); !errors.Is(err, store.ErrLeaseLost) {
			b.Fatalf("Run: %v, want ErrLeaseLost", err)
		}
		b.rowsAre(p) // an error after the context ended is no attempt
	})
}

// failing is a Renewer whose renewals fail for a reason that says nothing about the lease.
type failing struct{ lost chan func(error) }

func (f failing) Add(_ *store.Lease, lost func(error)) func() {
	f.lost <- lost
	return func() {}
}

// keeper is a Renewer that counts the leases it is to renew.
type keeper struct{ leases atomic.Int64 }

func (k *keeper) Add(*store.Lease, func(error)) func() {
	k.leases.Add(1)
	return func() { k.leases.Add(-1) }
}

func TestALeaseIsRenewedNoLongerThanTheWorkLasts(t *testing.T) {
	bubble(t, func(b *bed) {
		var k keeper
		m := balances(projection.Options{})
		c := b.config(m)
		c.Renewer = &k
		for range 2 {
			w := b.start(c)
			w.becomes(worker.Live)
			if n := k.leases.Load(); n != 1 {
				b.Errorf("%d leases are renewed, the worker has one", n)
			}
			w.drains()
			if n := k.leases.Load(); n != 0 {
				b.Errorf("%d leases are renewed, and nobody is at work", n)
			}
		}
	})
}

func TestALeaseThatTheRenewerCannotRenewIsRenewedByTheWorker(t *testing.T) {
	bubble(t, func(b *bed) {
		m := balances(projection.Options{})
		f := failing{make(chan func(error), 1)}
		c := b.config(m)
		c.Renewer = f
		w := b.start(c)
		lost := <-f.lost
		w.becomes(worker.Live)
		for range 20 {
			pass(3 * time.Second)
			lost(errors.New("network down"))
		}
		if info := b.info(m); info.Worker != w.Status().Worker {
			b.Fatalf("the lease ran out: %+v", info)
		}
		w.drains()
	})
}

func TestAHandlersContextEndsWhenTheRenewerHearsThatTheLeaseIsLost(t *testing.T) {
	bubble(t, func(b *bed) {
		started := make(chan struct{})
		cause := make(chan error, 1)
		p := mailer(projection.Options{}, func(ctx context.Context, _ Deposited, ev event.Event) error {
			close(started)
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return ctx.Err()
		})
		b.deposit(1, "a")
		f := failing{make(chan func(error), 1)}
		c := b.config(p)
		c.Renewer = f
		w := b.start(c)
		lost := <-f.lost
		<-started
		lost(&store.LeaseLostError{Key: c.Key, What: "term"})
		select {
		case err := <-cause:
			if !errors.Is(err, store.ErrLeaseLost) {
				b.Errorf("cause %v, want ErrLeaseLost", err)
			}
		case <-time.After(time.Second):
			b.Fatal("the handler goes on without a lease")
		}
		if err := w.ends(); !errors.Is(err, store.ErrLeaseLost) {
			b.Fatalf("Run: %v, want ErrLeaseLost", err)
		}
		b.rowsAre(p)
	})
}

func TestATakeoverDrainsItsPredecessor(t *testing.T) {
	bubble(t, func(b *bed) {
		finish, started := make(chan struct{}), make(chan struct{})
		var once sync.Once
		var c calls
		p := mailer(projection.Options{}, func(_ context.Context, _ Deposited, ev event.Event) error {
			once.Do(func() {
				close(started)
				<-finish
			})
			c.add("%d", ev.Position)
			return nil
		})
		b.deposit(1, "a", "b", "c")
		first := b.start(b.config(p))
		<-started
		cfg := b.config(p)
		cfg.Takeover = true
		second := b.start(cfg)
		pass(4 * time.Second)
		close(finish)
		second.becomes(worker.Live)
		second.waits(3)
		first.becomes(worker.Standby)
		if got := c.list(); len(got) != 3 {
			b.Fatalf("handled %q, want each once: the first one finished what it had in hand", got)
		}
		second.drains()
		first.becomes(worker.Live) // it stood by
		first.drains()
	})
}

func TestAWishToTakeOverThatNobodyFollowsIsForgotten(t *testing.T) {
	bubble(t, func(b *bed) {
		m := balances(projection.Options{})
		key := b.config(m).Key
		err := b.store.Subscriber(key).SetWish(b.Context(), func(w *store.Wish) error {
			w.Drain = event.NewID() // of a process that died
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		b.deposit(1, "a")
		w := b.start(b.config(m))
		at := time.Now()
		w.becomes(worker.Live)
		if took := time.Since(at); took < 20*time.Second || took > 25*time.Second {
			b.Fatalf("worked after %v, want two lease times", took)
		}
		w.drains()
	})
}

func TestAPauseDrainsReleasesAndWaits(t *testing.T) {
	bubble(t, func(b *bed) {
		m := balances(projection.Options{})
		w := b.start(b.config(m))
		w.waits(b.deposit(1, "a"))
		sub := b.store.Subscriber(b.config(m).Key)
		if err := sub.SetPaused(b.Context(), "maintenance"); err != nil {
			b.Fatal(err)
		}
		w.Nudge()
		w.becomes(worker.Paused)
		info := b.info(m)
		if !info.Worker.IsZero() || info.Checkpoint != 1 {
			b.Fatalf("paused, and still %+v", info)
		}
		b.deposit(1, "a")
		err := w.Wait(b.Context(), 2)
		if se, ok := errors.AsType[*worker.StateError](err); !ok || se.State != worker.Paused {
			b.Fatalf("Wait while paused: %v", err)
		}
		pass(time.Minute)
		if got := b.balance(m, "a").Cents; got != 1 {
			b.Fatalf("handled while paused: %d cents", got)
		}
		if err := sub.SetPaused(b.Context(), ""); err != nil {
			b.Fatal(err)
		}
		w.becomes(worker.Live) // without a nudge: it looks now and then
		w.waits(2)
		w.drains()
	})
}

func TestAPauseIsObeyedByABusyWorkerWithoutANudge(t *testing.T) {
	bubble(t, func(b *bed) {
		p := mailer(projection.Options{}, func(ctx context.Context, _ Deposited, ev event.Event) error {
			pass(100 * time.Millisecond)
			return nil
		})
		for range 200 {
			b.deposit(1, "a")
		}
		w := b.start(b.config(p))
		w.becomes(worker.Live) // one page
		pass(time.Second)
		if err := b.store.Subscriber(b.config(p).Key).SetPaused(b.Context(), "stop"); err != nil {
			b.Fatal(err)
		}
		pass(5 * time.Second)
		if st := w.Status(); st.State != worker.Paused {
			b.Fatalf("5 s after the pause: %s", st.State)
		}
		w.drains()
	})
}

func TestAHaltIsStoredAndSurvives(t *testing.T) {
	bubble(t, func(b *bed) {
		var fix switchable
		fix.set(projection.Halt(errBroken))
		p := mailer(projection.Options{}, func(_ context.Context, _ Deposited, ev event.Event) error {
			if ev.Position == 2 {
				return fix.get()
			}
			return nil
		})
		b.deposit(1, "a", "b", "c")
		w := b.start(b.config(p))
		w.becomes(worker.Halted)
		if st := w.Status(); !errors.Is(st.Err, errBroken) {
			b.Fatalf("halted because of %v", st.Err)
		}
		if info := b.info(p); info.Checkpoint != 1 || info.Wish.Halted == "" || !info.Worker.IsZero() {
			b.Fatalf("halted with %+v", info)
		}
		w.drains()
		w = b.start(b.config(p))
		w.becomes(worker.Halted)
		pass(time.Minute)
		fix.set(nil)
		err := b.store.Subscriber(b.config(p).Key).SetWish(b.Context(), func(w *store.Wish) error { w.Halted = ""; return nil })
		if err != nil {
			b.Fatal(err)
		}
		w.Nudge()
		b.until("resumed", func() bool { return w.Status().State == worker.Live })
		w.waits(3)
		w.drains()
	})
}

func TestAnIdleWorkerReadsAndWritesNothing(t *testing.T) {
	bubble(t, func(b *bed) {
		m := balances(projection.Options{})
		w := b.start(b.config(m))
		w.waits(b.deposit(1, "a"))
		w.becomes(worker.Live)
		synctest.Wait()
		before := b.info(m)
		for range 50 {
			b.note()
		}
		pass(10 * time.Minute)
		after := b.info(m)
		if !after.UpdatedAt.Equal(before.UpdatedAt) {
			b.Fatalf("idle, and it committed at %v after %v", after.UpdatedAt, before.UpdatedAt)
		}
		if st := w.Status(); st.Covered != 51 || st.Backlog != 0 || st.Position != 1 {
			b.Fatalf("idle with %+v, want everything covered", st)
		}
		w.drains()
	})
}
