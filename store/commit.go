package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/riffle-go/riffle/internal/telemetry"
)

// Commit writes what a worker did, all of it or nothing, and returns the Result of what it
// emitted. It is a compare-and-swap: *LeaseLostError (errors.Is ErrLeaseLost) when the lease
// is no longer the last one or the checkpoint is no longer c.From. Nothing is written then;
// the worker must stop and claim again.
//
// Other errors: ErrInvalid, also for what exceeds a limit; *ConflictError and *IDReusedError
// of an emitted batch (ConflictError.Batch is its index); ErrGuard when what the Activation
// expects is no longer so; ErrUnknown when the store cannot find out whether the commit was
// done: claim again, the checkpoint tells. None of these but the last writes anything.
//
// A key of a state or a row comes at most once in a commit.
func (l *Lease) Commit(ctx context.Context, c Commit) (Result, error) {
	s := l.subscriber.store
	if err := s.ready(ctx); err != nil {
		return Result{}, err
	}
	if len(c.Emit) == 0 {
		return l.commit(ctx, &c, "")
	}
	events := 0
	for i := range c.Emit {
		events += len(c.Emit[i].Events)
	}
	var span telemetry.Append
	ctx, span = s.meter.StartAppend(ctx, string(c.Emit[0].Stream.Aggregate), len(c.Emit), events)
	res, err := l.commit(ctx, &c, span.Traceparent())
	span.End(err)
	return res, err
}

func (l *Lease) commit(ctx context.Context, c *Commit, traceparent string) (Result, error) {
	s := l.subscriber.store
	head, err := s.head(ctx, s.driver)
	if err != nil {
		return Result{}, err
	}
	b := commitBuilder{lease: l, commit: c, head: head, serial: l.serial.Add(1)}
	if err := b.build(ctx, traceparent); err != nil {
		return Result{}, err
	}
	res, err := s.commit(ctx, &b.work.txn)
	if errors.Is(err, ErrUnknown) {
		res, err = l.settle(ctx, &b, err)
	}
	if dup, ok := errors.AsType[*DuplicateError](err); ok {
		return Result{}, b.reused(dup)
	}
	return res, l.lost(err)
}

// lost turns the refusal of a guard into what it means for the lease.
func (l *Lease) lost(err error) error {
	guard, ok := errors.AsType[*GuardError](err)
	if !ok {
		return err
	}
	what := ""
	switch guard.Key {
	case l.subscriber.term:
		what = "term"
	case l.subscriber.checkpoint:
		what = "checkpoint"
	default:
		return err
	}
	return &LeaseLostError{Key: l.Key(), What: what, Expected: guard.Expected, Actual: guard.Actual}
}

// settle finds out whether a commit with an unknown outcome was done, by the number that it
// leaves in the checkpoint. One that moves the checkpoint can be repeated, since its guard
// lets it happen once.
func (l *Lease) settle(ctx context.Context, b *commitBuilder, unknown error) (Result, error) {
	s := l.subscriber.store
	retry := patience(ctx)
	for {
		if err := s.pause(ctx, retry, unknown); err != nil {
			return Result{}, errors.Join(unknown, err)
		}
		done, err := l.done(ctx, b)
		switch {
		case err != nil:
			continue
		case done:
			return l.found(ctx, b)
		case b.commit.From == b.commit.To:
			return Result{}, unknown // it may still be on its way; a new claim stops it
		}
		res, err := s.commit(ctx, &b.work.txn)
		if err == nil {
			return res, nil
		}
		if errors.Is(err, ErrGuard) {
			if done, readErr := l.done(ctx, b); readErr == nil && done {
				return l.found(ctx, b)
			}
		}
		if errors.Is(err, ErrFailed) {
			return Result{}, errors.Join(unknown, err)
		}
		if _, dup := errors.AsType[*DuplicateError](err); dup || refusal(err) {
			return Result{}, err
		}
	}
}

// refusal says whether an error of a repeated commit means that nothing was written.
func refusal(err error) bool {
	return errors.Is(err, ErrGuard) || errors.Is(err, ErrConflict) || errors.Is(err, ErrInvalid)
}

// done says whether the commit is the last one of the subscriber.
func (l *Lease) done(ctx context.Context, b *commitBuilder) (bool, error) {
	value, _, err := l.subscriber.readCheckpoint(ctx)
	return value.term == l.term && value.serial == b.serial, err
}

// found returns the Result of a commit that was done.
func (l *Lease) found(ctx context.Context, b *commitBuilder) (Result, error) {
	s := l.subscriber.store
	if len(b.work.txn.Appends) == 0 {
		return Result{}, nil
	}
	res, ok, err := s.findAppended(ctx, b.work.txn.Appends)
	if err == nil && !ok {
		err = errors.New("the commit was done, but its events are too far back to be found")
	}
	if err != nil {
		return Result{}, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	return res, nil
}
