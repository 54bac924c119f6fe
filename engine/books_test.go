package engine_test

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

var errTrouble = errors.New("trouble")

// books are a model that sums up and an effect that answers each event by another one. inside
// is called by both, with their name, before they do so.
func books(inside func(name string) error) []projection.Projection {
	retry := projection.Retry{Initial: time.Millisecond, Max: 2 * time.Millisecond}
	m := projection.NewModel("tally", projection.Fold(func(t *Tally, e Added, _ event.Event) error {
		if err := inside("tally"); err != nil {
			return err
		}
		t.N += e.N
		return nil
	})).With(projection.Options{PageSize: 7, CommitEvery: 5 * time.Millisecond, Retry: retry})
	echo := projection.NewEffect("echo", projection.On(func(ctx context.Context, _ Added, ev event.Event) error {
		err := projection.Emit(ctx, store.Batch{Stream: Counters.Stream("echo"), Expect: store.Any, Events: event.Of(Echoed{int(ev.Position)})})
		return errors.Join(err, inside("echo"))
	})).With(projection.Options{Start: store.AtPosition(1), PageSize: 7, Concurrency: 4, Retry: retry})
	return []projection.Projection{m, echo}
}

// settle lets everything come to its end, and checks the books against the log.
func settle(t *testing.T, st *store.Store, e *engine.Engine) {
	t.Helper()
	for _, name := range []string{"tally", "echo"} {
		if err := e.Resume(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(time.Minute); ; {
		if err := e.CatchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		all, err := e.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		left := 0
		for _, s := range all {
			left += s.Parked + s.Waiting
		}
		if left == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("events are still set aside: %+v", all)
		}
		for _, name := range []string{"tally", "echo"} {
			if err := e.Retry(t.Context(), name, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	audit(t, st, e.Projections()[0].(*projection.Model[Tally]))
}

// audit compares the states and the answers with the log.
func audit(t *testing.T, st *store.Store, m *projection.Model[Tally]) {
	t.Helper()
	want, got := map[string]int{}, map[string]int{}
	keys, answered := map[int]string{}, map[int]int{}
	last := map[string]int{}
	for ev, err := range st.Events(t.Context(), store.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		switch ev.Name {
		case Added{}.EventType().Name:
			e, err := event.Decode[Added](ev)
			if err != nil {
				t.Fatal(err)
			}
			want[ev.Stream.ID] += e.N
			keys[int(ev.Position)] = ev.Stream.ID
		case Echoed{}.EventType().Name:
			e, err := event.Decode[Echoed](ev)
			if err != nil {
				t.Fatal(err)
			}
			answered[e.N]++
			if key := keys[e.N]; e.N <= last[key] {
				t.Errorf("the event at %d of %q was answered after the one at %d", e.N, key, last[key])
			} else {
				last[key] = e.N
			}
		}
	}
	for s, err := range m.All(t.Context(), st, store.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		got[s.Key] = s.Value.N
	}
	if len(keys) == 0 {
		t.Error("nothing has happened")
	}
	if !maps.Equal(got, want) {
		t.Errorf("the tallies are %v, the log says %v", got, want)
	}
	for position := range keys {
		if n := answered[position]; n != 1 {
			t.Errorf("the event at %d was answered %d times", position, n)
		}
	}
	if len(answered) != len(keys) {
		t.Errorf("%d events were answered, there are %d", len(answered), len(keys))
	}
}
