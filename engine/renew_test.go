package engine

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/store"
)

// renewing starts a renewer of so many leases in fake time. It returns where their workers
// hear that they were not renewed.
func renewing(t *testing.T, ttl time.Duration, leases int, extend func(context.Context, []*store.Lease) []error) <-chan error {
	t.Helper()
	r := newRenewer(nil, ttl)
	r.extend = extend
	told := make(chan error, leases)
	for range leases {
		r.Add(new(store.Lease), func(err error) {
			select {
			case told <- err:
			default: // nobody reads what the test does not ask for
			}
		})
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return told
}

// A thousand leases cost no more calls than one.
func TestAllLeasesAreRenewedInOneCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const ttl, leases = 9 * time.Second, 1000
		calls := 0
		renewing(t, ttl, leases, func(_ context.Context, all []*store.Lease) []error {
			if calls++; len(all) != leases {
				t.Errorf("a call renews %d leases of %d", len(all), leases)
			}
			return make([]error, len(all))
		})
		time.Sleep(10*ttl + time.Second)
		synctest.Wait()
		if calls != 30 {
			t.Errorf("%d calls in ten times the TTL, want one for each third of it", calls)
		}
	})
}

// A call that hangs says nothing. The workers must know while their leases still run: they
// try themselves then, and stop in time.
func TestARenewalThatHangsIsReportedWhileTheLeasesRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const ttl, leases = 9 * time.Second, 3
		began := time.Now()
		told := renewing(t, ttl, leases, func(ctx context.Context, all []*store.Lease) []error {
			<-ctx.Done()
			errs := make([]error, len(all))
			for i := range errs {
				errs[i] = context.Cause(ctx)
			}
			return errs
		})
		for range leases {
			select {
			case err := <-told:
				if err == nil || errors.Is(err, store.ErrLeaseLost) {
					t.Errorf("told %v; the lease may be there still", err)
				}
			case <-time.After(ttl):
				t.Fatal("the leases have run out, and their workers do not know")
			}
		}
		// What is left is a third: that is what a worker counts on.
		if d := time.Since(began); d > 2*ttl/3 {
			t.Errorf("told after %v of %v", d, ttl)
		}
	})
}
