package store

import (
	"bytes"
	"context"
	"errors"

	"github.com/cenkalti/backoff/v4"
)

// swap commits what next returns, and asks again when a guard did not hold, as often as it
// takes: each time somebody else has made progress. A nil Txn is nothing to do. Writes with
// an unknown outcome are tried again too: their guards let them happen once, so next may
// find its own work done.
func (s *Store) swap(ctx context.Context, next func() (*Txn, error)) error {
	retry := patience(ctx)
	for {
		txn, err := next()
		if err != nil || txn == nil {
			return err
		}
		_, err = s.commit(ctx, txn)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrGuard):
			if err := ctx.Err(); err != nil {
				return err
			}
		case errors.Is(err, ErrUnknown):
			if err := s.pause(ctx, retry, err); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// replace writes one record over the revision before it, and finds out an unknown outcome
// by reading it back.
func (s *Store) replace(ctx context.Context, put Record, before uint64) error {
	retry := patience(ctx)
	txn := &Txn{Guards: []Guard{{put.Key, before}}, Puts: []Record{put}}
	unknown := false
	for {
		_, err := s.commit(ctx, txn)
		switch {
		case errors.Is(err, ErrUnknown):
			unknown = true
			if err := s.pause(ctx, retry, err); err != nil {
				return err
			}
		case unknown && errors.Is(err, ErrGuard): // what has come in between may be our own, late
		default:
			return err
		}
		stored, _, getErr := s.get(ctx, put.Key)
		switch {
		case getErr == nil && stored.Revision == put.Revision && bytes.Equal(stored.Value, put.Value):
			return nil
		case errors.Is(err, ErrGuard):
			return err
		}
	}
}

// pause sleeps before an unknown write is looked at again, or returns why not to.
func (s *Store) pause(ctx context.Context, retry backoff.BackOff, unknown error) error {
	d := retry.NextBackOff()
	if d == backoff.Stop {
		return unknown
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	select {
	case <-ctx.Done():
	case <-s.closing.Done():
		return ErrClosed
	}
	return nil
}
