package store

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/riffle-go/riffle/event"
)

// Lease is the right to work on a subscriber key until it is released, expires, or is
// taken. Its term is a fencing token: it can be handed to other systems, which then refuse
// whoever comes with a lower one.
//
// A Lease is safe for concurrent use; its commits, each of which starts where the one before
// ended, are made one after the other.
type Lease struct {
	subscriber *Subscriber
	worker     event.ID
	term       uint64
	ttl        time.Duration
	crashes    int
	checkpoint event.Position
	inHand     event.Position
	created    atomic.Int64  // when the subscriber's first commit was, in Unix milliseconds; 0 is not yet
	serial     atomic.Uint64 // of the last commit
}

// Key returns the subscriber key.
func (l *Lease) Key() SubscriberKey { return l.subscriber.key }

// Worker returns who holds the lease.
func (l *Lease) Worker() event.ID { return l.worker }

// Term returns the fencing token: higher than that of every lease before it in the store.
func (l *Lease) Term() uint64 { return l.term }

// Checkpoint returns where the work begins: the checkpoint as it was at the claim.
func (l *Lease) Checkpoint() event.Position { return l.checkpoint }

// InHand returns the event that a worker before had in hand when its process died, 0 for
// none. A worker that released, or whose lease expired or was taken while its process lived
// on, leaves none behind.
func (l *Lease) InHand() event.Position { return l.inHand }

// Crashes returns how often in a row, until this claim, a process died while it had events
// of this subscriber to handle and did not get past its checkpoint: a sign of an event that
// kills the process. A release, a takeover and an expired lease do not count.
func (l *Lease) Crashes() int { return l.crashes }

func (l *Lease) ref() LeaseRef {
	return LeaseRef{Key: l.subscriber.term, Term: l.term, TTL: l.ttl}
}

// Renew extends the lease by its TTL from now. ErrLeaseLost means that it is over; any other
// error that it is not extended.
func (l *Lease) Renew(ctx context.Context) error {
	return l.subscriber.store.Renew(ctx, []*Lease{l})[0]
}

// Renew extends leases of this store in one call of the driver. The answers are in the
// order of the leases: nil, ErrLeaseLost for one that is over, or why it is not extended.
func (s *Store) Renew(ctx context.Context, leases []*Lease) []error {
	errs := make([]error, len(leases))
	fail := func(err error) []error {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	if err := s.ready(ctx); err != nil {
		return fail(err)
	}
	if len(leases) == 0 {
		return errs
	}
	if s.leaser == nil {
		return fail(ErrUnsupported)
	}
	refs := make([]LeaseRef, len(leases))
	for i, l := range leases {
		if l.subscriber.store.core != s.core {
			return fail(&InvalidError{Field: "leases", Reason: "has a lease of another store"})
		}
		refs[i] = l.ref()
	}
	if err := s.enter(ctx); err != nil {
		return fail(err)
	}
	defer s.gate.leave()
	for i, err := range s.leaser.Renew(ctx, refs) {
		errs[i] = wrap("renew", err)
	}
	return errs
}

// Release ends the lease, so that the next worker gets in at once, and records that the
// work ended in order. ErrLeaseLost means that it was over already. It is the last call: what
// the lease commits after it is still accepted until somebody claims.
func (l *Lease) Release(ctx context.Context) error {
	u := l.subscriber
	s := u.store
	if err := s.ready(ctx); err != nil {
		return err
	}
	value := termValue{worker: l.worker, process: s.process, claimed: now(), released: true, killed: l.inHand}
	_, err := s.commit(ctx, &Txn{
		Guards: []Guard{{u.term, l.term}},
		Puts:   []Record{{Key: u.term, Value: value.encode(), Revision: l.term}},
		NoSync: true, // a crash right now counts as one: that is harmless
	})
	if err != nil {
		return l.lost(err)
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.gate.leave()
	return wrap("release", s.leaser.Release(ctx, l.ref()))
}
