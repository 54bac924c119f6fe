package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

var balances = store.SubscriberKey{Projection: "balances"}

func claim(tb testing.TB, u *store.Subscriber) *store.Lease {
	tb.Helper()
	l, err := u.Claim(tb.Context(), event.NewID(), time.Minute)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

func info(tb testing.TB, u *store.Subscriber) store.SubscriberInfo {
	tb.Helper()
	i, err := u.Info(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return i
}

func TestClaimGivesRisingTerms(t *testing.T) {
	t.Parallel()
	st, d := setup(t, memdriver.Options{})
	u := st.Subscriber(balances)
	first := claim(t, u)
	_, err := u.Claim(t.Context(), event.NewID(), time.Minute)
	wantError(t, err, store.ErrHeld)
	held, _ := errors.AsType[*store.HeldError](err)
	wantEqual(t, "holder", held.Worker, first.Worker())
	for _, c := range []struct {
		worker event.ID
		want   bool
	}{{first.Worker(), true}, {event.NewID(), false}, {event.ID{}, false}} {
		running, err := u.Running(t.Context(), c.worker)
		if err != nil || running != c.want {
			t.Fatal(running, err)
		}
	}
	wantEqual(t, "key", first.Key(), balances)
	wantEqual(t, "key", u.Key(), balances)
	if err := first.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantError(t, first.Release(t.Context()), store.ErrLeaseLost)
	wantError(t, first.Renew(t.Context()), store.ErrLeaseLost)
	second := claim(t, u)
	if second.Term() <= first.Term() {
		t.Fatalf("term %d after %d", second.Term(), first.Term())
	}
	wantError(t, first.Release(t.Context()), store.ErrLeaseLost)
	if err := second.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	third := claim(t, open(t, d.Reopen()).Subscriber(balances))
	if third.Term() <= second.Term() {
		t.Fatalf("term %d after %d", third.Term(), second.Term())
	}
}

func TestClaimRefusesBadInput(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	u := st.Subscriber(balances)
	_, err := u.Claim(t.Context(), event.ID{}, time.Minute)
	wantInvalid(t, err, "worker")
	_, err = u.Claim(t.Context(), event.NewID(), 0)
	wantInvalid(t, err, "ttl")
	bad := st.Subscriber(store.SubscriberKey{Projection: "a\x00"})
	_, err = bad.Claim(t.Context(), event.NewID(), time.Minute)
	wantInvalid(t, err, "SubscriberKey.Projection")
	_, err = bad.Info(t.Context())
	wantInvalid(t, err, "SubscriberKey.Projection")
	wantInvalid(t, bad.Delete(t.Context()), "SubscriberKey.Projection")
	wantInvalid(t, failure(bad.Rows(t.Context(), store.Range{})), "SubscriberKey.Projection")
	wantInvalid(t, bad.SetPaused(t.Context(), "x"), "SubscriberKey.Projection")

	small, _ := setup(t, memdriver.Options{}, func(o *store.Options) { o.Limits.KeyBytes = 10 })
	_, err = small.Subscriber(balances).Info(t.Context())
	wantInvalid(t, err, "SubscriberKey")
}

func TestLeaseExpiresAndIsRenewed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, _ := setup(t, memdriver.Options{})
		a, b := st.Subscriber(balances), st.Subscriber(store.SubscriberKey{Projection: "b"})
		la, lb := claim(t, a), claim(t, b)
		time.Sleep(40 * time.Second)
		for _, err := range st.Renew(t.Context(), []*store.Lease{la}) {
			if err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(30 * time.Second)
		errs := st.Renew(t.Context(), []*store.Lease{la, lb})
		if errs[0] != nil {
			t.Fatal(errs[0])
		}
		wantError(t, errs[1], store.ErrLeaseLost)
		wantEqual(t, "holder of b", info(t, b).Worker, event.ID{})
		if err := b.WaitFree(t.Context()); err != nil {
			t.Fatal(err)
		}
		freed := make(chan error)
		go func() { freed <- a.WaitFree(t.Context()) }()
		synctest.Wait()
		if err := la.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-freed; err != nil {
			t.Fatal(err)
		}
	})
}

