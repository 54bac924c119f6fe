package store_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

// states commits states with the given keys.
func states(tb testing.TB, st *store.Store, generation uint32, keys ...string) {
	tb.Helper()
	u := st.Subscriber(store.SubscriberKey{Projection: "balances", Generation: generation})
	l := claim(tb, u)
	for _, key := range keys {
		_, err := l.Commit(tb.Context(), store.Commit{Save: []store.Snapshot{{Key: store.SnapshotKey{Key: key}, State: []byte("state of " + key)}}})
		if err != nil {
			tb.Fatal(err)
		}
	}
}

func TestStatesAreListedByKey(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	var keys []string
	for i := range 600 { // several pages
		keys = append(keys, fmt.Sprintf("m%04d", i))
	}
	keys = append(keys, "n", "n\x00", "n\x00\x01", "n\x01", "nn", "ü", "\U0010ffff")
	states(t, st, 0, keys...)
	states(t, st, 1, "other generation")
	list := func(r store.Range) (out []string) {
		t.Helper()
		for _, s := range collect(t, st.States(t.Context(), "balances", 0, r)) {
			wantEqual(t, "state", string(s.State), "state of "+s.Key.Key)
			out = append(out, s.Key.Key)
		}
		return out
	}
	wantList(t, "all", list(store.Range{}), keys)
	wantList(t, "limit", list(store.Range{Limit: 333}), keys[:333])
	wantList(t, "prefix n", list(store.Range{Prefix: "n"}), keys[600:605])
	wantList(t, "prefix n after n", list(store.Range{Prefix: "n", After: "n"}), keys[601:605])
	wantList(t, "prefix n NUL", list(store.Range{Prefix: "n\x00"}), keys[601:603])
	wantList(t, "after", list(store.Range{After: "m0500x", Limit: 2}), keys[501:503])
	wantList(t, "none", list(store.Range{Prefix: "z"}), nil)
	wantInvalid(t, failure(st.States(t.Context(), "balances", 0, store.Range{Limit: -1})), "Range.Limit")
	wantInvalid(t, failure(st.States(t.Context(), "", 0, store.Range{})), "Projection")
	_, err := st.State(t.Context(), store.SnapshotKey{Projection: "balances"})
	wantInvalid(t, err, "Key")
	_, err = st.State(t.Context(), store.SnapshotKey{Projection: "balances", Generation: 9, Key: "n"})
	wantError(t, err, store.ErrNotFound)
}

func TestLargeStatesAreListedInSmallPages(t *testing.T) {
	t.Parallel()
	st, d := setup(t, memdriver.Options{})
	deposit(t, st, "a", 1)
	u := st.Subscriber(balances)
	l := claim(t, u)
	for i := range 40 {
		s := stateOf(fmt.Sprintf("%02d", i), 1, strings.Repeat("x", 200<<10))
		if _, err := l.Commit(t.Context(), store.Commit{From: event.Position(min(1, i)), To: 1, Save: []store.Snapshot{s}}); err != nil {
			t.Fatal(err)
		}
	}
	counting := &listCounter{Driver: d}
	st2, err := store.New(counting, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer st2.Close()
	wantEqual(t, "states", len(collect(t, st2.States(t.Context(), "balances", 0, store.Range{}))), 40)
	if counting.most > 16 {
		t.Fatalf("a page of %d large states", counting.most)
	}
}

type listCounter struct {
	store.Driver
	most int
}

func (c *listCounter) List(ctx context.Context, prefix, after string, limit int) ([]store.Record, error) {
	rs, err := c.Driver.List(ctx, prefix, after, limit)
	c.most = max(c.most, len(rs))
	return rs, err
}

func TestDeleteStatesSparesTheActiveGeneration(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{Limits: store.Limits{CommitItems: 4}})
	states(t, st, 0, "a", "b", "c", "d", "e", "f", "g", "h", "i", "j")
	states(t, st, 1, "a", "b")
	count := func(g uint32) int {
		return len(collect(t, st.States(t.Context(), "balances", g, store.Range{})))
	}
	row, err := st.SaveProjection(t.Context(), store.ProjectionRow{Name: "balances", Active: 1, Next: 2})
	if err != nil {
		t.Fatal(err)
	}
	wantInvalid(t, st.DeleteStates(t.Context(), "balances", 1), "Generation")
	if err := st.DeleteStates(t.Context(), "balances", 0); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "states of 0", count(0), 0)
	wantEqual(t, "states of 1", count(1), 2)
	if err := st.DeleteProjection(t.Context(), row.Name); err != nil {
		t.Fatal(err)
	}
	if err := st.DeleteStates(t.Context(), "balances", 1); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "states of 1", count(1), 0)
	if err := st.DeleteStates(t.Context(), "unknown", 1); err != nil {
		t.Fatal(err)
	}
	wantInvalid(t, st.DeleteStates(t.Context(), "", 1), "Projection")
}

