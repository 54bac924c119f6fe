package store

import (
	"context"
	"errors"
	"time"

	"github.com/riffle-go/riffle/event"
)

// Claim makes worker the holder of the lease for ttl, with a term higher than any before in
// this store. While another lease runs it answers *HeldError (errors.Is ErrHeld); wait with
// [Subscriber.WaitFree]. Keep the lease by [Lease.Renew], or many by [Store.Renew]. A driver
// without leases answers ErrUnsupported.
func (u *Subscriber) Claim(ctx context.Context, worker event.ID, ttl time.Duration) (*Lease, error) {
	return u.claim(ctx, worker, ttl, false)
}

func (u *Subscriber) claim(ctx context.Context, worker event.ID, ttl time.Duration, force bool) (*Lease, error) {
	if err := u.ready(ctx); err != nil {
		return nil, err
	}
	s := u.store
	switch {
	case s.leaser == nil:
		return nil, ErrUnsupported
	case worker.IsZero():
		return nil, &InvalidError{Field: "worker", Reason: "is zero; make an id with event.NewID"}
	case ttl <= 0:
		return nil, &InvalidError{Field: "ttl", Reason: "must be positive"}
	}
	held, at, err := u.readCheckpoint(ctx)
	if err != nil {
		return nil, err
	}
	crashes, killed, err := u.past(ctx, held, at)
	if err != nil {
		return nil, err
	}
	value := termValue{worker: worker, process: s.process, claimed: now(), crashes: crashes, checkpoint: at, killed: killed}
	term, err := u.takeTerm(ctx, Claim{Key: u.term, Value: value.encode(), Worker: worker, TTL: ttl, Force: force})
	if err != nil {
		return nil, err
	}
	// Read now: under the new term nobody else can move it.
	checkpoint, at, err := u.readCheckpoint(ctx)
	if err != nil {
		return nil, err
	}
	lease := &Lease{subscriber: u, worker: worker, term: term, ttl: ttl, crashes: crashes, checkpoint: at}
	if killed == checkpoint.inHand {
		lease.inHand = killed
	}
	if !checkpoint.created.IsZero() {
		lease.created.Store(checkpoint.created.UnixMilli())
	}
	return lease, nil
}

// past draws the conclusions from how the workers before ended. A worker that released, or
// whose process is this one (so that its lease expired or was taken), did not die.
//
// crashes is how often in a row a process died while a worker of this subscriber had events
// to handle and did not get past its checkpoint. killed is what a worker had in hand when its
// process died: the one before, or an earlier one, when nobody has laid it down since.
func (u *Subscriber) past(ctx context.Context, held checkpointValue, at event.Position) (crashes int, killed event.Position, err error) {
	rec, ok, err := u.store.get(ctx, u.term)
	if err != nil || !ok {
		return 0, 0, err
	}
	before, err := decodeTerm(rec.Key, rec.Value)
	if err != nil || before.worker.IsZero() {
		return 0, 0, err
	}
	if before.killed == held.inHand {
		killed = held.inHand
	}
	if before.released || before.process == u.store.process {
		return 0, killed, nil
	}
	h, err := u.store.holder(ctx, u.term)
	if err != nil || !h.Worker.IsZero() {
		return 0, 0, err // it lives, and is being taken over
	}
	if held.term == rec.Revision { // else it took nothing in hand, or was fenced before its end
		killed = held.inHand
	}
	if at != before.checkpoint {
		return 0, killed, nil
	}
	head, err := u.store.head(ctx, u.store.driver)
	if err != nil || at >= head.Position {
		return 0, killed, err
	}
	return before.crashes + 1, killed, nil
}

// takeTerm claims. When the outcome is unknown and the worker turns out to be the holder, it
// claims again: a term that it does not know is of no use to it.
func (u *Subscriber) takeTerm(ctx context.Context, c Claim) (uint64, error) {
	retry := patience(ctx)
	for {
		term, err := u.claimOnce(ctx, c)
		if !errors.Is(err, ErrUnknown) {
			return term, err
		}
		if err := u.store.pause(ctx, retry, err); err != nil {
			return 0, err
		}
		if h, err := u.store.holder(ctx, c.Key); err == nil && h.Worker == c.Worker {
			c.Force = true
		}
	}
}

func (u *Subscriber) claimOnce(ctx context.Context, c Claim) (uint64, error) {
	if err := u.store.enter(ctx); err != nil {
		return 0, err
	}
	defer u.store.gate.leave()
	term, err := u.store.leaser.Claim(ctx, c)
	return term, wrap("claim", err)
}

// WaitFree returns when nobody holds the lease. Others may wait too: the next Claim can
// still be answered with ErrHeld.
func (u *Subscriber) WaitFree(ctx context.Context) error {
	if err := u.ready(ctx); err != nil {
		return err
	}
	if u.store.leaser == nil {
		return ErrUnsupported
	}
	ctx, cancel := u.store.patient(ctx)
	defer cancel()
	if err := u.store.enter(ctx); err != nil {
		return u.store.ended(ctx, "wait for lease", err)
	}
	defer u.store.gate.leave()
	return u.store.ended(ctx, "wait for lease", u.store.leaser.WaitFree(ctx, u.term))
}

// Takeover claims the lease from whoever holds it. It first wishes for a drain, so that the
// holder can finish what it has at hand and release, and waits for that up to grace; then it
// claims by force, and the former holder's commits are refused. The wish is taken back in
// the end.
func (u *Subscriber) Takeover(ctx context.Context, worker event.ID, ttl, grace time.Duration) (*Lease, error) {
	lease, err := u.claim(ctx, worker, ttl, false)
	if !errors.Is(err, ErrHeld) {
		return lease, err
	}
	if err := u.SetWish(ctx, func(w *Wish) error { w.Drain = worker; return nil }); err != nil {
		return nil, err
	}
	lease, err = u.takeOver(ctx, worker, ttl, grace)
	return lease, errors.Join(err, u.undrain(ctx, worker))
}

func (u *Subscriber) takeOver(ctx context.Context, worker event.ID, ttl, grace time.Duration) (*Lease, error) {
	waiting, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	for {
		err := u.WaitFree(waiting)
		switch {
		case err == nil: // others may have waited too: whoever is first is not to be fenced at once
			if lease, err := u.claim(ctx, worker, ttl, false); !errors.Is(err, ErrHeld) {
				return lease, err
			}
		case ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded):
			return nil, err
		default:
			return u.claim(ctx, worker, ttl, true)
		}
	}
}

// undrain takes the worker's wish for a drain back, also when ctx has ended: it would stop
// the next worker.
func (u *Subscriber) undrain(ctx context.Context, worker event.ID) error {
	const enough = 5 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), enough)
	defer cancel()
	w, _, err := u.readWish(ctx)
	if err != nil || w.Drain != worker {
		return err
	}
	return u.SetWish(ctx, func(w *Wish) error {
		if w.Drain == worker {
			w.Drain = event.ID{}
		}
		return nil
	})
}
