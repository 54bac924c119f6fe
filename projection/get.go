package projection

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// Get returns the state of a key as of the model's checkpoint: what an engine has built.
// For what happened a moment ago, engine.Wait for its position first, or use Load.
//
// Errors: store.ErrNotFound when there is no state, with a State whose Position and Blocked
// are good; [ErrRebuilding] when the stored states were built by another definition
// and neither have today's shape nor a Convert.
func (m *Model[S]) Get(ctx context.Context, st *store.Store, key string) (State[S], error) {
	if err := m.program.Broken; err != nil {
		return State[S]{}, err
	}
	st = st.Primary()
	sv, err := m.serving(ctx, st)
	if err != nil {
		return State[S]{}, err
	}
	if sv.decode == nil {
		return State[S]{}, m.refusal(ctx, st, sv)
	}
	// The order of these reads makes Position a lower bound.
	out := State[S]{Key: key, Revision: sv.active.Revision}
	if sv.found {
		info, err := m.subscriber(st, sv).Info(ctx)
		if err != nil {
			return State[S]{}, err
		}
		set, err := m.asideOf(ctx, st, sv, key)
		if err != nil {
			return State[S]{}, err
		}
		out.Position = info.Checkpoint
		if len(set.open) > 0 {
			out.Blocked, out.Position = true, min(out.Position, set.open[0]-1)
		}
	}
	sn, err := st.State(ctx, m.stateKey(sv, key))
	if errors.Is(err, store.ErrNotFound) {
		return out, fmt.Errorf("projection: %s has no state of key %q: %w", m.name, key, store.ErrNotFound)
	}
	if err != nil {
		return State[S]{}, err
	}
	return out.with(sn, sv.decode)
}

// with puts a stored state into s.
func (s State[S]) with(sn store.Snapshot, decode func(store.Snapshot) (*S, error)) (State[S], error) {
	value, err := decode(sn)
	if err != nil {
		return State[S]{}, err
	}
	s.Value, s.Version, s.Revision = *value, sn.Version, sn.Revision
	return s, nil
}

// All yields the states whose keys lie in the range, by key, as of the model's checkpoint. A
// commit during the loop may be seen in part; a switch to a rebuilt generation is not, the
// loop goes on with the states it began with. The first error, as in Get, is yielded last.
func (m *Model[S]) All(ctx context.Context, st *store.Store, r store.Range) iter.Seq2[State[S], error] {
	return func(yield func(State[S], error) bool) {
		if err := m.each(ctx, st.Primary(), r, yield); err != nil {
			yield(State[S]{}, err)
		}
	}
}

func (m *Model[S]) each(ctx context.Context, st *store.Store, r store.Range, yield func(State[S], error) bool) error {
	if err := m.program.Broken; err != nil {
		return err
	}
	sv, err := m.serving(ctx, st)
	if err != nil {
		return err
	}
	if sv.decode == nil {
		return m.refusal(ctx, st, sv)
	}
	var checkpoint event.Position
	blocked := make(map[string]event.Position)
	if sv.found {
		subscriber := m.subscriber(st, sv)
		info, err := subscriber.Info(ctx)
		if err != nil {
			return err
		}
		checkpoint = info.Checkpoint
		for row, err := range subscriber.Rows(ctx, store.Range{Prefix: r.Prefix, After: r.After}) {
			if err != nil {
				return err
			}
			if _, later := blocked[row.Key]; !later && row.State != store.Skipped {
				blocked[row.Key] = row.Position
			}
		}
	}
	for sn, err := range st.States(ctx, m.name, sv.active.Number, r) {
		if err != nil {
			return err
		}
		s := State[S]{Key: sn.Key.Key, Position: checkpoint}
		if first, ok := blocked[s.Key]; ok {
			s.Blocked, s.Position = true, min(checkpoint, first-1)
		}
		if s, err = s.with(sn, sv.decode); err != nil {
			return err
		}
		if !yield(s, nil) {
			return nil
		}
	}
	return nil
}
