package projection_test

import (
	"errors"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// A key is blocked as long as one of its events waits, for a time or for an operator; what is
// skipped blocks nobody.
func TestWhichEventsBlockAKey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		state   store.RowState
		blocked bool
	}{"waiting": {store.Waiting, true}, "parked": {store.Parked, true}, "skipped": {store.Skipped, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, m := setup(t), balances()
			appendTo(t, st, Accounts.Stream("ann"), Deposited{1})
			build(t, st, m, 0, 1)
			appendTo(t, st, Accounts.Stream("ann"), Deposited{2}, Deposited{4})
			appendTo(t, st, Accounts.Stream("bob"), Deposited{8})
			lease, err := st.Subscriber(store.SubscriberKey{Projection: "balances"}).Claim(t.Context(), event.NewID(), time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			commit := store.Commit{From: 1, To: 4}
			for _, key := range []string{"ann", "bob"} { // nothing is known of bob but this
				at := map[string]event.Position{"ann": 2, "bob": 4}[key]
				commit.Rows = append(commit.Rows, store.Row{Key: key, Position: at, State: c.state})
			}
			if _, err := lease.Commit(t.Context(), commit); err != nil {
				t.Fatal(err)
			}
			want := event.Position(4)
			if c.blocked {
				want = 1
			}
			got, err := m.Get(t.Context(), st, "ann")
			if err != nil || got.Blocked != c.blocked || got.Position != want || got.Value.Cents != 1 {
				t.Errorf("Get: %+v, %v", got, err)
			}
			if all := collect(t, m, st, store.Range{}); len(all) != 1 || all[0] != got {
				t.Errorf("All: %+v", all)
			}
			if c.blocked {
				want = 3
			}
			got, err = m.Get(t.Context(), st, "bob")
			if !errors.Is(err, store.ErrNotFound) || got.Blocked != c.blocked || got.Position != want {
				t.Errorf("Get of a key without a state: %+v, %v", got, err)
			}
		})
	}
}
