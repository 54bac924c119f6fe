package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/store"
)

// exclusively runs f while this engine holds the lease of a key and no worker is at work on
// it: this engine's own drains; one of another engine is asked to drain and, when it does
// not within the ShutdownTimeout, fenced.
//
// The wish for a drain comes first, so that nobody who stands by takes the lease between the
// end of this engine's worker and the claim.
func (s *supervisor) exclusively(ctx context.Context, generation uint32, f func(ctx context.Context, lease *store.Lease) error) (err error) {
	u, id := s.subscriber(generation), event.NewID()
	if err := u.SetWish(ctx, func(w *store.Wish) error { w.Drain = id; return nil }); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, undrain(ctx, u, id)) }()
	release, err := s.hold(ctx, s.key(generation))
	if err != nil {
		return err
	}
	defer release()
	c := s.engine.config
	if err := s.awaitDrain(ctx, u); err != nil {
		return err
	}
	lease, err := u.Takeover(ctx, id, c.LeaseTTL, claimGrace)
	if err != nil {
		return err
	}
	err = keeping(ctx, s.store, c.LeaseTTL, lease, func(ctx context.Context) error { return f(ctx, lease) })
	if err := lease.Release(context.WithoutCancel(ctx)); err != nil && !errors.Is(err, store.ErrLeaseLost) {
		s.logger.WarnContext(ctx, "could not release a lease, it will run out", "error", err)
	}
	return err
}

// claimGrace is for a worker that claims at this very moment.
const claimGrace = 100 * time.Millisecond

// awaitDrain waits until nobody holds the lease, or the ShutdownTimeout has passed.
func (s *supervisor) awaitDrain(ctx context.Context, u *store.Subscriber) error {
	patience, cancel := context.WithTimeout(ctx, s.engine.config.ShutdownTimeout)
	defer cancel()
	if err := u.WaitFree(patience); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return ctx.Err()
}

// undrain takes a wish for a drain back, also when ctx has ended: others would wait for
// nobody.
func undrain(ctx context.Context, u *store.Subscriber, id event.ID) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undrainPatience)
	defer cancel()
	wish, err := u.Wish(ctx)
	if err != nil || wish.Drain != id {
		return err
	}
	return u.SetWish(ctx, func(w *store.Wish) error {
		if w.Drain == id {
			w.Drain = event.ID{}
		}
		return nil
	})
}

// undrainPatience bounds that; a wish that is left behind is ignored after a while.
const undrainPatience = 5 * time.Second

// goBack sets the checkpoint of the active generation to the one before position, and what
// a sink wrote with it. The caller has checked that the projection can go back.
func (s *supervisor) goBack(ctx context.Context, position event.Position) error {
	row, err := s.known(ctx)
	if err != nil {
		return err
	}
	to := position - 1
	return s.exclusively(ctx, row.Active, func(ctx context.Context, lease *store.Lease) error {
		if to > lease.Checkpoint() {
			return &store.InvalidError{Field: "to", Reason: fmt.Sprintf("is position %d, but the projection has handled no more than %d; a rewind goes back", position, lease.Checkpoint())}
		}
		if s.program.Kind == program.Sink {
			if err := s.resetTarget(ctx, lease, to); err != nil {
				return err
			}
		}
		return s.subscriber(row.Active).Rewind(ctx, to)
	})
}

// resetTarget takes a sink's target over, so that no former worker writes to it any more,
// and sets it back.
func (s *supervisor) resetTarget(ctx context.Context, lease *store.Lease, to event.Position) error {
	target := s.program.Sink.Resetter()
	session, err := s.takeTarget(ctx, target, lease, to)
	if err != nil {
		return err
	}
	return target.Reset(ctx, session, to)
}

// takeTarget begins a session of a sink's target. A former worker may write to it until that
// fences it, also events that were appended after the head was read: then the target seems to
// be beyond the end of the store, and is asked again with what the end is by now. No former
// worker goes on for longer than its lease.
func (s *supervisor) takeTarget(ctx context.Context, target program.Target, lease *store.Lease, from event.Position) (program.Session, error) {
	looked := time.Now() // for head
	head, err := s.store.Head(ctx)
	if err != nil {
		return program.Session{}, err
	}
	session := program.Session{Key: lease.Key(), Term: lease.Term(), History: head.History}
	for patience := looked.Add(s.engine.config.LeaseTTL); ; {
		_, err := target.Begin(ctx, session, from, head.Position)
		if !errors.Is(err, store.ErrHistory) || looked.After(patience) {
			return session, err
		}
		looked = time.Now()
		now, headErr := s.store.Head(ctx)
		if headErr != nil || now.Position <= head.Position {
			return session, err // it is not ours
		}
		head = now
	}
}

// restartSink sets a sink whose revision was raised back to its start, and writes the
// revision down.
func (s *supervisor) restartSink(ctx context.Context) error {
	row, err := s.known(ctx)
	if err != nil {
		return err
	}
	s.logger.WarnContext(ctx, "the sink's revision was raised, it begins again", "revision", s.identity.revision)
	if err := s.goBack(ctx, row.Start); err != nil {
		return err
	}
	_, err = s.update(ctx, func(row *store.ProjectionRow) (bool, error) {
		for i := range row.Generations {
			if g := &row.Generations[i]; g.Number == row.Active && g.Revision < s.identity.revision {
				g.Revision, g.Fingerprint, g.Filter = s.identity.revision, s.identity.fingerprint, s.identity.filter
				return true, nil
			}
		}
		return false, nil
	})
	return err
}
