package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

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
	if row, err := b.store.Projection(t.Context(), "tally"); err != nil || row.Deleted {
		t.Errorf("the row of the old name: %+v, %v", row, err)
	}
}

func TestARenameTakesAHaltAlong(t *testing.T) {
	t.Parallel()
	b := setup(t)
	fold := projection.Fold(func(*Tally, Added, event.Event) error { return projection.Halt(errors.New("broken")) })
	b.append("a", Added{1})
	wantState(t, b.engine(projection.NewModel("old", fold)).CatchUp(t.Context()), "halted")
	calls := 0
	mended := projection.NewModel("new", projection.Fold(func(t *Tally, e Added, _ event.Event) error { calls++; t.N += e.N; return nil })).
		With(projection.Options{RenamedFrom: "old"})
	wantState(t, b.engine(mended).CatchUp(t.Context()), "halted")
	if calls != 0 {
		t.Error("what has halted went on under its new name, and nobody resumed it")
	}
}

// The worker of the old name is in the middle of an event when the move is given up: nothing is
// lost under the old name, nothing is half done under the new one.
func TestARenameThatIsGivenUpChangesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var f effect
	inside, goOn := make(chan struct{}), make(chan struct{})
	handler := projection.On(func(ctx context.Context, e Added, ev event.Event) error {
		if e.N == 2 {
			close(inside)
			<-goOn
		}
		return f.handle(ctx, e, ev)
	})
	b.append("a", Added{1}, Added{2}, Added{3})
	old := b.run(b.engine(projection.NewEffect("old", handler).With(projection.Options{Start: store.AtPosition(1)})))
	<-inside
	renamed := projection.NewEffect("new", handler).With(projection.Options{Start: store.AtPosition(1), RenamedFrom: "old"})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.engine(renamed).CatchUp(ctx) }()
	b.until("the old worker is asked to drain", func() bool {
		wish, err := b.store.Subscriber(store.SubscriberKey{Projection: "old"}).Wish(t.Context())
		return err == nil && !wish.Drain.IsZero()
	})
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the move that was given up: %v", err)
	}
	if _, err := b.store.Projection(t.Context(), "new"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("there is a row of the new name: %v", err)
	}
	if row, err := b.store.Projection(t.Context(), "old"); err != nil || row.Deleted {
		t.Errorf("the row of the old name: %+v, %v", row, err)
	}
	close(goOn)
	b.must(old.stop())
	b.must(b.engine(renamed).CatchUp(t.Context()))
	if got := f.handled(); !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("handled %v", got)
	}
}

// Whatever is under the new name is no copy of the old one.
func TestARenameOverSomethingElseIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	fold := projection.Fold(func(t *Tally, e Added, _ event.Event) error { t.N += e.N; return nil })
	b.append("a", Added{1})
	b.must(b.engine(projection.NewModel("old", fold)).CatchUp(t.Context()))
	pos := b.append("a", Added{2})
	lease, err := b.store.Subscriber(store.SubscriberKey{Projection: "new"}).Claim(t.Context(), event.NewID(), time.Minute)
	b.must(err)
	_, err = lease.Commit(t.Context(), store.Commit{To: pos})
	b.must(err)
	b.must(lease.Release(t.Context()))
	m := projection.NewModel("new", fold).With(projection.Options{RenamedFrom: "old"})
	if err := b.engine(m).CatchUp(t.Context()); err == nil || !strings.Contains(err.Error(), "beyond the old one") {
		t.Errorf("got %v", err)
	}
	if _, err := b.store.Projection(t.Context(), "new"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("there is a row of the new name: %v", err)
	}
	if row, err := b.store.Projection(t.Context(), "old"); err != nil || row.Deleted {
		t.Errorf("the row of the old name: %+v, %v", row, err)
	}
}

// A process may die after a part of the states was copied. The row of the new name comes last.
func TestARenameGoesOnAfterACrash(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.append("a", Added{1})
	pos := b.append("b", Added{2})
	calls := 0
	fold := projection.Fold(func(t *Tally, e Added, _ event.Event) error { calls++; t.N += e.N; return nil })
	b.must(b.engine(projection.NewModel("old", fold)).CatchUp(t.Context()))
	moved, err := b.store.State(t.Context(), store.SnapshotKey{Projection: "old", Key: "a"})
	b.must(err)
	moved.Key.Projection = "new"
	lease, err := b.store.Subscriber(store.SubscriberKey{Projection: "new"}).Claim(t.Context(), event.NewID(), time.Minute)
	b.must(err)
	_, err = lease.Commit(t.Context(), store.Commit{To: pos, Save: []store.Snapshot{moved}})
	b.must(err)
	b.must(lease.Release(t.Context()))
	calls = 0
	m := projection.NewModel("new", fold).With(projection.Options{RenamedFrom: "old"})
	b.must(b.engine(m).CatchUp(t.Context()))
	if a, bee := b.tally(m, "a"), b.tally(m, "b"); a != 1 || bee != 2 || calls != 0 {
		t.Errorf("the tallies are %d and %d after %d folds, want 1 and 2 after none", a, bee, calls)
	}
}

// An effect that was never at work begins where it was to begin, under its new name too.
func TestARenamedEffectKeepsItsStart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.append("a", Added{1}, Added{2})
	var f effect
	old := f.projection(projection.Options{Start: store.AtHead()})
	e := b.engine(old)
	b.must(e.Pause(t.Context(), "effect", "before its first event"))
	wantState(t, errors.Join(e.CatchUp(t.Context()), b.engine(old).CatchUp(t.Context())), "paused")
	b.append("a", Added{3})
	renamed := projection.NewEffect("renamed", projection.On(f.handle)).With(projection.Options{Start: store.AtPosition(1), RenamedFrom: "effect"})
	next := b.engine(renamed)
	wantState(t, next.CatchUp(t.Context()), "paused")
	b.must(next.Resume(t.Context(), "renamed"))
	b.must(next.CatchUp(t.Context()))
	if got := f.handled(); !slices.Equal(got, []int{3}) {
		t.Errorf("handled %v, want what came after its start", got)
	}
}

// Several engines of a new version may start at the same time.
func TestEnginesThatRenameAtTheSameTimeAgree(t *testing.T) {
	t.Parallel()
	for range 20 {
		b := setup(t)
		var p picky
		p.refuse.Store(true)
		b.append("a", Added{1}, Added{-2})
		b.must(b.engine(p.projection(projection.Options{})).CatchUp(t.Context()))
		renamed := projection.NewEffect("renamed", projection.On(p.handle)).With(projection.Options{Start: store.AtPosition(1), RenamedFrom: "picky"})
		b.append("a", Added{3})
		last := b.append("b", Added{4})
		var engines []*running
		for range 3 {
			engines = append(engines, b.run(b.engine(renamed)))
		}
		for _, r := range engines {
			if err := r.Wait(t.Context(), renamed, last); err != nil {
				t.Fatalf("%v; Run: %v", err, r.stop())
			}
		}
		for _, r := range engines {
			b.must(r.Retry(t.Context(), "renamed", ""))
		}
		b.until("all is handled", func() bool { return len(p.handled()) >= 4 })
		for _, r := range engines {
			b.must(r.stop())
		}
		if got := p.handled(); !slices.Equal(slices.Sorted(slices.Values(got)), []int{-2, 1, 3, 4}) {
			t.Fatalf("handled %v, want each once", got)
		}
	}
}
