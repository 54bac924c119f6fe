package store_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

func TestSubscribersListsThemAll(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	deposit(t, st, "a", 3)
	var want []string
	for _, name := range []string{"a", "a.b", "b"} {
		for g := range uint32(8) {
			key := store.SubscriberKey{Projection: name, Generation: g * 100}
			want = append(want, key.String())
			u := st.Subscriber(key)
			l := claim(t, u)
			if g%2 == 0 {
				if err := u.SetPaused(t.Context(), "night"); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := l.Commit(t.Context(), store.Commit{To: event.Position(g%3 + 1)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	var got []string
	for i, err := range st.Subscribers(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, i.Key.String())
		if single := info(t, st.Subscriber(i.Key)); fmt.Sprint(single) != fmt.Sprint(i) {
			t.Fatalf("listed as\n%+v\nalone\n%+v", i, single)
		}
		g := i.Key.Generation / 100
		wantEqual(t, "Checkpoint", i.Checkpoint, event.Position(g%3+1))
		wantEqual(t, "Paused", i.Paused == "night", g%2 == 0)
		if i.Worker.IsZero() || i.Until.IsZero() {
			t.Fatalf("nobody holds %+v", i)
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for range st.Subscribers(t.Context()) {
		break
	}
}

func TestActivationSwitchesGenerations(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	deposit(t, st, "a", 5)
	old := st.Subscriber(balances)
	oldLease := claim(t, old)
	if _, err := oldLease.Commit(t.Context(), store.Commit{To: 3}); err != nil {
		t.Fatal(err)
	}
	row, err := st.SaveProjection(t.Context(), store.ProjectionRow{Name: "balances", Kind: "model", Next: 2})
	if err != nil {
		t.Fatal(err)
	}
	u := st.Subscriber(store.SubscriberKey{Projection: "balances", Generation: 1})
	l := claim(t, u)
	row.Active = 1
	activate := func(checkpoint event.Position, revision uint64) error {
		r := row
		r.Revision = revision
		_, err := l.Commit(t.Context(), store.Commit{To: 3, Activate: &store.Activation{Row: r, Old: balances, OldCheckpoint: checkpoint}})
		return err
	}
	wantError(t, activate(2, row.Revision), store.ErrGuard) // the old one is ahead
	wantError(t, activate(3, row.Revision+1), store.ErrGuard)
	wantEqual(t, "checkpoint", info(t, u).Checkpoint, 0)
	if err := activate(3, row.Revision); err != nil {
		t.Fatal(err)
	}
	got, err := st.Projection(t.Context(), "balances")
	if err != nil || got.Active != 1 || got.Revision != row.Revision+1 {
		t.Fatal(got, err)
	}
	_, err = oldLease.Commit(t.Context(), store.Commit{From: 3, To: 4})
	wantError(t, err, store.ErrLeaseLost)
	wantEqual(t, "holder of the old one", info(t, old).Worker, event.ID{})
	if _, err := l.Commit(t.Context(), store.Commit{From: 3, To: 4}); err != nil {
		t.Fatal(err)
	}
}
