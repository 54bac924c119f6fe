package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/riffle-go/riffle/store"
)

// renewer extends the leases of all workers with one ticker and one call of the store, a
// third of the TTL apart, whatever the handlers do meanwhile. It implements worker.Renewer.
type renewer struct {
	extend func(context.Context, []*store.Lease) []error // all of them, in one call of the store
	every  time.Duration

	mu     sync.Mutex
	leases map[*renewal]struct{}
}

// renewal is one lease that is kept alive.
type renewal struct {
	lease *store.Lease

	mu      sync.Mutex // held while lost is called
	removed bool
	lost    func(error)
}

func newRenewer(st *store.Store, ttl time.Duration) *renewer {
	return &renewer{extend: st.Renew, every: ttl / 3, leases: make(map[*renewal]struct{})}
}

// Add renews a lease until remove is called.
func (r *renewer) Add(l *store.Lease, lost func(error)) (remove func()) {
	n := &renewal{lease: l, lost: lost}
	r.mu.Lock()
	r.leases[n] = struct{}{}
	r.mu.Unlock()
	return func() {
		r.mu.Lock()
		delete(r.leases, n)
		r.mu.Unlock()
		n.mu.Lock()
		n.removed = true
		n.mu.Unlock()
	}
}

func (r *renewer) run(ctx context.Context) {
	tick := time.NewTicker(r.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.renew(ctx)
		}
	}
}

// renew takes no longer than until the next tick, so that a call that hangs is an error
// that the workers hear of while their leases still run.
func (r *renewer) renew(ctx context.Context) {
	r.mu.Lock()
	all := make([]*renewal, 0, len(r.leases))
	leases := make([]*store.Lease, 0, len(r.leases))
	for n := range r.leases {
		all = append(all, n)
		leases = append(leases, n.lease)
	}
	r.mu.Unlock()
	if len(all) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, r.every)
	defer cancel()
	for i, err := range r.extend(ctx, leases) {
		if err != nil {
			all[i].tell(err)
		}
	}
}

// keeping renews a lease while f runs. The context of f ends when it is lost.
func keeping(ctx context.Context, st *store.Store, ttl time.Duration, lease *store.Lease, f func(context.Context) error) error {
	ctx, lost := context.WithCancelCause(ctx)
	defer lost(nil)
	keep := newRenewer(st, ttl)
	remove := keep.Add(lease, func(err error) {
		if errors.Is(err, store.ErrLeaseLost) {
			lost(err)
		}
	})
	renewing, stop := context.WithCancel(ctx)
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		keep.run(renewing)
	}()
	defer func() {
		stop()
		<-kept
		remove()
	}()
	err := f(ctx)
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, store.ErrLeaseLost) {
		return cause // and not that something was cancelled
	}
	return err
}

func (n *renewal) tell(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.removed {
		n.lost(err)
	}
}
