package pebblestore

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/crashfs"
	"github.com/riffle-go/riffle/store"
)

const termKey = "st/worker"

// bubble runs a lease test in a synctest bubble, where time passes when all wait.
func bubble(t *testing.T, f func(t *testing.T, d *driver)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, err := openRaw(vfs.NewMem(), "db", quiet)
		if err != nil {
			t.Fatal(err)
		}
		f(t, d)
		if err := d.Verify(t.Context(), nil); err != nil && !errors.Is(err, store.ErrClosed) {
			t.Error(err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}

func claim(t *testing.T, d *driver, worker event.ID, force bool) uint64 {
	t.Helper()
	term, err := d.Claim(t.Context(), store.Claim{Key: termKey, Value: []byte("v"), Worker: worker, TTL: 10 * time.Second, Force: force})
	if err != nil {
		t.Fatal(err)
	}
	return term
}

func renew(t *testing.T, d *driver, term uint64) error {
	t.Helper()
	return d.Renew(t.Context(), []store.LeaseRef{{Key: termKey, Term: term, TTL: 10 * time.Second}})[0]
}

func holder(t *testing.T, d *driver) event.ID {
	t.Helper()
	h, err := d.Holder(t.Context(), termKey)
	if err != nil {
		t.Fatal(err)
	}
	return h.Worker
}

func TestALeaseExpiresAndTheNextWorkerGetsIn(t *testing.T) {
	bubble(t, func(t *testing.T, d *driver) {
		a, b := event.NewID(), event.NewID()
		term := claim(t, d, a, false)
		time.Sleep(9 * time.Second) // of the bubble: no time passes outside
		_, err := d.Claim(t.Context(), store.Claim{Key: termKey, Worker: b, TTL: time.Second})
		if held, ok := errors.AsType[*store.HeldError](err); !ok || held.Worker != a || time.Until(held.Until) != time.Second {
			t.Errorf("a claim of a lease that is held: %v", err)
		}
		time.Sleep(time.Second)
		if h := holder(t, d); !h.IsZero() {
			t.Errorf("an expired lease is held by %s", h)
		}
		next := claim(t, d, b, false)
		if next <= term {
			t.Errorf("term %d after %d", next, term)
		}
		if err := renew(t, d, term); !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("renewal with the old term: %v", err)
		}
		if err := d.Release(t.Context(), store.LeaseRef{Key: termKey, Term: term}); !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("release with the old term: %v", err)
		}
		if holder(t, d) != b {
			t.Error("the old worker took the lease away")
		}
	})
}

func TestRenewingKeepsALeaseAndRevivesAnExpiredOne(t *testing.T) {
	bubble(t, func(t *testing.T, d *driver) {
		a := event.NewID()
		term := claim(t, d, a, false)
		for range 20 {
			time.Sleep(9 * time.Second)
			if err := renew(t, d, term); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		if !holder(t, d).IsZero() {
			t.Error("not expired")
		}
		if err := renew(t, d, term); err != nil {
			t.Errorf("nobody took it: %v", err)
		}
		if holder(t, d) != a {
			t.Error("not revived")
		}
	})
}

// waitFree reports when the lease is free.
func waitFree(t *testing.T, d *driver) <-chan time.Duration {
	start, free := time.Now(), make(chan time.Duration, 1)
	go func() {
		if err := d.WaitFree(t.Context(), termKey); err != nil {
			t.Error(err)
		}
		free <- time.Since(start)
	}()
	synctest.Wait()
	return free
}

func TestWaitFreeWakesOnReleaseOnExpiryAndOnAFence(t *testing.T) {
	bubble(t, func(t *testing.T, d *driver) {
		if after := <-waitFree(t, d); after != 0 {
			t.Errorf("nobody holds it: waited %v", after)
		}
		term := claim(t, d, event.NewID(), false)
		free := waitFree(t, d)
		time.Sleep(4 * time.Second)
		if err := renew(t, d, term); err != nil {
			t.Error(err)
		}
		if after := <-free; after != 14*time.Second {
			t.Errorf("woken %v after the claim; it was renewed for 10 s at 4 s", after)
		}

		term = claim(t, d, event.NewID(), false)
		free = waitFree(t, d)
		time.Sleep(time.Second)
		if err := d.Release(t.Context(), store.LeaseRef{Key: termKey, Term: term}); err != nil {
			t.Error(err)
		}
		if after := <-free; after != time.Second {
			t.Errorf("woken %v after the claim; it was released at 1 s", after)
		}

		term = claim(t, d, event.NewID(), false)
		free = waitFree(t, d)
		time.Sleep(2 * time.Second)
		fence := &store.Txn{Fence: []string{termKey}}
		if _, err := d.Commit(t.Context(), fence); err != nil {
			t.Error(err)
		}
		if after := <-free; after < 2*time.Second || after > 3*time.Second {
			t.Errorf("woken %v after the claim; it was fenced at 2 s", after)
		}
		rec, err := d.Get(t.Context(), termKey)
		if err != nil || rec.Revision <= term || string(rec.Value) != "v" {
			t.Errorf("the fenced record is %+v, %v", rec, err)
		}
		if err := renew(t, d, term); !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("renewal of a fenced lease: %v", err)
		}
	})
}

