package worker_test

import (
	"context"
	"errors"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// The state that a fold deletes is gone from the store with the commit, and what comes later
// for its key begins anew.
func TestTheCommitRemovesADeletedState(t *testing.T) {
	bubble(t, func(b *bed) {
		m := projection.NewModel("balances", projection.Fold(func(s *Balance, e Deposited, ev event.Event) error {
			if e.Cents < 0 {
				return projection.Delete()
			}
			return s.deposit(e, ev)
		}))
		w := b.start(b.config(m))
		w.waits(b.deposit(1, "a", "b"))
		w.waits(b.deposit(-1, "a"))
		_, err := b.store.State(context.Background(), store.SnapshotKey{Projection: "balances", Key: "a"})
		if !errors.Is(err, store.ErrNotFound) {
			b.Errorf("the deleted state is still stored (%v)", err)
		}
		if got := b.balance(m, "b").Cents; got != 1 {
			b.Errorf("%d cents of another key", got)
		}
		w.drains()
		w = b.start(b.config(m)) // whatever it kept in memory is gone
		w.waits(b.deposit(5, "a"))
		if got := b.balance(m, "a").Cents; got != 5 {
			b.Errorf("%d cents after the deletion, want 5", got)
		}
		w.drains()
	})
}
