package memdriver

import (
	"context"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// lease is who holds a term record. It lives in memory only: a new driver has none.
type lease struct {
	worker event.ID
	term   uint64
	until  time.Time
}

// held returns the lease that runs now.
func (d *Driver) held(key string) (lease, bool) {
	l, ok := d.leases[key]
	return l, ok && (time.Now().Before(l.until) || d.breaks(LeaseNeverExpires))
}

// heldBy returns the lease that runs now if it is the one that ref names.
func (d *Driver) heldBy(ref store.LeaseRef, unless Naive) (lease, bool) {
	l, ok := d.held(ref.Key)
	return l, ok && (l.term == ref.Term || d.breaks(unless))
}

func (d *Driver) endLease(key string) {
	if _, ok := d.leases[key]; ok && !d.breaks(FenceKeepsLease) {
		delete(d.leases, key)
		d.free()
	}
}

func (d *Driver) free() {
	close(d.freed)
	d.freed = make(chan struct{})
}

// Claim gives a worker a new term, also when the same worker holds the lease already.
func (d *Driver) Claim(ctx context.Context, c store.Claim) (uint64, error) {
	if err := d.enter(ctx); err != nil {
		return 0, err
	}
	defer d.leave()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failure != nil {
		return 0, d.failure
	}
	if l, ok := d.held(c.Key); ok && l.worker != c.Worker && !c.Force {
		return 0, &store.HeldError{Worker: l.worker, Until: l.until}
	}
	if d.breaks(ClaimsWithoutLock) {
		d.window()
	}
	d.claimed[c.Key] = true
	term := d.state.nextTerm(d.state.term, c.Key)
	d.write(change{
		puts:   []store.Record{{Key: c.Key, Value: d.state.keep(c.Value), Revision: term}},
		term:   term,
		synced: true,
	})
	d.leases[c.Key] = lease{worker: c.Worker, term: term, until: time.Now().Add(c.TTL)}
	d.free()
	return term, nil
}

// Renew extends the leases that still run.
func (d *Driver) Renew(ctx context.Context, refs []store.LeaseRef) []error {
	errs := make([]error, len(refs))
	if err := d.enter(ctx); err != nil {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	defer d.leave()
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, ref := range refs {
		l, ok := d.heldBy(ref, RenewsStolenLease)
		if !ok {
			errs[i] = store.ErrLeaseLost
			continue
		}
		l.until = time.Now().Add(ref.TTL)
		d.leases[ref.Key] = l
	}
	return errs
}

// Release ends a lease that still runs.
func (d *Driver) Release(ctx context.Context, ref store.LeaseRef) error {
	if err := d.enter(ctx); err != nil {
		return err
	}
	defer d.leave()
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.heldBy(ref, ReleasesStolenLease); !ok {
		return store.ErrLeaseLost
	}
	delete(d.leases, ref.Key)
	if !d.breaks(ReleaseIsSilent) {
		d.free()
	}
	return nil
}

// Holder says who holds a lease now.
func (d *Driver) Holder(ctx context.Context, key string) (store.Holder, error) {
	if err := d.enter(ctx); err != nil {
		return store.Holder{}, err
	}
	defer d.leave()
	d.mu.Lock()
	defer d.mu.Unlock()
	l, ok := d.held(key)
	if !ok {
		return store.Holder{}, nil
	}
	return store.Holder{Worker: l.worker, Term: l.term, Until: l.until}, nil
}

// WaitFree returns when the lease ended or ran out.
func (d *Driver) WaitFree(ctx context.Context, key string) error {
	if err := d.enter(ctx); err != nil {
		return err
	}
	defer d.leave()
	for {
		d.mu.Lock()
		l, held := d.held(key)
		freed := d.freed
		d.mu.Unlock()
		if !held {
			return nil
		}
		if err := d.waitFreed(ctx, freed, time.Until(l.until)); err != nil {
			return err
		}
	}
}

func (d *Driver) waitFreed(ctx context.Context, freed <-chan struct{}, left time.Duration) error {
	expiry := time.NewTimer(max(left, time.Millisecond))
	defer expiry.Stop()
	select {
	case <-freed:
	case <-expiry.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-d.done:
		return store.ErrClosed
	}
	return nil
}
