package engine_test

import (
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// Delete takes everything of every generation, also of one that is still being built, and of
// nothing else.
func TestDeleteLeavesNothingOfAnyGeneration(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pos := b.append("a", Added{1}, Added{2})
	const generations = 3
	for _, name := range []string{"gone", "gone too"} {
		row := store.ProjectionRow{Name: name, Kind: "model", Active: 1, Next: generations}
		for n := range uint32(generations) {
			row.Generations = append(row.Generations, store.Generation{Number: n, State: []store.GenerationState{store.Retired, store.Active, store.Building}[n]})
			u := b.store.Subscriber(store.SubscriberKey{Projection: name, Generation: n})
			lease, err := u.Claim(t.Context(), event.NewID(), time.Minute)
			b.must(err)
			_, err = lease.Commit(t.Context(), store.Commit{
				To:   pos,
				Save: []store.Snapshot{{Key: store.SnapshotKey{Key: "a"}, Position: pos}, {Key: store.SnapshotKey{Key: "b"}, Position: pos}},
				Rows: []store.Row{{Key: "a", Position: 1, State: store.Parked}},
			})
			b.must(err)
			b.must(u.SetPaused(t.Context(), "for a test"))
			b.must(b.store.SaveSnapshot(t.Context(), store.Snapshot{Key: store.SnapshotKey{Projection: name, Generation: n, Key: "a"}, Position: pos}))
		}
		_, err := b.store.SaveProjection(t.Context(), row)
		b.must(err)
	}
	b.must(b.engine().Delete(t.Context(), "gone"))
	for _, name := range []string{"gone", "gone too"} {
		want := 0
		if name == "gone too" {
			want = 1
		}
		for n := range uint32(generations) {
			of := fmt.Sprintf("of generation %d of %q", n, name)
			u := b.store.Subscriber(store.SubscriberKey{Projection: name, Generation: n})
			if got := count(t, b.store.States(t.Context(), name, n, store.Range{})); got != 2*want {
				t.Errorf("%d states %s, want %d", got, of, 2*want)
			}
			if got := count(t, u.Rows(t.Context(), store.Range{})); got != want {
				t.Errorf("%d rows %s, want %d", got, of, want)
			}
			_, err := b.store.Snapshot(t.Context(), store.SnapshotKey{Projection: name, Generation: n, Key: "a"})
			if found := err == nil; found != (want == 1) {
				t.Errorf("the snapshot %s: %v", of, err)
			}
			if i, err := u.Info(t.Context()); err != nil || (i.Term != 0) != (want == 1) || (i.Checkpoint != 0) != (want == 1) || (i.Paused != "") != (want == 1) {
				t.Errorf("the subscriber %s: %+v, %v", of, i, err)
			}
		}
	}
}

// A worker that another engine has left behind commits until it is refused, and what it wrote
// goes too.
func TestDeleteLeavesNothingOfAWorkerThatGoesOn(t *testing.T) {
	t.Parallel()
	for range 20 {
		b := setup(t)
		pos := b.append("a", Added{1})
		_, err := b.store.SaveProjection(t.Context(), store.ProjectionRow{
			Name: "gone", Kind: "model", Next: 1, Generations: []store.Generation{{State: store.Active}},
		})
		b.must(err)
		lease, err := b.store.Subscriber(store.SubscriberKey{Projection: "gone"}).Claim(t.Context(), event.NewID(), time.Minute)
		b.must(err)
		at := event.Position(0)
		commit := func(n int) error {
			_, err := lease.Commit(t.Context(), store.Commit{
				From: at, To: pos, Save: []store.Snapshot{{Key: store.SnapshotKey{Key: fmt.Sprint(n)}, Position: pos}},
			})
			at = pos
			return err
		}
		b.must(commit(0))
		going, refused := make(chan struct{}), make(chan error, 1)
		go func() {
			for n := 1; ; n++ {
				if n == 10 {
					close(going)
				}
				if err := commit(n); err != nil {
					refused <- err
					return
				}
			}
		}()
		select {
		case <-going:
		case err := <-refused:
			t.Fatal(err)
		}
		b.must(b.engine().Delete(t.Context(), "gone"))
		if err := <-refused; !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("the worker ended with %v", err)
		}
		if n := count(t, b.store.States(t.Context(), "gone", 0, store.Range{})); n != 0 {
			t.Fatalf("%d states are left", n)
		}
	}
}

// count goes through a sequence without an error.
func count[T any](t *testing.T, seq iter.Seq2[T, error]) (n int) {
	t.Helper()
	for _, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}
