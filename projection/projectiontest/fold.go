package projectiontest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// Fold returns the states of a model after a log, by key, as an engine would build them:
// with the model's keys and options. A fold that fails, a payload that cannot be decoded and
// a state that does not survive its codec fail the test; an event that a fold skips is left
// out.
func Fold[S any](tb testing.TB, m *projection.Model[S], l *Log) map[string]S {
	tb.Helper()
	states, err := fold(m, l)
	if err != nil {
		tb.Fatal(err)
	}
	out := make(map[string]S, len(states))
	for key, sn := range states {
		state, err := m.Program().Model.Decode(sn)
		if err != nil {
			tb.Fatal(err)
		}
		out[key] = *state.(*S)
	}
	return out
}

func fold(m projection.Projection, l *Log) (map[string]store.Snapshot, error) {
	p := m.Program()
	if p.Fault != nil {
		return nil, p.Fault
	}
	states := make(map[string]store.Snapshot)
	for _, ev := range l.Events {
		if !p.Selects(ev) {
			continue
		}
		keys, err := p.Keys(ev)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			if err := foldOne(p, states, key, ev); err != nil {
				return nil, fmt.Errorf("projectiontest: fold %s at position %d into %q: %w", ev.Type(), ev.Position, key, err)
			}
		}
	}
	return states, nil
}

func foldOne(p *program.Program, states map[string]store.Snapshot, key string, ev event.Event) error {
	state := p.Model.New()
	if sn, ok := states[key]; ok {
		var err error
		if state, err = p.Model.Decode(sn); err != nil {
			return err
		}
	}
	deleted, err := p.Model.Fold(state, key, ev)
	if steer, ok := errors.AsType[*program.Steer](err); ok && steer.Action == program.Skip {
		return nil
	}
	if err != nil {
		return err
	}
	if deleted {
		delete(states, key)
		return nil
	}
	data, contentType, err := p.Model.Encode(state)
	if err != nil {
		return err
	}
	states[key] = store.Snapshot{
		Key:   store.SnapshotKey{Projection: p.Name, Key: key},
		State: data, ContentType: contentType, Revision: p.Revision, Version: ev.Version, Position: ev.Position,
	}
	return nil
}
