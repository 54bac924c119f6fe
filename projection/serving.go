package projection

import (
	"context"
	"errors"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// serving is what the store has of a model: its row, and the generation to read.
type serving[S any] struct {
	found  bool // there is a row
	active store.Generation
	skips  []store.Skip
	decode func(store.Snapshot) (*S, error) // nil: the states cannot be served
	exact  bool                             // built by this very definition
	row    store.ProjectionRow
}

// serving looks up the model's row. An operator's rename is not followed: until an engine
// ran, there is nothing under the new name.
func (m *Model[S]) serving(ctx context.Context, st *store.Store) (serving[S], error) {
	row, err := st.Projection(ctx, m.name)
	if errors.Is(err, store.ErrNotFound) || err == nil && row.Deleted {
		return serving[S]{decode: m.decode}, nil
	}
	if err != nil {
		return serving[S]{}, err
	}
	sv := serving[S]{found: true, skips: row.Skips, row: row, active: store.Generation{
		Number: row.Active, Revision: m.program.Revision,
		Fingerprint: m.program.Fingerprint, Filter: m.program.Filter(st.Options().Schema),
	}}
	for _, g := range row.Generations {
		if g.Number != row.Active {
			continue
		}
		want := sv.active
		sv.active = g
		sameShape := g.Fingerprint == want.Fingerprint
		sv.exact = sameShape && g.Revision == want.Revision && g.Filter == want.Filter
		switch {
		case g.Revision > want.Revision:
		case sameShape:
			sv.decode = m.decode
		case m.convert != nil:
			sv.decode = m.converted
		}
		return sv, nil
	}
	sv.decode, sv.exact = m.decode, true // no generation was described yet: nothing else wrote it
	return sv, nil
}

func (m *Model[S]) converted(old store.Snapshot) (*S, error) {
	s, err := m.convert(old)
	return &s, err
}

// refusal is the error for states that cannot be served.
func (m *Model[S]) refusal(ctx context.Context, st *store.Store, sv serving[S]) error {
	e := &RebuildingError{Model: m.name, Stored: sv.active.Revision, Wanted: m.program.Revision}
	head, err := st.Head(ctx)
	if err != nil {
		return err
	}
	e.Head = head.Position
	for _, g := range sv.row.Generations {
		if g.State != store.Building {
			continue
		}
		info, err := st.Subscriber(store.SubscriberKey{Projection: m.name, Generation: g.Number}).Info(ctx)
		if err != nil {
			return err
		}
		e.Position = max(e.Position, info.Checkpoint)
	}
	return e
}

func (m *Model[S]) subscriber(st *store.Store, sv serving[S]) *store.Subscriber {
	return st.Subscriber(store.SubscriberKey{Projection: m.name, Generation: sv.active.Number})
}

func (m *Model[S]) stateKey(sv serving[S], key string) store.SnapshotKey {
	return store.SnapshotKey{Projection: m.name, Generation: sv.active.Number, Key: key}
}

// aside is what the rows of a key say.
type aside struct {
	open    []event.Position            // waiting or parked, in order
	skipped map[event.Position]struct{} // by an operator or the handler
}

// asideOf reads the rows of a key, and the skips that every generation honours.
func (m *Model[S]) asideOf(ctx context.Context, st *store.Store, sv serving[S], key string) (aside, error) {
	a := aside{skipped: make(map[event.Position]struct{})}
	if !sv.found {
		return a, nil
	}
	for _, s := range sv.skips {
		if s.Key == key {
			a.skipped[s.Position] = struct{}{}
		}
	}
	for row, err := range m.subscriber(st, sv).KeyRows(ctx, key) {
		switch {
		case err != nil:
			return aside{}, err
		case row.State == store.Skipped:
			a.skipped[row.Position] = struct{}{}
		default:
			a.open = append(a.open, row.Position)
		}
	}
	return a, nil
}
