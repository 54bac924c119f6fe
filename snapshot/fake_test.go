package snapshot_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/snapshot"
	"github.com/riffle-go/riffle/store"
)

// journal is the state of the tests: what was folded, in order.
type journal struct{ Seen []uint64 }

var errRefused = errors.New("refused")

// backend is a log and the committed states, with a model whose folds do what the event's
// name says.
type backend struct {
	events    map[event.Position]event.Event
	committed map[string]store.Snapshot
	loads     int
	reads     int
	encodable func(j *journal) error
}

func newBackend() *backend {
	return &backend{
		events: make(map[event.Position]event.Event), committed: make(map[string]store.Snapshot),
		encodable: func(*journal) error { return nil },
	}
}

// event makes an event at a position and keeps it in the log.
func (b *backend) event(at event.Position, name string) event.Event {
	ev := event.Event{Position: at, Version: uint64(at), Name: name, Data: []byte(strconv.Itoa(int(at)))}
	b.events[at] = ev
	return ev
}

func (b *backend) config() snapshot.Config {
	return snapshot.Config{
		Projection: "p", Generation: 2, Revision: 3, PerStream: true,
		Load: func(_ context.Context, key string) (store.Snapshot, error) {
			b.loads++
			sn, ok := b.committed[key]
			if !ok {
				return store.Snapshot{}, fmt.Errorf("%w: %s", store.ErrNotFound, key)
			}
			return sn, nil
		},
		Event: func(_ context.Context, at event.Position) (event.Event, error) {
			b.reads++
			ev, ok := b.events[at]
			if !ok {
				return event.Event{}, store.ErrNotFound
			}
			return ev, nil
		},
		New: func() any { return &journal{} },
		Decode: func(sn store.Snapshot) (any, error) {
			j := &journal{}
			return j, snapshot.Open(event.JSON(), sn, j)
		},
		Encode: func(state any) ([]byte, string, error) {
			if err := b.encodable(state.(*journal)); err != nil {
				return nil, "", err
			}
			data, err := json.Marshal(state)
			return data, event.JSON().ContentType(), err
		},
		Size: func(encoded int) int { return encoded },
		Fold: func(state any, _ string, ev event.Event) (bool, error) {
			j := state.(*journal)
			j.Seen = append(j.Seen, uint64(ev.Position)) // also when it fails: half-done work
			switch ev.Name {
			case "refuse":
				return false, errRefused
			case "panic":
				panic("in the fold")
			case "delete":
				return true, nil
			}
			return false, nil
		},
	}
}

// commit applies a cut like the store would.
func (b *backend) commit(c snapshot.Cut) {
	for _, sn := range c.Save {
		b.committed[sn.Key.Key] = sn
	}
	for _, k := range c.Remove {
		delete(b.committed, k)
	}
}

func setup(t *testing.T, change func(*snapshot.Config)) (*backend, *snapshot.States) {
	t.Helper()
	b := newBackend()
	c := b.config()
	if change != nil {
		change(&c)
	}
	s, err := snapshot.NewStates(c)
	if err != nil {
		t.Fatal(err)
	}
	return b, s
}

// fold folds and turns a panic into an error, as a worker does.
func fold(ctx context.Context, s *snapshot.States, key string, ev event.Event) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return s.Fold(ctx, key, ev)
}

func seen(t *testing.T, s *snapshot.States, key string) string {
	t.Helper()
	state, err := s.View(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if state == nil {
		return "none"
	}
	return fmt.Sprint(state.(*journal).Seen)
}
