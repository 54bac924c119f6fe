package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

func TestARenamedModelTakesItsStatesAlong(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const keys = 2500 // more than one commit can carry
	for i := range keys {
		b.append(fmt.Sprintf("k%d", i), Added{i})
	}
	calls := 0
	fold := projection.Fold(func(t *Tally, e Added, _ event.Event) error { calls++; t.N += e.N; return nil })
	b.must(b.engine(projection.NewModel("old", fold)).CatchUp(t.Context()))
	b.must(b.engine(projection.NewModel("old", fold)).Pause(t.Context(), "old", "for the move"))
	calls = 0
	m := projection.NewModel("new", fold).With(projection.Options{RenamedFrom: "old"})
	e := b.engine(m)
	r := b.run(e)
	pos := b.append("k1", Added{1})
	wantState(t, r.Wait(t.Context(), m, pos), "paused")
	b.must(r.Resume(t.Context(), "new"))
	b.must(r.Wait(t.Context(), m, pos))
	if calls != 1 {
		t.Errorf("%d events were folded, want only the new one", calls)
	}
	for i := range keys {
		want := i
		if i == 1 {
			want++
		}
		if n := b.tally(m, fmt.Sprintf("k%d", i)); n != want {
			t.Fatalf("k%d is %d, want %d", i, n, want)
		}
	}
	if row, err := b.store.Projection(t.Context(), "old"); err != nil || !row.Deleted {
		t.Errorf("the old row is %+v, %v", row, err)
	}
	for _, err := range b.store.States(t.Context(), "old", 0, store.Range{}) {
		t.Fatalf("states of the old name are left: %v", err)
	}
	b.must(r.stop())
	b.must(b.engine(m).CatchUp(t.Context())) // and once more with the option still there
}

func TestARenamedEffectKeepsCheckpointRowsAndSkips(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var p picky
	p.refuse.Store(true)
	old := p.projection(projection.Options{})
	b.append("a", Added{1}, Added{-2})
	b.append("b", Added{-3})
	e := b.engine(old)
	b.must(e.CatchUp(t.Context()))
	b.must(e.Skip(t.Context(), "picky", "b", 3))

	renamed := projection.NewEffect("renamed", projection.On(func(ctx context.Context, e Added, ev event.Event) error {
		return p.handle(ctx, e, ev)
	})).With(projection.Options{Start: store.AtPosition(1), RenamedFrom: "picky"})
	next := b.engine(renamed)
	b.must(next.CatchUp(t.Context()))
	if got := p.handled(); !slices.Equal(got, []int{1}) {
		t.Errorf("handled %v: what was done is done again", got)
	}
	if st := b.status(next, "renamed"); st.Parked != 1 || len(st.Row.Skips) != 1 {
		t.Errorf("the status is %+v", st)
	}
	b.run(next)
	b.must(next.Retry(t.Context(), "renamed", "a"))
	b.until("the parked event is handled", func() bool { return slices.Equal(p.handled(), []int{1, -2}) })
}

func TestARenameToAnotherKindIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.must(b.engine(tally(projection.Options{})).CatchUp(t.Context()))
	p := new(effect).projection(projection.Options{RenamedFrom: "tally"})
	if err := b.engine(p).CatchUp(t.Context()); !errors.Is(err, store.ErrInvalid) {
		t.Fatalf("got %v", err)
	}
}
