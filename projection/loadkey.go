package projection

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// LoadKey returns the state of a key as of now, for models whose keys are not stream ids:
// the committed state, and the events that the engine has not got to yet. It reads all
// events of the model behind its checkpoint, so it needs an engine that keeps up:
// beyond MaxBehind (10,000) events it is ErrTooFarBehind.
//
// An event that cannot be folded, also one that waits or is parked, is a [*FoldError]. A
// key without events gives the empty state, and no error. Its states have no Version and cannot make batches.
func (m *Model[S]) LoadKey(ctx context.Context, st *store.Store, key string) (State[S], error) {
	if err := m.program.Broken; err != nil {
		return State[S]{}, err
	}
	if !m.keyed && !m.perStream {
		return State[S]{}, &store.InvalidError{Field: "Model", Reason: fmt.Sprintf("%s folds several aggregates and has no keys; use Load with named streams", m.name)}
	}
	st = st.Primary()
	sv, err := m.serving(ctx, st)
	if err != nil {
		return State[S]{}, err
	}
	// Checkpoint, rows, state, head: in this order nothing can fall between them. What is
	// committed meanwhile is in the state, and left out of the tail by its position.
	var checkpoint event.Position
	set := aside{skipped: make(map[event.Position]struct{})}
	if sv.exact {
		info, err := m.subscriber(st, sv).Info(ctx)
		if err != nil {
			return State[S]{}, err
		}
		checkpoint = info.Checkpoint
		if set, err = m.asideOf(ctx, st, sv, key); err != nil {
			return State[S]{}, err
		}
	}
	base, err := m.committed(ctx, st, sv, key)
	if err != nil {
		return State[S]{}, err
	}
	to, err := m.bound(ctx, st, store.AtHead())
	if err != nil {
		return State[S]{}, err
	}
	f := folded[S]{model: m, label: key, key: &key}
	err = f.run(ctx, set.skipped,
		func() error {
			f.start()
			if base.Position == 0 {
				return nil
			}
			return f.from(base, m.decode)
		},
		func(ctx context.Context, after event.Position) iter.Seq2[event.Event, error] {
			return m.behind(ctx, st, key, set.open, after, max(checkpoint, after), to)
		})
	if err != nil {
		return State[S]{}, err
	}
	return State[S]{Key: key, Value: *f.value, Position: to, Revision: m.program.Revision}, nil
}

// committed returns the engine's state of a key; its Position is 0 when there is none.
func (m *Model[S]) committed(ctx context.Context, st *store.Store, sv serving[S], key string) (store.Snapshot, error) {
	if !sv.exact {
		return store.Snapshot{}, nil
	}
	sn, err := st.State(ctx, m.stateKey(sv, key))
	if errors.Is(err, store.ErrNotFound) {
		return store.Snapshot{}, nil
	}
	return sn, err
}

// behind yields what the state at folded does not have yet of its key: the events set
// aside, then those of the model after checkpoint.
func (m *Model[S]) behind(ctx context.Context, st *store.Store, key string, open []event.Position, folded, checkpoint, to event.Position) iter.Seq2[event.Event, error] {
	return func(yield func(event.Event, error) bool) {
		for _, at := range open {
			if at <= folded || at > checkpoint || at > to {
				continue // done meanwhile, or part of the tail
			}
			if ev, err := st.Event(ctx, at); !yield(ev, err) || err != nil {
				return
			}
		}
		read := 0
		q := store.Query{Match: m.program.Match, RoutingKey: m.program.RoutingKey, Limit: MaxBehind + 1}
		for ev, err := range between(ctx, st, q, checkpoint, to) {
			if err != nil {
				yield(ev, err)
				return
			}
			if read++; read > MaxBehind {
				yield(event.Event{}, fmt.Errorf("%w: %s has more than %d events behind position %d; wait for it to catch up, or use Get", ErrTooFarBehind, m.name, MaxBehind, checkpoint))
				return
			}
			keys, err := m.keys(ev)
			if err != nil {
				yield(event.Event{}, &FoldError{Model: m.name, Key: key, Position: ev.Position, Type: ev.Type(), Err: err})
				return
			}
			if slices.Contains(keys, key) && !yield(ev, nil) {
				return
			}
		}
	}
}
