package projection_test

import (
	"errors"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// Every event deposits 1 into the one account, so that a state says how many events it has.
func TestReadsDuringCommitsMissNothingAndCountNothingTwice(t *testing.T) {
	t.Parallel()
	st, plain := setup(t), balances()
	keyed := projection.NewModel("keyed", projection.FoldBy(func(Deposited, event.Event) []string { return []string{"all"} }, deposit))
	ann := Accounts.Stream("ann")
	appendTo(t, st, ann, Deposited{1})
	register(t, st, plain.Program(), 0)
	register(t, st, keyed.Program(), 0)

	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 60 {
			to := appendTo(t, st, ann, Deposited{1}, Deposited{1}).Position
			build(t, st, plain, 0, to-1)
			build(t, st, keyed, 0, to-1)
		}
	}()
	for rounds := 0; ; rounds++ {
		before := head(t, st)
		load, err := plain.Load(t.Context(), st, ann)
		check(t, err, load, before, load.Position)
		if load.Version != uint64(load.Value.Cents) {
			t.Fatalf("Load: %+v", load)
		}
		before = head(t, st)
		key, err := keyed.LoadKey(t.Context(), st, "all")
		check(t, err, key, before, key.Position)
		for _, m := range []*projection.Model[Balance]{plain, keyed} {
			name := map[string]string{"balances": "ann", "keyed": "all"}[m.Name()]
			got, err := m.Get(t.Context(), st, name)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil || got.Value.Cents < int64(got.Position) {
				t.Fatalf("Get: %+v, %v", got, err)
			}
		}
		select {
		case <-done:
			t.Logf("%d rounds", rounds)
			return
		default:
		}
	}
}

// check wants a state that has exactly the events up to its position, and all that were
// there before it was asked for.
func check(t *testing.T, err error, s projection.State[Balance], before, at event.Position) {
	t.Helper()
	if err != nil || at < before || s.Value.Cents != int64(at) {
		t.Fatalf("%+v, %v; the head was at %d before", s, err, before)
	}
}
