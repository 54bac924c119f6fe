package store

import (
	"context"
	"errors"
	"time"

	"github.com/riffle-go/riffle/event"
)

// pollEvery is how often Wait looks itself when the driver may lose a wake-up.
const pollEvery = 500 * time.Millisecond

// Head returns the durable head of the primary.
func (s *Store) Head(ctx context.Context) (Head, error) {
	if err := s.ready(ctx); err != nil {
		return Head{}, err
	}
	return s.head(ctx, s.driver)
}

// Wait returns the head when it is beyond after and an event that match selects may be
// among the new ones; without match, any event. That is a hint: read to see what there is.
// It does not poll, unless the driver is one that can lose a wake-up. It ends with ctx,
// and with ErrClosed when the store closes. The head is the primary's: who reads a replica
// may have to read more than once.
func (s *Store) Wait(ctx context.Context, after event.Position, match ...Match) (event.Position, error) {
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	if err := checkMatches(match); err != nil {
		return 0, err
	}
	ctx, cancel := s.patient(ctx)
	defer cancel()
	if match != nil && len(match) == 0 { // nothing can come
		<-ctx.Done()
		return 0, s.ended(ctx, "wait", context.Cause(ctx))
	}
	expanded := s.expand(match)
	for {
		if err := s.waitOnce(ctx, after, expanded); err != nil {
			return 0, s.ended(ctx, "wait", err)
		}
		head, err := s.head(ctx, s.driver)
		if err != nil {
			return 0, s.ended(ctx, "wait", err)
		}
		if head.Position > after {
			return head.Position, nil
		}
	}
}

// waitOnce returns nil when it is time to look at the head.
func (c *core) waitOnce(ctx context.Context, after event.Position, match []Match) error {
	if err := c.enter(ctx); err != nil {
		return err
	}
	defer c.gate.leave()
	if c.traits.ReliableWake {
		return c.driver.Wait(ctx, after, match)
	}
	round, cancel := context.WithTimeout(ctx, pollEvery)
	defer cancel()
	err := c.driver.Wait(round, after, match)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return nil
	}
	return err
}
