package projection_test

import (
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// Half of the states from before a switch and half from after would be those of nobody.
func TestAllStaysWithItsGenerationDuringASwitch(t *testing.T) {
	t.Parallel()
	st := setup(t)
	times := func(n int64) *projection.Model[Balance] {
		return projection.NewModel("balances", projection.Fold(func(b *Balance, e Deposited, _ event.Event) error {
			b.Cents += n * e.Cents
			return nil
		}))
	}
	ids := []string{"ann", "bob", "cid"}
	for _, id := range ids {
		appendTo(t, st, Accounts.Stream(id), Deposited{1})
	}
	m := times(1)
	build(t, st, m, 0, 3)
	seen := 0
	for s, err := range m.All(t.Context(), st, store.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		if seen == 0 {
			build(t, st, times(100), 1, 3)
		}
		if s.Key != ids[seen] || s.Value.Cents != 1 {
			t.Errorf("state %d is %s with %d cents", seen, s.Key, s.Value.Cents)
		}
		seen++
	}
	if seen != len(ids) {
		t.Errorf("%d states", seen)
	}
	if s, err := m.Get(t.Context(), st, "ann"); err != nil || s.Value.Cents != 100 {
		t.Errorf("after the switch: %+v, %v", s, err)
	}
}
