package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// handoverTime is how long the old generation stands still for the new one to pass it. If
// the switch has not happened by then, the old one goes on and the new one tries again.
const handoverTime = 5 * time.Second

// handover keeps the active generation still until another replaces it.
type handover struct {
	key   store.SubscriberKey
	until time.Time
}

func (h handover) holds(key store.SubscriberKey, now time.Time) bool {
	return h.key == key && now.Before(h.until)
}

// errReplaced ends a worker whose generation nobody wants any more.
var errReplaced = errors.New("engine: the generation is not being built any more")

// activate says how the generation of key becomes the active one with this checkpoint, or
// nil when it has not passed the old one yet. It is called in the worker's goroutine.
//
// The switch is guarded by the old generation's checkpoint. While a worker moves that, the
// guard fails again and again; so the engine's own one is stopped first.
func (s *supervisor) activate(ctx context.Context, key store.SubscriberKey, checkpoint event.Position) (*store.Activation, error) {
	row, err := s.store.Projection(ctx, s.name)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(row.Generations, func(g store.Generation) bool { return g.Number == key.Generation })
	if i < 0 || row.Generations[i].State != store.Building {
		return nil, errReplaced
	}
	old := s.key(row.Active)
	if err := s.stand(ctx, old); err != nil {
		return nil, err
	}
	info, err := s.store.Subscriber(old).Info(ctx)
	if err != nil {
		return nil, err
	}
	if info.Checkpoint > checkpoint {
		return nil, nil
	}
	now := time.Now()
	row.Generations = slices.Clone(row.Generations)
	for j := range row.Generations {
		if g := &row.Generations[j]; g.Number == row.Active {
			g.State, g.RetiredAt = store.Retired, now
		}
	}
	row.Generations[i].State = store.Active
	row.Active, row.SwitchedAt = key.Generation, now
	return &store.Activation{Row: row, Old: old, OldCheckpoint: info.Checkpoint}, nil
}

// stand stops the worker of the old generation for a while.
func (s *supervisor) stand(ctx context.Context, old store.SubscriberKey) error {
	s.mu.Lock()
	s.handover = handover{key: old, until: time.Now().Add(handoverTime)}
	if t, ok := s.tasks[old]; ok {
		t.drain()
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, handoverTime)
	defer cancel()
	err := s.drained(ctx, old)
	if err != nil && errors.Is(err, context.DeadlineExceeded) {
		return nil // it takes long; the guard decides
	}
	return err
}

// deleteExpired removes generations that nobody reads any more, and then their mention in the
// row, so that a crash in between leaves them to be found.
func (s *supervisor) deleteExpired(ctx context.Context, expired []store.Generation) error {
	for _, g := range expired {
		if err := deleteGeneration(ctx, s.store, s.name, g.Number); err != nil {
			return err
		}
		_, err := s.update(ctx, func(row *store.ProjectionRow) (bool, error) {
			n := len(row.Generations)
			row.Generations = slices.DeleteFunc(row.Generations, func(r store.Generation) bool {
				return r.Number == g.Number && r.State == store.Retired
			})
			return len(row.Generations) < n, nil
		})
		if err != nil {
			return err
		}
		s.logger.InfoContext(ctx, "deleted a replaced generation", "generation", g.Number)
	}
	return nil
}
