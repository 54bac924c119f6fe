package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/riffle-go/riffle/event"
)

// How long the Store tries to find out what became of a write.
const (
	settleFirst = 10 * time.Millisecond
	settleMost  = time.Second
	settleFor   = 15 * time.Second
)

// patience is the backoff for finding out an outcome.
func patience(ctx context.Context) backoff.BackOffContext {
	return backoff.WithContext(backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(settleFirst),
		backoff.WithMaxInterval(settleMost),
		backoff.WithMaxElapsedTime(settleFor),
	), ctx)
}

// settle finds out whether an append with an unknown outcome was done. Where the append
// can be repeated it is: expectations or kept ids see to it that it happens once. Where it
// cannot (Any or Exists without Once), its ids are looked for; when they are not found
// the write may still be on its way, so the outcome stays unknown.
func (s *Store) settle(ctx context.Context, txn *Txn, unknown error) (Result, error) {
	ctx, cancel := s.patient(ctx)
	defer cancel()
	repeatable := !slices.ContainsFunc(txn.Appends, func(a Appending) bool { return a.Expect < 0 && !a.Once })
	attempt := func() (Result, error) {
		if !repeatable {
			res, found, err := s.findAppended(ctx, txn.Appends)
			if err == nil && !found {
				err = unknown
			}
			return res, err
		}
		res, err := s.commit(ctx, txn)
		if err == nil {
			return res, nil
		}
		res, err = s.refused(ctx, txn, err)
		if err != nil && (decided(err) || errors.Is(err, ErrFailed) || errors.Is(err, ErrClosed)) {
			return res, backoff.Permanent(err)
		}
		return res, err
	}
	res, err := backoff.RetryWithData(attempt, patience(ctx))
	switch {
	case err == nil || decided(err) || errors.Is(err, ErrUnknown):
		return res, err
	case s.gate.isShut():
		return Result{}, fmt.Errorf("%w: %w", ErrUnknown, ErrClosed)
	}
	return Result{}, fmt.Errorf("%w: %w", ErrUnknown, err)
}

// decided says whether an error of a repeated append settles that it is not stored.
func decided(err error) bool {
	return !errors.Is(err, ErrUnknown) && (errors.Is(err, ErrConflict) || errors.Is(err, ErrIDReused) || errors.Is(err, ErrInvalid))
}

// findAppended looks for events by their ids among the latest of their streams.
func (s *Store) findAppended(ctx context.Context, appends []Appending) (res Result, found bool, err error) {
	const latest = 1000
	r := replay{core: s.core, appends: appends, runs: make([][]event.Event, len(appends))}
	for i := range appends {
		a := &appends[i]
		tail, err := s.firstFew(ctx, s.driver, Scan{Match: MatchStreams(a.Stream), Backward: true}, latest+len(a.Events))
		if err != nil {
			return Result{}, false, err
		}
		slices.Reverse(tail)
		start := slices.IndexFunc(tail, func(e event.Event) bool { return e.ID == a.Events[0].ID })
		if start < 0 || !r.compare(i, tail[start:]) {
			return Result{}, false, nil
		}
		r.runs[i] = tail[start : start+len(a.Events)]
	}
	return r.result(), true, nil
}