func TestDeleteStatesStopsWhenTheGenerationBecomesActive(t *testing.T) {
	t.Parallel()
	// Behind the two states of the first step there is a full one, or only a last one.
	for _, keys := range [][]string{{"a", "b", "c", "d", "e"}, {"a", "b", "c"}} {
		stopDeletingStates(t, keys)
	}
}

func stopDeletingStates(t *testing.T, keys []string) {
	t.Helper()
	var st *store.Store
	first := true
	st, _ = setup(t, memdriver.Options{
		Limits: store.Limits{CommitItems: 2},
		Faults: memdriver.Faults{AfterCommit: func(txn *store.Txn, _ store.Result) error {
			if len(txn.Deletes) > 0 && first {
				first = false
				row, err := st.Projection(t.Context(), "balances")
				if err != nil {
					t.Error(err)
				}
				row.Active = 0
				if _, err := st.SaveProjection(t.Context(), row); err != nil {
					t.Error(err)
				}
			}
			return nil
		}},
	})
	states(t, st, 0, keys...)
	if _, err := st.SaveProjection(t.Context(), store.ProjectionRow{Name: "balances", Active: 1, Next: 2}); err != nil {
		t.Fatal(err)
	}
	wantError(t, st.DeleteStates(t.Context(), "balances", 0), store.ErrGuard)
	wantEqual(t, "states left", len(collect(t, st.States(t.Context(), "balances", 0, store.Range{}))), len(keys)-2)
}

// Another may save a newer one between the moment that SaveSnapshot looks and the moment that
// it writes.
func TestASnapshotDoesNotReplaceOneThatComesMeanwhile(t *testing.T) {
	t.Parallel()
	var st *store.Store
	k := store.SnapshotKey{Projection: "balances", Key: "a"}
	first := true
	st, _ = setup(t, memdriver.Options{Faults: memdriver.Faults{BeforeCommit: func(txn *store.Txn) error {
		if len(txn.Puts) == 0 || !first {
			return nil
		}
		first = false
		return st.SaveSnapshot(t.Context(), store.Snapshot{Key: k, Position: 2})
	}}})
	deposit(t, st, "a", 2)
	if err := st.SaveSnapshot(t.Context(), store.Snapshot{Key: k, Position: 1}); err != nil {
		t.Fatal(err)
	}
	s, err := st.Snapshot(t.Context(), k)
	if err != nil || s.Position != 2 {
		t.Fatal(s, err)
	}
}

func TestSnapshotsAreNeverReplacedByOlderOnes(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	deposit(t, st, "a", 50)
	k := store.SnapshotKey{Projection: "balances", Key: "a"}
	var wg sync.WaitGroup
	for i := range event.Position(50) {
		wg.Go(func() {
			s := store.Snapshot{Key: k, Position: 50 - i, State: []byte((50 - i).String())}
			if err := st.SaveSnapshot(t.Context(), s); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s, err := st.Snapshot(t.Context(), k)
	if err != nil || string(s.State) != "50" || s.Position != 50 {
		t.Fatal(s, err)
	}
	wantInvalid(t, st.SaveSnapshot(t.Context(), store.Snapshot{Key: k, Position: 51}), "Snapshot.Position")
	wantInvalid(t, st.SaveSnapshot(t.Context(), store.Snapshot{Key: k, ContentType: "\n"}), "Snapshot.ContentType")
	wantInvalid(t, st.SaveSnapshot(t.Context(), store.Snapshot{}), "Projection")
	other := store.SnapshotKey{Projection: "balances2", Key: "a"}
	if err := st.SaveSnapshot(t.Context(), store.Snapshot{Key: other, Position: 1}); err != nil {
		t.Fatal(err)
	}
	_, err = st.State(t.Context(), k)
	wantError(t, err, store.ErrNotFound) // a space of its own
	if err := st.DeleteSnapshots(t.Context(), "balances"); err != nil {
		t.Fatal(err)
	}
	_, err = st.Snapshot(t.Context(), k)
	wantError(t, err, store.ErrNotFound)
	if _, err := st.Snapshot(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	wantInvalid(t, st.DeleteSnapshots(t.Context(), ""), "Projection")
}
