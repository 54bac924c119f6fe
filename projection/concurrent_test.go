package projection_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

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

// Between any two reads of a LoadKey an event may be set aside, or be handled at last.
func TestLoadKeyDuringParksAndRetriesCountsEveryEventOnce(t *testing.T) {
	t.Parallel()
	st := setup(t)
	m := projection.NewModel("keyed", projection.FoldBy(func(Deposited, event.Event) []string { return []string{"all"} }, deposit))
	register(t, st, m.Program(), 0)
	lease, err := st.Subscriber(store.SubscriberKey{Projection: "keyed"}).Claim(t.Context(), event.NewID(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	state := func(at event.Position) []store.Snapshot {
		return []store.Snapshot{{
			Key: store.SnapshotKey{Key: "all"}, State: fmt.Appendf(nil, `{"Cents":%d}`, at), ContentType: "application/json", Position: at,
		}}
	}
	appendTo(t, st, Accounts.Stream("ann"), Deposited{1})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for at := event.Position(1); at < 6000; at += 2 {
			appendTo(t, st, Accounts.Stream("ann"), Deposited{1}, Deposited{1})
			for _, c := range []store.Commit{
				{From: at - 1, To: at, Rows: []store.Row{{Key: "all", Position: at, State: store.Parked}}},
				{From: at, To: at, Save: state(at), RowsDone: []store.RowKey{{Key: "all", Position: at}}},
				{From: at, To: at + 1, Save: state(at + 1)},
			} {
				if _, err := lease.Commit(t.Context(), c); err != nil {
					t.Error(err)
					return
				}
			}
		}
	}()
	for {
		before := head(t, st)
		s, err := m.LoadKey(t.Context(), st, "all")
		check(t, err, s, before, s.Position)
		select {
		case <-done:
			return
		default:
		}
	}
}
