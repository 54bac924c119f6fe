package store

import (
	"context"
	"errors"

	"github.com/riffle-go/riffle/event"
)

// errNoProgress ends a loop that a faulty driver would make endless.
var errNoProgress = errors.New("the driver says that there is more, but looked at nothing")

// Read returns one page of the events that q selects, as of the head at the time of the
// call. A page costs in proportion to itself: after Limits.Examine index entries it comes
// back short, or empty, with HasNext set; go on by End, never by the number of items.
//
// Errors: ErrInvalid for a bad query or a damaged cursor, ErrHistory for a cursor of another
// store, ErrNotFound for an AtVersion that the stream does not have.
func (s *Store) Read(ctx context.Context, q Query) (Page[event.Event], error) {
	page, _, err := s.readPage(ctx, q)
	return page, err
}

// readPage also returns the interval that the page covers.
func (s *Store) readPage(ctx context.Context, q Query) (Page[event.Event], span, error) {
	if err := s.ready(ctx); err != nil {
		return Page[event.Event]{}, span{}, err
	}
	limit, err := pageSize(q.Limit)
	if err != nil {
		return Page[event.Event]{}, span{}, err
	}
	r, err := s.plan(ctx, q)
	if err != nil {
		return Page[event.Event]{}, span{}, err
	}
	p, err := s.look(ctx, r, r.rest, limit, q.Backward)
	if err != nil {
		return Page[event.Event]{}, span{}, err
	}
	page := Page[event.Event]{Items: p.events, HasNext: p.more}
	if q.After != "" {
		if page.HasPrev, err = s.hasPrev(ctx, r, p.covered); err != nil {
			return Page[event.Event]{}, span{}, err
		}
	}
	first, last := p.covered.lo, p.covered.hi
	page.Scanned = min(last, r.head.Position)
	if q.Backward {
		first, last = last, first
		page.Scanned = last
	}
	page.Start, page.End = storeCursor(first, r.head.History), storeCursor(last, r.head.History)
	return page, p.covered, nil
}

// hasPrev looks for one event on the other side of a page.
func (s *Store) hasPrev(ctx context.Context, r *reading, covered span) (bool, error) {
	other := span{r.bounds.lo, covered.lo - 1}
	if r.backward {
		other = span{covered.hi + 1, r.bounds.hi}
	}
	p, err := s.look(ctx, r, other, 1, !r.backward)
	return len(p.events) > 0 || p.more, err
}

func pageSize(limit int) (int, error) {
	if limit == 0 {
		return DefaultPageSize, nil
	}
	return limit, checkLimit("Query.Limit", limit, MaxPageSize, "items", "MaxPageSize")
}
