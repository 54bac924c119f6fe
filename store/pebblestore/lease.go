package pebblestore

import (
	"context"
	"sync"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// leaseTable holds who works on what. It lives in memory only: the directory's lock
// proves that no other process has workers, so opening the store frees every lease.
// Fencing does not rest on it; terms are checked in the commit.
type leaseTable struct {
	d  *driver
	mu sync.Mutex
	m  map[string]*lease
}

// lease is the holder of one term record.
type lease struct {
	claiming chan struct{} // of capacity 1: held while a claim is being written

	worker   event.ID
	term     uint64
	deadline time.Time // monotonic
	changed  chan struct{}
}

func newLeaseTable(d *driver) *leaseTable {
	return &leaseTable{d: d, m: map[string]*lease{}}
}

func (t *leaseTable) get(key string) *lease {
	l, ok := t.m[key]
	if !ok {
		l = &lease{claiming: make(chan struct{}, 1), changed: make(chan struct{})}
		t.m[key] = l
	}
	return l
}

// held says whether somebody has the lease now; the table's lock is held.
func (l *lease) held() bool { return !l.worker.IsZero() && time.Until(l.deadline) > 0 }

// change tells those who wait that the lease is another now.
func (l *lease) change(worker event.ID, term uint64, deadline time.Time) {
	l.worker, l.term, l.deadline = worker, term, deadline
	close(l.changed)
	l.changed = make(chan struct{})
}

// Claim implements store.Leaser. Claims of one key are written one after the other;
// claims of different keys share a group.
func (d *driver) Claim(ctx context.Context, c store.Claim) (uint64, error) {
	t := d.leases
	t.mu.Lock()
	l := t.get(c.Key)
	t.mu.Unlock()
	select {
	case l.claiming <- struct{}{}:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	defer func() { <-l.claiming }()

	t.mu.Lock()
	if l.held() && l.worker != c.Worker && !c.Force {
		err := &store.HeldError{Worker: l.worker, Until: l.deadline}
		t.mu.Unlock()
		return 0, err
	}
	t.mu.Unlock()
	value := c.Value
	if value == nil {
		value = []byte{}
	}
	out, err := d.submit(ctx, &store.Txn{Fence: []string{c.Key}}, [][]byte{value})
	if err != nil {
		return 0, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	term := out.terms[0]
	if l.term > term { // a fence came right behind the claim
		return 0, store.ErrLeaseLost
	}
	l.change(c.Worker, term, time.Now().Add(c.TTL))
	return term, nil
}

// fenced ends the leases of term records that a control write has raised.
func (t *leaseTable) fenced(keys []string, terms []uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, k := range keys {
		if l := t.get(k); terms[i] > l.term {
			l.change(event.ID{}, terms[i], time.Time{})
		}
	}
}

// Renew implements store.Leaser. A lease that ran out without being claimed by another
// lives again.
func (d *driver) Renew(ctx context.Context, leases []store.LeaseRef) []error {
	t := d.leases
	t.mu.Lock()
	defer t.mu.Unlock()
	errs := make([]error, len(leases))
	for i, ref := range leases {
		l, ok := t.m[ref.Key]
		switch {
		case d.failed():
			errs[i] = d.failure()
		case ctx.Err() != nil:
			errs[i] = context.Cause(ctx)
		case !ok || l.worker.IsZero() || l.term != ref.Term:
			errs[i] = store.ErrLeaseLost
		default:
			l.deadline = time.Now().Add(ref.TTL)
		}
	}
	return errs
}

// Release implements store.Leaser.
func (d *driver) Release(_ context.Context, ref store.LeaseRef) error {
	t := d.leases
	t.mu.Lock()
	defer t.mu.Unlock()
	l, ok := t.m[ref.Key]
	if !ok || l.worker.IsZero() || l.term != ref.Term {
		return store.ErrLeaseLost
	}
	l.change(event.ID{}, l.term, time.Time{})
	return nil
}

// Holder implements store.Leaser.
func (d *driver) Holder(_ context.Context, key string) (store.Holder, error) {
	t := d.leases
	t.mu.Lock()
	defer t.mu.Unlock()
	l, ok := t.m[key]
	if !ok || !l.held() {
		return store.Holder{}, nil
	}
	return store.Holder{Worker: l.worker, Term: l.term, Until: l.deadline}, nil
}

// WaitFree implements store.Leaser. Release, a fence and expiry wake it; a renewal only
// moves the time it looks again.
func (d *driver) WaitFree(ctx context.Context, key string) error {
	t := d.leases
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		t.mu.Lock()
		l := t.get(key)
		if !l.held() {
			t.mu.Unlock()
			return context.Cause(ctx)
		}
		left, changed := time.Until(l.deadline), l.changed
		t.mu.Unlock()
		timer.Reset(left)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-d.closing:
			return store.ErrClosed
		case <-d.fuse.Failed():
			return d.failure()
		}
	}
}
