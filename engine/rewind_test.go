package engine_test

import (
	"context"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// Whoever allows an effect to repeat gets what it emitted once more, as events of their own.
func TestARewindRepeatsWhatWasEmitted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := projection.NewEffect("echo", projection.On(func(ctx context.Context, e Added, _ event.Event) error {
		return projection.Emit(ctx, store.Batch{Stream: Counters.Stream("echo"), Expect: store.Any, Events: event.Of(Echoed(e))})
	})).With(projection.Options{Start: store.AtPosition(1), Repeat: true})
	r := b.run(b.engine(p))
	pos := b.append("a", Added{1}, Added{2}, Added{3})
	b.must(r.Wait(t.Context(), p, pos))
	b.must(r.Rewind(t.Context(), "echo", store.AtPosition(2)))
	b.must(r.Wait(t.Context(), p, pos))
	var got []int
	for ev, err := range b.store.Events(t.Context(), store.Query{Match: store.MatchTypes(Echoed{}.EventType())}) {
		b.must(err)
		e, err := event.Decode[Echoed](ev)
		b.must(err)
		got = append(got, e.N)
	}
	if want := []int{1, 2, 3, 2, 3}; len(got) != len(want) || [5]int(got) != [5]int(want) {
		t.Errorf("emitted %v, want %v", got, want)
	}
}