func TestRenewOfOtherStoresLeaseIsRefused(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	other, _ := setup(t, memdriver.Options{})
	l := claim(t, other.Subscriber(balances))
	wantInvalid(t, st.Renew(t.Context(), []*store.Lease{l})[0], "leases")
	wantEqual(t, "answers", len(st.Renew(t.Context(), nil)), 0)
}

func TestTakeoverLetsTheHolderDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, _ := setup(t, memdriver.Options{})
		u := st.Subscriber(balances)
		old := claim(t, u)
		taker := event.NewID()
		taken := make(chan *store.Lease)
		go func() {
			l, err := u.Takeover(t.Context(), taker, time.Minute, 30*time.Second)
			if err != nil {
				t.Error(err)
			}
			taken <- l
		}()
		synctest.Wait()
		w, err := u.Wish(t.Context())
		if err != nil || w.Drain != taker {
			t.Fatal("the wish is not there", w, err)
		}
		if err := old.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		l := <-taken
		wantEqual(t, "holder", info(t, u).Worker, taker)
		wantEqual(t, "wish afterwards", info(t, u).Wish.Drain, event.ID{})
		if l.Term() <= old.Term() {
			t.Fatal("the term did not rise")
		}
	})
}

func TestTakeoverForcesAfterGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, _ := setup(t, memdriver.Options{})
		u := st.Subscriber(balances)
		old := claim(t, u)
		start := time.Now()
		l, err := u.Takeover(t.Context(), event.NewID(), time.Minute, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "waited", time.Since(start), 5*time.Second)
		_, err = old.Commit(t.Context(), store.Commit{})
		wantError(t, err, store.ErrLeaseLost)
		if _, err := l.Commit(t.Context(), store.Commit{}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = u.Takeover(ctx, event.NewID(), time.Minute, time.Hour)
		wantError(t, err, context.DeadlineExceeded)
		wantEqual(t, "wish after giving up", info(t, u).Wish.Drain, event.ID{})
		wantEqual(t, "holder after giving up", info(t, u).Worker, l.Worker())
	})
}

func TestTakeoverOfAFreeLeaseIsAClaim(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	u := st.Subscriber(balances)
	if _, err := u.Takeover(t.Context(), event.NewID(), time.Minute, time.Hour); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "wish", fmt.Sprint(info(t, u).Wish), fmt.Sprint(store.Wish{}))
}

func TestCrashesCountsProcessesThatDiedAtOneCheckpoint(t *testing.T) {
	t.Parallel()
	d := memdriver.New(memdriver.Options{})
	st := open(t, d)
	deposit(t, st, "a", 3)
	restart := func() *store.Subscriber { // as a crash of the process does
		d = d.Reopen()
		return open(t, d).Subscriber(balances)
	}
	u := restart()
	wantEqual(t, "crashes at the first claim", claim(t, u).Crashes(), 0)
	for want := 1; want <= 3; want++ {
		wantEqual(t, "crashes", claim(t, restart()).Crashes(), want)
	}
	u = restart()
	l := claim(t, u)
	wantEqual(t, "crashes", l.Crashes(), 4)
	if err := l.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	l = claim(t, restart())
	wantEqual(t, "crashes after a release before any progress", l.Crashes(), 0)
	if _, err := l.Commit(t.Context(), store.Commit{To: 1}); err != nil {
		t.Fatal(err)
	}
	u = restart()
	l = claim(t, u)
	wantEqual(t, "crashes after progress", l.Crashes(), 0)
	l = claim(t, restart())
	wantEqual(t, "crashes", l.Crashes(), 1)
	if err := l.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	l = claim(t, restart())
	wantEqual(t, "crashes after a release", l.Crashes(), 0)
	if _, err := l.Commit(t.Context(), store.Commit{From: 1, To: 3}); err != nil {
		t.Fatal(err)
	}
	claim(t, restart())
	l = claim(t, restart())
	wantEqual(t, "crashes at the head", l.Crashes(), 0)
}

func TestCrashesIgnoresTakeoverAndExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, d := setup(t, memdriver.Options{})
		deposit(t, st, "a", 3)
		u := st.Subscriber(balances)
		claim(t, u)
		time.Sleep(2 * time.Minute)
		wantEqual(t, "crashes after expiry", claim(t, u).Crashes(), 0)
		// another process, while the holder lives: two stores on one driver
		other, err := store.New(d, nil)
		if err != nil {
			t.Fatal(err)
		}
		l, err := other.Subscriber(balances).Takeover(t.Context(), event.NewID(), time.Minute, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "crashes after takeover", l.Crashes(), 0)
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestDriverWithoutLeasesSaysSo(t *testing.T) {
	t.Parallel()
	st := open(t, plain{memdriver.New(memdriver.Options{}), store.Traits{}})
	u := st.Subscriber(balances)
	_, err := u.Claim(t.Context(), event.NewID(), time.Minute)
	wantError(t, err, store.ErrUnsupported)
	wantError(t, u.WaitFree(t.Context()), store.ErrUnsupported)
	_, err = u.Running(t.Context(), event.NewID())
	wantError(t, err, store.ErrUnsupported)
	wantEqual(t, "holder", info(t, u).Worker, event.ID{})
	if err := u.SetPaused(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "subscribers", len(collect(t, st.Subscribers(t.Context()))), 1)
	if err := u.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "subscribers", len(collect(t, st.Subscribers(t.Context()))), 0)
}

func TestInHandIsWhatADeadProcessHad(t *testing.T) {
	t.Parallel()
	d := memdriver.New(memdriver.Options{})
	st := open(t, d)
	deposit(t, st, "a", 9)
	restart := func() *store.Subscriber {
		d = d.Reopen()
		return open(t, d).Subscriber(balances)
	}
	take := func(l *store.Lease, from, to, hand event.Position) {
		t.Helper()
		if _, err := l.Commit(t.Context(), store.Commit{From: from, To: to, InHand: hand}); err != nil {
			t.Fatal(err)
		}
	}
	release := func(l *store.Lease) {
		t.Helper()
		if err := l.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	u := restart()
	take(claim(t, u), 0, 1, 2)
	if err := u.ReleaseLease(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := claim(t, u)
	wantEqual(t, "in hand after the lease was ended by force", l.InHand(), 0)
	take(l, 1, 1, 2)
	l, err := u.Takeover(t.Context(), event.NewID(), time.Minute, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "in hand after a takeover", l.InHand(), 0)
	take(l, 1, 1, 2)
	release(l)
	l = claim(t, u)
	wantEqual(t, "in hand after a release", l.InHand(), 0)
	take(l, 1, 2, 3)
	if err := u.ReleaseLease(t.Context()); err != nil {
		t.Fatal(err)
	}
	u = restart()
	l = claim(t, u)
	wantEqual(t, "in hand of who was fenced before its process died", l.InHand(), 0)
	take(l, 2, 2, 3)

	u = restart()
	l = claim(t, u)
	wantEqual(t, "in hand after a death", l.InHand(), 3)
	release(l) // without doing anything
	l = claim(t, restart())
	wantEqual(t, "in hand, when nobody has done anything about it", l.InHand(), 3)
	take(l, 2, 2, l.InHand()) // as a control write does, which leaves it alone
	release(l)
	u = restart()
	l = claim(t, u)
	wantEqual(t, "in hand after a control write", l.InHand(), 3)
	take(l, 2, 3, 4)
	if err := u.ReleaseLease(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "in hand of who went on and was fenced", claim(t, u).InHand(), 0)
}

func TestInHandIsNobodysAfterExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, _ := setup(t, memdriver.Options{})
		deposit(t, st, "a", 3)
		u := st.Subscriber(balances)
		if _, err := claim(t, u).Commit(t.Context(), store.Commit{InHand: 1}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		wantEqual(t, "in hand after expiry", claim(t, u).InHand(), 0)
	})
}
