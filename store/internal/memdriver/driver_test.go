package memdriver_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

// The contract is tested by package storetest; here is what tests use beyond it.

func setup(t *testing.T, o memdriver.Options) *memdriver.Driver {
	t.Helper()
	d := memdriver.New(o)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}

func opened() *store.Txn {
	return &store.Txn{Appends: []store.Appending{{
		Stream: event.Stream{Aggregate: "account", ID: "ann"}, Expect: store.Any,
		Events: []event.Event{{ID: event.NewID(), Name: "opened", SchemaVersion: 1}},
	}}}
}

func version(t *testing.T, d *memdriver.Driver) uint64 {
	t.Helper()
	info, err := d.Stream(t.Context(), event.Stream{Aggregate: "account", ID: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	return info.Version
}

func TestBeforeCommitAnswersInTheDriversPlace(t *testing.T) {
	t.Parallel()
	calls := 0
	d := setup(t, memdriver.Options{Faults: memdriver.Faults{BeforeCommit: func(*store.Txn) error {
		if calls++; calls == 1 {
			return store.ErrUnknown
		}
		return nil
	}}})
	if _, err := d.Commit(t.Context(), opened()); !errors.Is(err, store.ErrUnknown) || version(t, d) != 0 {
		t.Errorf("the first commit: %v, and the version is %d; want ErrUnknown and nothing written", err, version(t, d))
	}
	if _, err := d.Commit(t.Context(), opened()); err != nil || version(t, d) != 1 {
		t.Errorf("the second commit: %v, and the version is %d", err, version(t, d))
	}
}

func TestAfterCommitHidesWhatWasWritten(t *testing.T) {
	t.Parallel()
	var res store.Result
	d := setup(t, memdriver.Options{Faults: memdriver.Faults{AfterCommit: func(_ *store.Txn, r store.Result) error {
		res = r
		return store.ErrUnknown
	}}})
	if _, err := d.Commit(t.Context(), opened()); !errors.Is(err, store.ErrUnknown) || version(t, d) != 1 {
		t.Errorf("commit: %v, and the version is %d; want ErrUnknown and the event", err, version(t, d))
	}
	if res.Position != 1 || d.Crash().Close() != nil {
		t.Errorf("the hook saw %+v", res)
	}
}

func TestReadFault(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	d := setup(t, memdriver.Options{Faults: memdriver.Faults{Read: func(s store.Scan) error {
		if s.Backward {
			return broken
		}
		return nil
	}}})
	if _, err := d.Read(t.Context(), store.Scan{Limit: 1, Examine: 1, Backward: true}); !errors.Is(err, broken) {
		t.Errorf("read: %v, want the fault", err)
	}
	if _, err := d.Read(t.Context(), store.Scan{Limit: 1, Examine: 1}); err != nil {
		t.Errorf("read: %v", err)
	}
}

func TestFailStopsWritesAndNotReads(t *testing.T) {
	t.Parallel()
	d := setup(t, memdriver.Options{})
	if _, err := d.Commit(t.Context(), opened()); err != nil {
		t.Fatal(err)
	}
	cause := errors.New("disk on fire")
	d.Fail(cause)
	d.Fail(errors.New("too late to be the cause"))
	<-d.Failed()
	_, commitErr := d.Commit(t.Context(), opened())
	_, claimErr := d.Claim(t.Context(), store.Claim{Key: "a", Worker: event.NewID(), TTL: time.Minute})
	for name, err := range map[string]error{"Err": d.Err(), "Commit": commitErr, "Claim": claimErr, "Sync": d.Sync(t.Context())} {
		if !errors.Is(err, store.ErrFailed) || !errors.Is(err, cause) {
			t.Errorf("%s: %v, want ErrFailed with its cause", name, err)
		}
	}
	if version(t, d) != 1 {
		t.Error("a failed driver does not read")
	}
}

func TestCrashLosesWhatIsNotDurableAndReopenDoesNot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := setup(t, memdriver.Options{})
		put := func(key string) {
			t.Helper()
			txn := &store.Txn{Puts: []store.Record{{Key: key, Revision: 1}}, NoSync: true}
			if _, err := d.Commit(t.Context(), txn); err != nil {
				t.Fatal(err)
			}
		}
		has := func(d *memdriver.Driver, key string) bool {
			_, err := d.Get(t.Context(), key)
			return err == nil
		}
		put("old")
		<-time.After(99 * time.Millisecond)
		if after := d.Crash(); has(after, "old") {
			t.Error("a NoSync commit survived a crash after 99 ms")
		}
		<-time.After(time.Millisecond)
		put("new")
		if after := d.Crash(); !has(after, "old") || has(after, "new") {
			t.Errorf("after a crash: old %t, new %t; want the old one only", has(after, "old"), has(after, "new"))
		}
		if after := d.Reopen(); !has(after, "old") || !has(after, "new") {
			t.Error("a reopen lost something")
		}
		if _, err := d.Head(t.Context()); !errors.Is(err, store.ErrClosed) {
			t.Errorf("the reopened driver: %v, want ErrClosed", err)
		}
	})
}

func TestLeasesRunOutInABubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := setup(t, memdriver.Options{})
		claim := store.Claim{Key: "a", Worker: event.NewID(), TTL: 10 * time.Second}
		term, err := d.Claim(t.Context(), claim)
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(9 * time.Second)
		if err := d.Renew(t.Context(), []store.LeaseRef{{Key: "a", Term: term, TTL: 10 * time.Second}})[0]; err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		if err := d.WaitFree(t.Context(), "a"); err != nil || time.Since(begun) != 10*time.Second {
			t.Errorf("the lease was free after %v: %v", time.Since(begun), err)
		}
		if err := d.Renew(t.Context(), []store.LeaseRef{{Key: "a", Term: term, TTL: time.Second}})[0]; !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("renewal of a lease that ran out: %v, want ErrLeaseLost", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := d.Wait(ctx, 0, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait: %v, want the context's error", err)
		}
	})
}

func TestLimitsOfOptionsStandOverThePortableOnes(t *testing.T) {
	t.Parallel()
	want := store.PortableLimits()
	want.AppendEvents = 3
	if got := setup(t, memdriver.Options{Limits: store.Limits{AppendEvents: 3}}).Limits(); got != want {
		t.Errorf("limits %+v, want %+v", got, want)
	}
}
