package store

import (
	"context"
	"iter"

	"github.com/riffle-go/riffle/event"
)

// listPage is how many entries of a listing are read at once.
const listPage = 500

// Stream describes a stream; one without events has version 0. It asks the primary.
func (s *Store) Stream(ctx context.Context, stream event.Stream) (StreamInfo, error) {
	if err := s.ready(ctx); err != nil {
		return StreamInfo{}, err
	}
	if err := stream.Validate(); err != nil {
		return StreamInfo{}, err
	}
	return s.stream(ctx, s.driver, stream)
}

// Types lists every event type ever appended, by the names under which they are stored,
// sorted by aggregate, then name. ErrUnsupported when the driver is no [Catalog].
func (s *Store) Types(ctx context.Context) ([]event.Type, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	catalog, ok := s.catalog()
	if !ok {
		return nil, ErrUnsupported
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	types, err := catalog.Types(ctx)
	return types, wrap("types", err)
}

// Streams yields the streams of an aggregate by id, in byte order. The first error is
// yielded last; ErrUnsupported when the driver is no [Catalog].
func (s *Store) Streams(ctx context.Context, a event.Aggregate, r Range) iter.Seq2[event.Stream, error] {
	return func(yield func(event.Stream, error) bool) {
		if err := s.eachStream(ctx, a, r, yield); err != nil {
			yield(event.Stream{}, err)
		}
	}
}

func (s *Store) eachStream(ctx context.Context, a event.Aggregate, r Range, yield func(event.Stream, error) bool) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	if err := a.Validate(); err != nil {
		return err
	}
	if err := checkRange(r); err != nil {
		return err
	}
	catalog, ok := s.catalog()
	if !ok {
		return ErrUnsupported
	}
	for left := r.Limit; ; {
		r.Limit = listPage
		if left > 0 {
			r.Limit = min(listPage, left)
		}
		streams, err := s.streams(ctx, catalog, a, r)
		if err != nil {
			return err
		}
		for _, st := range streams {
			if !yield(st, nil) {
				return nil
			}
		}
		if len(streams) < r.Limit || left == r.Limit {
			return nil
		}
		if left > 0 {
			left -= len(streams)
		}
		r.After = streams[len(streams)-1].ID
	}
}

func (c *core) streams(ctx context.Context, catalog Catalog, a event.Aggregate, r Range) ([]event.Stream, error) {
	if err := c.enter(ctx); err != nil {
		return nil, err
	}
	defer c.gate.leave()
	streams, err := catalog.Streams(ctx, a, r)
	return streams, wrap("streams", err)
}

// catalog returns who serves listings: the replica if it can, else the primary.
func (s *Store) catalog() (Catalog, bool) {
	if c, ok := s.reads.(Catalog); ok {
		return c, true
	}
	c, ok := s.driver.(Catalog)
	return c, ok
}
