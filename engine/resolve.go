package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/store"
)

// resolve reads the projection's row, writes what this program changes in it, durably, and
// returns what shall run. Several engines may do it at the same time: whoever comes second
// finds what the first one wrote.
func (s *supervisor) resolve(ctx context.Context) (plan, error) {
	for {
		d, err := s.consult(ctx)
		if err != nil {
			return plan{}, fmt.Errorf("engine: projection %q: %w", s.name, err)
		}
		if !d.save {
			return d.plan, nil
		}
		saved, err := s.store.SaveProjection(ctx, d.row)
		switch {
		case errors.Is(err, store.ErrGuard):
			continue
		case err != nil:
			return plan{}, fmt.Errorf("engine: projection %q: %w", s.name, err)
		}
		d.row = saved
		if d.notice != "" {
			s.logger.WarnContext(ctx, d.notice)
		}
		s.inheritPause(ctx, d)
		return d.plan, nil
	}
}

// consult decides by the stored row, or by a new one.
func (s *supervisor) consult(ctx context.Context) (decision, error) {
	row, err := s.store.Projection(ctx, s.name)
	fresh := false
	if errors.Is(err, store.ErrNotFound) || err == nil && row.Deleted {
		fresh = true
		row, err = s.newRow(ctx, row)
	}
	if err != nil {
		return decision{}, err
	}
	d, err := decide(s.program, s.identity, row, time.Now())
	d.save = d.save || fresh
	return d, err
}

// newRow makes the row of a projection that the store does not know; old is what is left
// of a deleted one, or nothing.
func (s *supervisor) newRow(ctx context.Context, old store.ProjectionRow) (store.ProjectionRow, error) {
	if s.program.RenamedFrom != "" {
		row, found, err := s.moveRow(ctx, old)
		if err != nil || found {
			return row, err
		}
	}
	start := event.Position(1)
	if s.program.Kind != program.Model {
		var err error
		if start, err = s.store.ResolveFrom(ctx, s.program.Start); err != nil {
			return store.ProjectionRow{}, fmt.Errorf("its Start: %w", err)
		}
	}
	now := time.Now()
	return store.ProjectionRow{
		Name: s.name, Kind: s.program.Kind.String(), Active: old.Next, Next: old.Next + 1, Start: start,
		Generations: []store.Generation{s.identity.generation(old.Next, store.Active, now)},
		CreatedAt:   now, Revision: old.Revision,
	}, nil
}

// inheritPause pauses a generation that was begun now when the active one is paused: what
// an operator paused is the projection.
func (s *supervisor) inheritPause(ctx context.Context, d decision) {
	g, ok := d.builds()
	if !ok {
		return
	}
	wish, err := s.subscriber(d.row.Active).Wish(ctx)
	if err == nil && wish.Paused != "" {
		err = s.subscriber(g.Number).SetPaused(ctx, wish.Paused)
	}
	if err != nil {
		s.logger.WarnContext(ctx, "could not pause the rebuild of a paused projection", "error", err)
	}
}

// update changes the row by compare-and-swap, and returns it. change may be called several
// times, and returns false when there is nothing to write.
func (s *supervisor) update(ctx context.Context, change func(*store.ProjectionRow) (bool, error)) (store.ProjectionRow, error) {
	for {
		row, err := s.store.Projection(ctx, s.name)
		if err != nil {
			return row, err
		}
		row.Generations = slices.Clone(row.Generations)
		ok, err := change(&row)
		if err != nil || !ok {
			return row, err
		}
		if row, err = s.store.SaveProjection(ctx, row); !errors.Is(err, store.ErrGuard) {
			return row, err
		}
	}
}

// known returns the row, or ErrUnknown when nothing has run under this name yet.
func (s *supervisor) known(ctx context.Context) (store.ProjectionRow, error) {
	row, err := s.store.Projection(ctx, s.name)
	if errors.Is(err, store.ErrNotFound) || err == nil && row.Deleted {
		return row, fmt.Errorf("%w: %q has not run yet, the store has nothing of it", ErrUnknown, s.name)
	}
	return row, err
}

// generations returns the numbers of the generations that workers may work on. A projection
// that has not run yet has the one that it will begin with.
func (s *supervisor) generations(ctx context.Context) ([]uint32, error) {
	row, err := s.store.Projection(ctx, s.name)
	switch {
	case errors.Is(err, store.ErrNotFound) || err == nil && row.Deleted:
		return []uint32{row.Next}, nil
	case err != nil:
		return nil, err
	}
	numbers := []uint32{row.Active}
	for _, g := range row.Generations {
		if g.State == store.Building {
			numbers = append(numbers, g.Number)
		}
	}
	return numbers, nil
}

func (s *supervisor) key(generation uint32) store.SubscriberKey {
	return store.SubscriberKey{Projection: s.name, Generation: generation}
}

func (s *supervisor) subscriber(generation uint32) *store.Subscriber {
	return s.store.Subscriber(s.key(generation))
}
