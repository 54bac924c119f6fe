package store

import (
	"context"
	"iter"

	"github.com/riffle-go/riffle/event"
)

// Events yields the events that q selects, page by page, up to the head as it is when the
// loop begins; q.Limit is how many in all, 0 is all of them. The first error is yielded
// last. Nothing of the driver is held while the loop's body runs, which may take its time,
// use the Store, or end the loop.
func (s *Store) Events(ctx context.Context, q Query) iter.Seq2[event.Event, error] {
	return func(yield func(event.Event, error) bool) {
		if err := s.eachEvent(ctx, q, yield); err != nil {
			yield(event.Event{}, err)
		}
	}
}

// eachEvent returns nil also when the loop ended early.
func (s *Store) eachEvent(ctx context.Context, q Query, yield func(event.Event, error) bool) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	r, err := s.plan(ctx, q)
	if err != nil {
		return err
	}
	size := DefaultPageSize
	for rest, left := r.rest, q.Limit; ; {
		limit := size
		if q.Limit > 0 {
			limit = min(limit, left)
		}
		p, err := s.look(ctx, r, rest, limit, q.Backward)
		if err != nil {
			return err
		}
		for i := range p.events {
			if !yield(p.events[i], nil) {
				return nil
			}
		}
		r.into = p.events[:0]
		size = nextSize(size, p.events)
		left -= len(p.events)
		if !p.more || q.Limit > 0 && left <= 0 {
			return nil
		}
		if q.Backward {
			rest = rest.behind(p.covered.lo, true)
		} else {
			rest = rest.behind(p.covered.hi, false)
		}
	}
}

// nextSize makes pages of large events shorter, so that a loop does not hold many megabytes.
func nextSize(size int, page []event.Event) int {
	const large, least = 8 << 20, 8
	bytes := 0
	for i := range page {
		bytes += eventSize(&page[i])
	}
	if bytes > large {
		return max(size/2, least)
	}
	return min(size*2, DefaultPageSize)
}

// Event returns the event at a position, or ErrNotFound. It reads the primary.
func (s *Store) Event(ctx context.Context, position event.Position) (event.Event, error) {
	if err := s.ready(ctx); err != nil {
		return event.Event{}, err
	}
	if position == 0 {
		return event.Event{}, &InvalidError{Field: "position", Reason: "is 0; positions begin at 1"}
	}
	events, err := s.firstFew(ctx, s.driver, Scan{From: position, To: position}, 1)
	if err != nil {
		return event.Event{}, err
	}
	if len(events) == 0 {
		return event.Event{}, ErrNotFound
	}
	return events[0], nil
}

// Has says whether there is an event that fits any of the matches; without any, whether
// there is an event at all. (The empty result of MatchTypes and MatchStreams matches
// nothing.) It reads the primary.
func (s *Store) Has(ctx context.Context, match ...Match) (bool, error) {
	if err := s.ready(ctx); err != nil {
		return false, err
	}
	if err := checkMatches(match); err != nil {
		return false, err
	}
	if match != nil && len(match) == 0 {
		return false, nil
	}
	events, err := s.firstFew(ctx, s.driver, Scan{Match: s.expand(match)}, 1)
	return len(events) > 0, err
}

// firstFew returns the first events of a scan, at most limit, however far they are.
func (c *core) firstFew(ctx context.Context, d Driver, scan Scan, limit int) ([]event.Event, error) {
	var events []event.Event
	for {
		scan.Limit = limit - len(events)
		res, err := c.scan(ctx, d, scan)
		if err != nil {
			return nil, err
		}
		events = append(events, res.Events...)
		if !res.More || len(events) >= limit {
			return events, nil
		}
		if scan.Backward {
			if scan.To != 0 && res.Scanned > scan.To || res.Scanned <= 1 {
				return nil, &CorruptError{What: "page", Key: "position " + res.Scanned.String(), Err: errNoProgress}
			}
			scan.To = res.Scanned - 1
		} else {
			if res.Scanned < scan.From {
				return nil, &CorruptError{What: "page", Key: "position " + res.Scanned.String(), Err: errNoProgress}
			}
			scan.From = res.Scanned + 1
		}
	}
}
