package projection

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/snapshot"
	"github.com/riffle-go/riffle/store"
)

// Load returns the state folded from streams as of now, whether or not an engine runs the
// model: from its stored state, or from the snapshot of an earlier Load, and the events
// since. Several streams are folded in the order of their events, all of them into one
// state. Streams without events give the empty state with Version 0, and no error.
//
// Options.Streams and Options.RoutingKey do not matter here: the streams are named. A model
// whose keys are not stream ids is refused; see LoadKey.
//
// An event that cannot be folded is a [*FoldError]. Snapshots are a cache: that one could
// not be kept is no error.
func (m *Model[S]) Load(ctx context.Context, st *store.Store, s event.Stream, more ...event.Stream) (State[S], error) {
	out, err := m.load(ctx, st, store.AtHead(), true, s, more)
	if err == nil {
		out.stream = s
	}
	return out, err
}

// LoadAt returns the state as it was at a point: after that position, that version of a
// stream, or that time. The point is an inclusive upper bound. Its states cannot make
// batches: to append, Load.
func (m *Model[S]) LoadAt(ctx context.Context, st *store.Store, at store.Point, s event.Stream, more ...event.Stream) (State[S], error) {
	return m.load(ctx, st, at, false, s, more)
}

func (m *Model[S]) load(ctx context.Context, st *store.Store, at store.Point, now bool, s event.Stream, more []event.Stream) (State[S], error) {
	if err := m.loadable(now, s, more); err != nil {
		return State[S]{}, err
	}
	st = st.Primary() // who decides must see what was just written
	sv, err := m.serving(ctx, st)
	if err != nil {
		return State[S]{}, err
	}
	without := make(map[event.Position]struct{})
	if m.perStream && len(more) == 0 {
		set, err := m.asideOf(ctx, st, sv, s.ID)
		if err != nil {
			return State[S]{}, err
		}
		without = set.skipped
	}
	base, to, err := m.baseAndBound(ctx, st, sv, at, now, s, more)
	if err != nil {
		return State[S]{}, err
	}
	q := store.Query{Match: store.MatchStreams(append([]event.Stream{s}, more...)...)}
	f := folded[S]{model: m, label: s.ID, first: s}
	err = f.run(ctx, without,
		func() error {
			if base.Position == 0 || f.from(base, m.decode) != nil {
				f.start() // a stored state that cannot be decoded is only a cache here
			}
			return nil
		},
		func(ctx context.Context, after event.Position) iter.Seq2[event.Event, error] {
			return between(ctx, st, q, after, to)
		})
	if err != nil {
		return State[S]{}, err
	}
	if now && snapshot.Policy(m.options.SnapshotEvery).Keep(f.read) {
		m.keepSnapshot(ctx, st, &f, s, more)
	}
	return State[S]{Key: s.ID, Value: *f.value, Position: to, Version: f.version, Revision: m.program.Revision}, nil
}

// baseAndBound returns the stored state to begin with and the last position to fold. When
// that is the head, the state is read first: one that was committed in between would be
// beyond the bound, and of no use.
func (m *Model[S]) baseAndBound(ctx context.Context, st *store.Store, sv serving[S], at store.Point, now bool, s event.Stream, more []event.Stream) (base store.Snapshot, to event.Position, err error) {
	if now {
		if base, err = m.base(ctx, st, sv, math.MaxUint64, s, more); err == nil {
			to, err = m.bound(ctx, st, at)
		}
		return base, to, err
	}
	if to, err = m.bound(ctx, st, at); err == nil {
		base, err = m.base(ctx, st, sv, to, s, more)
	}
	return base, to, err
}

// loadable refuses what cannot be folded by streams.
func (m *Model[S]) loadable(now bool, s event.Stream, more []event.Stream) error {
	if err := m.program.Broken; err != nil {
		return err
	}
	if m.keyed {
		call := "Load"
		if !now {
			call = "LoadAt"
		}
		return &store.InvalidError{Field: "Model", Reason: fmt.Sprintf("%s has keys of its own, so that no stream makes a state; use LoadKey instead of %s", m.name, call)}
	}
	if err := s.Validate(); err != nil {
		return err
	}
	for i, x := range more {
		if err := x.Validate(); err != nil {
			return err
		}
		if x == s || slices.Contains(more[:i], x) {
			return &store.InvalidError{Field: "Stream", Reason: fmt.Sprintf("%s is named twice", x)}
		}
	}
	return nil
}

// bound is the last position to fold; a point beyond the head is the head.
func (m *Model[S]) bound(ctx context.Context, st *store.Store, at store.Point) (event.Position, error) {
	to, err := st.ResolveTo(ctx, at)
	if err != nil {
		return 0, err
	}
	head, err := st.Head(ctx)
	return min(to, head.Position), err
}

// base returns the stored state to begin with; its Position is 0 when there is none. It is
// the engine's, if that is of the same stream and definition, or the snapshot of an earlier
// Load, whichever is later: an engine may be far behind.
func (m *Model[S]) base(ctx context.Context, st *store.Store, sv serving[S], to event.Position, s event.Stream, more []event.Stream) (store.Snapshot, error) {
	var state store.Snapshot
	if sv.exact && m.perStream && len(more) == 0 {
		var err error
		if state, err = upTo(to)(st.State(ctx, m.stateKey(sv, s.ID))); err != nil {
			return state, err
		}
	}
	kept, err := upTo(to)(st.Snapshot(ctx, m.onDemandKey(st, s, more)))
	if kept.Position > state.Position {
		return kept, err
	}
	return state, err
}

// upTo lets a snapshot pass if it is no later than a position; none is no error.
func upTo(to event.Position) func(store.Snapshot, error) (store.Snapshot, error) {
	return func(sn store.Snapshot, err error) (store.Snapshot, error) {
		switch {
		case errors.Is(err, store.ErrNotFound):
			return store.Snapshot{}, nil
		case err != nil:
			return store.Snapshot{}, err
		case sn.Position > to:
			return store.Snapshot{}, nil
		}
		return sn, nil
	}
}

func (m *Model[S]) onDemandKey(st *store.Store, s event.Stream, more []event.Stream) store.SnapshotKey {
	p := m.program
	return snapshot.OnDemandKey(m.name, p.Revision, p.Fingerprint, p.Filter(st.Options().Schema), s, more...)
}

func (m *Model[S]) keepSnapshot(ctx context.Context, st *store.Store, f *folded[S], s event.Stream, more []event.Stream) {
	sn, err := snapshot.Seal(m.codec, m.onDemandKey(st, s, more), inner(f.value), m.program.Revision, f.version, f.position)
	if err != nil || len(sn.State) > st.Limits().StateBytes {
		return // the next Load reads on from the same place
	}
	if err := st.SaveSnapshot(ctx, sn); err != nil && ctx.Err() == nil {
		st.Options().Logger.DebugContext(ctx, "projection: snapshot not kept", "projection", m.name, "error", err)
	}
}

// between yields the events of a query in (after, to].
func between(ctx context.Context, st *store.Store, q store.Query, after, to event.Position) iter.Seq2[event.Event, error] {
	return func(yield func(event.Event, error) bool) {
		if after >= to {
			return
		}
		q.From, q.To = store.AtPosition(after+1), store.AtPosition(to)
		st.Events(ctx, q)(yield)
	}
}
