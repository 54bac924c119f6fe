package store

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/riffle-go/riffle/event"
)

// ResolveFrom returns the position that a Point means as a lower bound: the first position
// to read. The zero Point is 1; AtHead, and a time after the last event, is the position
// after the head. AtVersion may be the next version that the stream will have, which is
// the position after the head too; beyond that it is ErrNotFound, so that a mistyped stream
// does not pass for one that is read to its end. It asks the primary.
//
// Without [TimeSeeker] a time is found by binary search where times do not fall
// (Traits.MonotoneTime), else by reading from the beginning.
func (s *Store) ResolveFrom(ctx context.Context, p Point) (event.Position, error) {
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	head, err := s.head(ctx, s.driver)
	if err != nil {
		return 0, err
	}
	return s.resolveFrom(ctx, s.driver, p, head)
}

// ResolveTo returns the position that a Point means as an upper bound: the last position
// to read; 0 is before every event. The zero Point and AtHead are the head, AtTime is the
// position before the first event that is later, and an AtVersion that the stream has not
// reached is ErrNotFound. It asks the primary.
func (s *Store) ResolveTo(ctx context.Context, p Point) (event.Position, error) {
	if err := s.ready(ctx); err != nil {
		return 0, err
	}
	head, err := s.head(ctx, s.driver)
	if err != nil {
		return 0, err
	}
	return s.resolveTo(ctx, s.driver, p, head)
}

func (c *core) resolveFrom(ctx context.Context, d Driver, p Point, head Head) (event.Position, error) {
	switch p.kind {
	case pointPosition:
		return max(p.position, 1), nil
	case pointVersion:
		found, info, err := c.versionAt(ctx, d, p)
		if err == nil && found == 0 {
			if info.Version+1 == p.version {
				return head.Position + 1, nil
			}
			err = noVersion(p, info)
		}
		return found, err
	case pointTime:
		return c.positionAt(ctx, d, wholeMillis(p.time), head)
	case pointHead:
		return head.Position + 1, nil
	}
	return 1, nil
}

func (c *core) resolveTo(ctx context.Context, d Driver, p Point, head Head) (event.Position, error) {
	switch p.kind {
	case pointPosition:
		return p.position, nil
	case pointVersion:
		found, info, err := c.versionAt(ctx, d, p)
		if err == nil && found == 0 {
			err = noVersion(p, info)
		}
		return found, err
	case pointTime:
		later, err := c.positionAt(ctx, d, wholeMillis(p.time).Add(time.Millisecond), head)
		if err != nil {
			return 0, err
		}
		return later - 1, nil
	}
	return head.Position, nil
}

// wholeMillis cuts a time to what events have. One that is too far away to be counted in
// milliseconds stands at the end of what can, from which an upper bound still adds one.
func wholeMillis(t time.Time) time.Time {
	const first, last = math.MinInt64, math.MaxInt64 - 1
	ms := t.UnixMilli()
	switch s := t.Unix(); {
	case s >= last/1000:
		ms = last
	case s <= first/1000:
		ms = first
	}
	return time.UnixMilli(ms).UTC()
}

func noVersion(p Point, info StreamInfo) error {
	return fmt.Errorf("%w: stream %q has no version %d, its last is %d", ErrNotFound, p.stream, p.version, info.Version)
}

// versionAt returns the position of a version of a stream. When there is none it is 0, and
// info describes the stream.
func (c *core) versionAt(ctx context.Context, d Driver, p Point) (found event.Position, info StreamInfo, err error) {
	if err := p.stream.Validate(); err != nil {
		return 0, info, within("Point", err)
	}
	if p.version == 0 {
		return 0, info, &InvalidError{Field: "Point.Version", Reason: "is 0; versions begin at 1"}
	}
	events, err := c.firstFew(ctx, d, Scan{Match: MatchStreams(p.stream), MinVersion: p.version}, 1)
	if err != nil {
		return 0, info, err
	}
	if len(events) > 0 && events[0].Version == p.version {
		return events[0].Position, info, nil
	}
	info, err = c.stream(ctx, d, p.stream)
	return 0, info, err
}

// positionAt returns the position of the first event at or after t, or the one after the
// head.
func (c *core) positionAt(ctx context.Context, d Driver, t time.Time, head Head) (event.Position, error) {
	if seeker, ok := d.(TimeSeeker); ok {
		if err := c.enter(ctx); err != nil {
			return 0, err
		}
		defer c.gate.leave()
		p, err := seeker.PositionAt(ctx, t)
		return p, wrap("position by time", err)
	}
	if c.traits.MonotoneTime {
		return c.searchTime(ctx, d, t, head)
	}
	return c.scanTime(ctx, d, t, head)
}

// searchTime is a binary search; positions may have gaps.
func (c *core) searchTime(ctx context.Context, d Driver, t time.Time, head Head) (event.Position, error) {
	lo, hi := event.Position(1), head.Position+1
	for lo < hi {
		mid := lo + (hi-lo)/2
		events, err := c.firstFew(ctx, d, Scan{From: mid, To: head.Position}, 1)
		switch {
		case err != nil:
			return 0, err
		case len(events) == 0 || !events[0].Time.Before(t):
			hi = mid
		default:
			lo = events[0].Position + 1
		}
	}
	return lo, nil
}

func (c *core) scanTime(ctx context.Context, d Driver, t time.Time, head Head) (event.Position, error) {
	for from := event.Position(1); from <= head.Position; {
		res, err := c.scan(ctx, d, Scan{From: from, To: head.Position, Limit: DefaultPageSize})
		if err != nil {
			return 0, err
		}
		for _, e := range res.Events {
			if !e.Time.Before(t) {
				return e.Position, nil
			}
		}
		if !res.More {
			break
		}
		if res.Scanned < from {
			return 0, &CorruptError{What: "page", Key: "position " + res.Scanned.String(), Err: errNoProgress}
		}
		from = res.Scanned + 1
	}
	return head.Position + 1, nil
}