func TestWaitFreeOutlivesTakeoversAndEndsWithClose(t *testing.T) {
	bubble(t, func(t *testing.T, d *driver) {
		claim(t, d, event.NewID(), false)
		free := waitFree(t, d)
		time.Sleep(5 * time.Second)
		claim(t, d, event.NewID(), true)
		if after := <-free; after != 15*time.Second {
			t.Errorf("woken after %v; another worker took over at 5 s, for 10 s", after)
		}
		claim(t, d, event.NewID(), false)
		done := make(chan error, 1)
		go func() { done <- d.WaitFree(t.Context(), termKey) }()
		synctest.Wait()
		if err := errors.Join(d.Verify(t.Context(), nil), d.Close()); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, store.ErrClosed) {
			t.Errorf("WaitFree of a closed store: %v", err)
		}
	})
}

// TestWhoIsTheHolderHasTheStoredTerm: of a claim and a fence at the same time, the one that is
// written last decides who holds the lease.
func TestWhoIsTheHolderHasTheStoredTerm(t *testing.T) {
	t.Parallel()
	d := openDriver(t, nil, quiet)
	for range 1000 {
		var both sync.WaitGroup
		both.Go(func() {
			_, err := d.Claim(t.Context(), store.Claim{Key: termKey, Worker: event.NewID(), TTL: time.Hour, Force: true})
			if err != nil && !errors.Is(err, store.ErrLeaseLost) {
				t.Error(err)
			}
		})
		both.Go(func() {
			if _, err := d.Commit(t.Context(), &store.Txn{Fence: []string{termKey}}); err != nil {
				t.Error(err)
			}
		})
		within(t, "claim and fence", both.Wait)
		rec, err := d.Get(t.Context(), termKey)
		if err != nil {
			t.Fatal(err)
		}
		h, err := d.Holder(t.Context(), termKey)
		if err != nil {
			t.Fatal(err)
		}
		if !h.Worker.IsZero() && h.Term != rec.Revision {
			t.Fatalf("the lease is held in term %d, and the stored term is %d", h.Term, rec.Revision)
		}
	}
}

// TestRenewingWritesNothing: a thousand leases that are kept alive for ten minutes cost the
// disk nothing.
func TestRenewingWritesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ops atomic.Int64
		d, err := openRaw(injected(vfs.NewMem(), func(op errorfs.Op) error {
			switch op.Kind {
			case errorfs.OpFileWrite, errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo, errorfs.OpCreate:
				ops.Add(1)
			}
			return nil
		}), "db", quiet)
		if err != nil {
			t.Fatal(err)
		}
		leases := make([]store.LeaseRef, 1000)
		var claims sync.WaitGroup
		for i := range leases {
			claims.Go(func() {
				l := store.LeaseRef{Key: fmt.Sprintf("st%04d", i), TTL: 10 * time.Second}
				var err error
				if l.Term, err = d.Claim(t.Context(), store.Claim{Key: l.Key, Worker: event.NewID(), TTL: l.TTL}); err != nil {
					t.Error(err)
				}
				leases[i] = l
			})
		}
		claims.Wait()
		time.Sleep(time.Second) // of the bubble: what the claims left behind is done
		synctest.Wait()
		before := ops.Load()
		for range 200 {
			time.Sleep(3 * time.Second)
			for i, err := range d.Renew(t.Context(), leases) {
				if err != nil {
					t.Fatalf("renewal of %s: %v", leases[i].Key, err)
				}
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := ops.Load() - before; n != 0 {
			t.Errorf("%d writes and syncs while leases were renewed, want none", n)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestClaimsOfManyKeysTakeTermsOfOneCounter: a thousand at once, each term once, and none
// of them again after delete, reopen and crash.
func TestClaimsOfManyKeysTakeTermsOfOneCounter(t *testing.T) {
	t.Parallel()
	fs := crashfs.New()
	d, err := openRaw(fs, "db", quiet)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var terms []uint64
	take := func(d *driver, keys int, force bool) {
		t.Helper()
		var all sync.WaitGroup
		for i := range keys {
			all.Go(func() {
				term, err := d.Claim(t.Context(), store.Claim{Key: fmt.Sprintf("st%04d", i), Worker: event.NewID(), TTL: time.Hour, Force: force})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				terms = append(terms, term)
			})
		}
		within(t, "claims", all.Wait)
	}
	take(d, 1000, false)
	var deletes []string
	for i := range 1000 {
		deletes = append(deletes, fmt.Sprintf("st%04d", i))
	}
	if _, err := d.Commit(t.Context(), &store.Txn{Fence: deletes, Deletes: deletes}); err != nil {
		t.Fatal(err)
	}
	take(d, 10, false)
	clone := crash(fs, 0, 1)
	for _, end := range []func() *crashfs.FS{
		func() *crashfs.FS { return fs }, func() *crashfs.FS { return clone },
	} {
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if d, err = openRaw(end(), "db", quiet); err != nil {
			t.Fatal(err)
		}
		// what was held before is free: nobody else can have a worker
		before := len(terms)
		take(d, 10, false)
		last := slices.Max(terms[:before])
		if end() == fs {
			for _, term := range terms[before:] {
				if term <= last {
					t.Errorf("term %d after %d", term, last)
				}
			}
			terms = terms[:before] // the crash did not see these
		}
	}
	slices.Sort(terms)
	if n := len(slices.Compact(terms)); n != 1020 {
		t.Errorf("%d different terms of 1020", n)
	}
	if err := errors.Join(d.Verify(t.Context(), nil), d.Close()); err != nil {
		t.Error(err)
	}
}
