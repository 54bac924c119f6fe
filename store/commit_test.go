package store_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

func stateOf(key string, at event.Position, text string) store.Snapshot {
	return store.Snapshot{
		Key: store.SnapshotKey{Projection: "balances", Key: key}, State: []byte(text),
		ContentType: "text/plain", Revision: 2, Version: 7, Position: at,
	}
}

func TestCommitWritesEverythingAtOnce(t *testing.T) {
	t.Parallel()
	st, d := setup(t, memdriver.Options{})
	deposit(t, st, "a", 5)
	u := st.Subscriber(balances)
	l := claim(t, u)
	wantEqual(t, "Checkpoint", l.Checkpoint(), 0)
	row := store.Row{
		Key: "k", Position: 3, State: store.Parked, Attempts: 4, First: "first", Last: "last",
		Due: time.UnixMilli(5000).UTC(), Since: time.UnixMilli(1000).UTC(), Updated: time.UnixMilli(2000).UTC(), Unkeyed: true,
	}
	res, err := l.Commit(t.Context(), store.Commit{
		To: 4, Save: []store.Snapshot{stateOf("a", 4, "A"), {Key: store.SnapshotKey{Key: "b"}, State: []byte("B"), Position: 2}},
		Rows: []store.Row{row}, InHand: 5,
		Emit: []store.Batch{
			{Stream: orders.Stream("1"), Events: event.Of(placed{"x"})},
			{Stream: orders.Stream("1"), Expect: store.Exact(1), Events: event.Of(placed{"y"})}, // sees the one before
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "Position", res.Position, 7)
	reopened := open(t, d.Crash())
	u = reopened.Subscriber(balances)
	i := info(t, u)
	wantEqual(t, "Checkpoint", i.Checkpoint, 4)
	wantEqual(t, "Head", i.Head, 5)
	wantEqual(t, "InHand", i.InHand, 5)
	wantEqual(t, "Term", i.Term, l.Term())
	if i.CreatedAt.IsZero() || i.UpdatedAt.Before(i.CreatedAt) {
		t.Fatal(i.CreatedAt, i.UpdatedAt)
	}
	a, err := reopened.State(t.Context(), store.SnapshotKey{Projection: "balances", Key: "a"})
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "state", fmt.Sprintf("%+v", a), fmt.Sprintf("%+v", stateOf("a", 4, "A")))
	b, err := reopened.State(t.Context(), store.SnapshotKey{Projection: "balances", Key: "b"})
	if err != nil || string(b.State) != "B" {
		t.Fatal(b, err)
	}
	rows := collect(t, u.Rows(t.Context(), store.Range{}))
	wantList(t, "rows", rows, []store.Row{row})

	l = claim(t, u)
	wantEqual(t, "Checkpoint at the next claim", l.Checkpoint(), 4)
	wantEqual(t, "InHand at the next claim", l.InHand(), 5)
	_, err = l.Commit(t.Context(), store.Commit{From: 4, To: 4, Remove: []string{"a"}, RowsDone: []store.RowKey{{Key: "k", Position: 3}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = reopened.State(t.Context(), store.SnapshotKey{Projection: "balances", Key: "a"})
	wantError(t, err, store.ErrNotFound)
	wantEqual(t, "rows", len(collect(t, u.Rows(t.Context(), store.Range{}))), 0)
	after := info(t, u)
	wantEqual(t, "InHand", after.InHand, 0)
	wantEqual(t, "CreatedAt", after.CreatedAt, i.CreatedAt)
}

func TestCommitIsACompareAndSwap(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	deposit(t, st, "a", 5)
	u := st.Subscriber(balances)
	l := claim(t, u)
	if _, err := l.Commit(t.Context(), store.Commit{To: 3}); err != nil {
		t.Fatal(err)
	}
	refused := func(c store.Commit, what string, expected, actual uint64) {
		t.Helper()
		c.Save = []store.Snapshot{stateOf("a", c.To, "zombie")}
		c.Emit = []store.Batch{{Stream: orders.Stream("1"), Expect: store.Any, Events: event.Of(placed{})}}
		_, err := l.Commit(t.Context(), c)
		wantError(t, err, store.ErrLeaseLost)
		lost, _ := errors.AsType[*store.LeaseLostError](err)
		if lost.What != what || lost.Expected != expected || lost.Actual != actual || errors.Is(err, store.ErrGuard) {
			t.Fatalf("%+v", lost)
		}
		_, err = st.State(t.Context(), store.SnapshotKey{Projection: "balances", Key: "a"})
		wantError(t, err, store.ErrNotFound)
		head, err := st.Head(t.Context())
		if err != nil || head.Position != 5 {
			t.Fatal("an event was emitted", head, err)
		}
	}
	refused(store.Commit{From: 2, To: 4}, "checkpoint", 2, 3)
	refused(store.Commit{From: 0, To: 4}, "checkpoint", 0, 3)
	refused(store.Commit{From: 4, To: 4}, "checkpoint", 4, 3)
	if err := u.ReleaseLease(t.Context()); err != nil {
		t.Fatal(err)
	}
	refused(store.Commit{From: 3, To: 4}, "term", l.Term(), info(t, u).Term)
}

func TestNoUpdateOfManyZombiesIsLost(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	const n = 60
	deposit(t, st, "a", n)
	u := st.Subscriber(balances)
	var wg sync.WaitGroup
	for range 6 { // each steals the lease again and again, and commits one event
		wg.Go(func() {
			for {
				l, err := u.Takeover(t.Context(), event.NewID(), time.Minute, 0)
				if err != nil {
					t.Error(err)
					return
				}
				from := l.Checkpoint()
				if from == n {
					return
				}
				count := 0
				if s, err := st.State(t.Context(), store.SnapshotKey{Projection: "balances", Key: "count"}); err == nil {
					count = len(s.State)
				}
				_, err = l.Commit(t.Context(), store.Commit{
					From: from, To: from + 1, Save: []store.Snapshot{stateOf("count", from+1, strings.Repeat("x", count+1))},
				})
				if err != nil && !errors.Is(err, store.ErrLeaseLost) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	s, err := st.State(t.Context(), store.SnapshotKey{Projection: "balances", Key: "count"})
	if err != nil || len(s.State) != n {
		t.Fatalf("%d events counted, want %d (%v)", len(s.State), n, err)
	}
}

func TestCommitRefusesBadInput(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{}, func(o *store.Options) {
		o.Limits = store.Limits{StateBytes: 100, CommitBytes: 300, CommitItems: 3, AppendEvents: 2}
	})
	deposit(t, st, "a", 5)
	l := claim(t, st.Subscriber(balances))
	row := func(change func(*store.Row)) []store.Row {
		r := store.Row{Key: "k", Position: 1, State: store.Waiting}
		change(&r)
		return []store.Row{r}
	}
	save := func(change func(*store.Snapshot)) []store.Snapshot {
		s := stateOf("k", 1, "s")
		change(&s)
		return []store.Snapshot{s}
	}
	big := func(key string) store.Snapshot { return stateOf(key, 1, strings.Repeat("x", 100)) }
	emit := store.Batch{Stream: orders.Stream("1"), Expect: store.Any, Events: event.Of(placed{})}
	for name, c := range map[string]struct {
		field  string
		commit store.Commit
	}{
		"backward":               {"Commit.To", store.Commit{From: 2, To: 1}},
		"beyond the head":        {"Commit.To", store.Commit{To: 6}},
		"other projection":       {"Commit.Save[0].Key", store.Commit{To: 1, Save: save(func(s *store.Snapshot) { s.Key.Projection = "x" })}},
		"other generation":       {"Commit.Save[0].Key", store.Commit{To: 1, Save: save(func(s *store.Snapshot) { s.Key.Generation = 1 })}},
		"state beyond To":        {"Commit.Save[0].Position", store.Commit{To: 1, Save: save(func(s *store.Snapshot) { s.Position = 2 })}},
		"state too large":        {"Commit.Save[0].Snapshot.State", store.Commit{To: 1, Save: save(func(s *store.Snapshot) { s.State = make([]byte, 101) })}},
		"negative revision":      {"Commit.Save[0].Snapshot.Revision", store.Commit{To: 1, Save: save(func(s *store.Snapshot) { s.Revision = -1 })}},
		"no key":                 {"Commit.Save[0].Key", store.Commit{To: 1, Save: save(func(s *store.Snapshot) { s.Key.Key = "" })}},
		"key no text":            {"Commit.Save[0].Key", store.Commit{To: 1, Save: save(func(s *store.Snapshot) { s.Key.Key = "\xff" })}},
		"long key":               {"Commit.Save[0].Key", store.Commit{To: 1, Save: save(func(s *store.Snapshot) { s.Key.Key = strings.Repeat("x", 385) })}},
		"long key when stored":   {"Commit.Save[0].Snapshot.Key", store.Commit{To: 1, Save: save(func(s *store.Snapshot) { s.Key.Key = strings.Repeat("\x00", 300) })}},
		"remove nothing":         {"Commit.Remove[0]", store.Commit{To: 1, Remove: []string{""}}},
		"row beyond To":          {"Commit.Rows[0].Position", store.Commit{To: 1, Rows: row(func(r *store.Row) { r.Position = 2 })}},
		"row without position":   {"Commit.Rows[0].Position", store.Commit{To: 1, Rows: row(func(r *store.Row) { r.Position = 0 })}},
		"row without state":      {"Commit.Rows[0].State", store.Commit{To: 1, Rows: row(func(r *store.Row) { r.State = 0 })}},
		"row with unknown state": {"Commit.Rows[0].State", store.Commit{To: 1, Rows: row(func(r *store.Row) { r.State = 4 })}},
		"row without key":        {"Commit.Rows[0].Key", store.Commit{To: 1, Rows: row(func(r *store.Row) { r.Key = "" })}},
		"row attempts":           {"Commit.Rows[0].Attempts", store.Commit{To: 1, Rows: row(func(r *store.Row) { r.Attempts = -1 })}},
		"row done without key":   {"Commit.RowsDone[0].Key", store.Commit{To: 1, RowsDone: []store.RowKey{{}}}},
		"a state twice":          {"Commit", store.Commit{To: 1, Save: []store.Snapshot{stateOf("a", 1, "x"), stateOf("a", 1, "y")}}},
		"saved and removed":      {"Commit", store.Commit{To: 1, Save: []store.Snapshot{stateOf("a", 1, "x")}, Remove: []string{"a"}}},
		"removed twice":          {"Commit", store.Commit{To: 1, Remove: []string{"a", "a"}}},
		"a row twice":            {"Commit", store.Commit{To: 1, Rows: row(func(*store.Row) {}), RowsDone: []store.RowKey{{Key: "k", Position: 1}}}},
		"too many items":         {"Commit", store.Commit{To: 1, Save: []store.Snapshot{stateOf("a", 1, ""), stateOf("b", 1, "")}, Remove: []string{"c", "d"}}},
		"too many rows done":     {"Commit", store.Commit{To: 1, RowsDone: []store.RowKey{{Key: "a", Position: 1}, {Key: "b", Position: 1}, {Key: "c", Position: 1}, {Key: "d", Position: 1}}}},
		"too many bytes":         {"Commit", store.Commit{To: 1, Save: []store.Snapshot{big("a"), big("b"), big("c")}}},
		"emit too much":          {"Commit.Emit", store.Commit{To: 1, Emit: []store.Batch{emit, emit, emit}}},
		"emit nothing":           {"Commit.Emit[0].Events", store.Commit{To: 1, Emit: []store.Batch{{Stream: orders.Stream("1")}}}},
		"activate another":       {"Commit.Activate.Row", store.Commit{To: 1, Activate: &store.Activation{Row: store.ProjectionRow{Name: "balances", Active: 1}}}},
		"activate elsewhere":     {"Commit.Activate.Row", store.Commit{To: 1, Activate: &store.Activation{Row: store.ProjectionRow{Name: "other"}, Old: store.SubscriberKey{Projection: "balances", Generation: 1}}}},
		"activate over another":  {"Commit.Activate.Old", store.Commit{To: 1, Activate: &store.Activation{Row: store.ProjectionRow{Name: "balances", Next: 1}, Old: store.SubscriberKey{Projection: "other", Generation: 1}}}},
		"activate over itself":   {"Commit.Activate.Old", store.Commit{To: 1, Activate: &store.Activation{Row: store.ProjectionRow{Name: "balances"}, Old: balances}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := l.Commit(t.Context(), c.commit)
			wantInvalid(t, err, c.field)
		})
	}
	_, err := l.Commit(t.Context(), store.Commit{To: 1, Save: []store.Snapshot{stateOf(strings.Repeat("x", 384), 1, strings.Repeat("x", 100))}})
	if err != nil {
		t.Fatal("at the limits:", err)
	}
}

func TestOnlyACommitThatMayBeRepeatedIsLazy(t *testing.T) {
	t.Parallel()
	row := func(s store.RowState) []store.Row { return []store.Row{{Key: "k", Position: 1, State: s}} }
	for name, c := range map[string]struct {
		commit store.Commit
		lazy   bool
	}{
		"lazy":               {store.Commit{To: 2, Lazy: true, Save: []store.Snapshot{stateOf("a", 2, "s")}}, true},
		"lazy with a wait":   {store.Commit{To: 2, Lazy: true, Rows: row(store.Waiting)}, true},
		"not lazy":           {store.Commit{To: 2}, false},
		"lazy with in hand":  {store.Commit{To: 2, Lazy: true, InHand: 3}, false},
		"lazy with a parked": {store.Commit{To: 2, Lazy: true, Rows: row(store.Parked)}, false},
		"lazy with a skip":   {store.Commit{To: 2, Lazy: true, Rows: row(store.Skipped)}, false},
		"lazy with a switch": {store.Commit{To: 2, Lazy: true, Activate: &store.Activation{
			Row: store.ProjectionRow{Name: "balances", Kind: "model", Next: 2}, Old: store.SubscriberKey{Projection: "balances", Generation: 1},
		}}, false},
		"lazy with an emit": {store.Commit{To: 2, Lazy: true, Emit: []store.Batch{{Stream: orders.Stream("1"), Events: event.Of(placed{})}}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var noSync atomic.Bool
			st, _ := setup(t, memdriver.Options{Faults: memdriver.Faults{BeforeCommit: func(txn *store.Txn) error {
				noSync.Store(txn.NoSync)
				return nil
			}}})
			deposit(t, st, "a", 3)
			if _, err := claim(t, st.Subscriber(balances)).Commit(t.Context(), c.commit); err != nil {
				t.Fatal(err)
			}
			wantEqual(t, "NoSync", noSync.Load(), c.lazy)
		})
	}
}

func TestEmitConflictNamesTheBatch(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	deposit(t, st, "a", 3)
	u := st.Subscriber(balances)
	l := claim(t, u)
	id := event.Of(placed{"x"})
	emits := []store.Batch{{Stream: orders.Stream("1"), Events: id, Once: true}, {Stream: orders.Stream("1"), Expect: store.Exact(7), Events: event.Of(placed{})}}
	_, err := l.Commit(t.Context(), store.Commit{To: 1, Emit: emits})
	conflict, ok := errors.AsType[*store.ConflictError](err)
	if !ok || conflict.Batch != 1 || conflict.Actual != 1 {
		t.Fatal(err)
	}
	wantEqual(t, "checkpoint", info(t, u).Checkpoint, 0)
	if _, err := l.Commit(t.Context(), store.Commit{To: 1, Emit: emits[:1]}); err != nil {
		t.Fatal(err)
	}
	_, err = l.Commit(t.Context(), store.Commit{From: 1, To: 2, Emit: []store.Batch{{Stream: orders.Stream("2"), Once: true, Events: id}}})
	wantError(t, err, store.ErrIDReused)
	reused, _ := errors.AsType[*store.IDReusedError](err)
	wantEqual(t, "ID", reused.ID, id[0].(event.Draft).ID)
	wantEqual(t, "Position", reused.Position, 4)
}

func TestUnknownCommitIsFoundOut(t *testing.T) {
	t.Parallel()
	emit := func() []store.Batch {
		return []store.Batch{{Stream: orders.Stream("1"), Expect: store.Any, Events: event.Of(placed{})}}
	}
	for name, c := range map[string]struct {
		applied bool
		commit  store.Commit
		unknown bool
	}{
		"applied":                        {true, store.Commit{To: 2}, false},
		"not applied":                    {false, store.Commit{To: 2}, false},
		"applied with emit":              {true, store.Commit{To: 2, Emit: emit()}, false},
		"not applied with emit":          {false, store.Commit{To: 2, Emit: emit()}, false},
		"applied standing still":         {true, store.Commit{InHand: 1, Emit: emit()}, false},
		"not applied and standing still": {false, store.Commit{InHand: 1, Emit: emit()}, true},
	} {
		// What is stored already must not be taken for the commit in doubt.
		for earlier, prepare := range map[string]func(t *testing.T, u *store.Subscriber) (*store.Lease, event.Position){
			"the first one": func(t *testing.T, u *store.Subscriber) (*store.Lease, event.Position) { return claim(t, u), 0 },
			"behind another one": func(t *testing.T, u *store.Subscriber) (*store.Lease, event.Position) {
				l := claim(t, u)
				mustCommit(t, l, store.Commit{To: 1})
				return l, 1
			},
			"behind one of the lease before": func(t *testing.T, u *store.Subscriber) (*store.Lease, event.Position) {
				l := claim(t, u)
				mustCommit(t, l, store.Commit{To: 1})
				if err := l.Release(t.Context()); err != nil {
					t.Fatal(err)
				}
				return claim(t, u), 1
			},
		} {
			t.Run(name+", "+earlier, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					faults := unknownTimes(1, c.applied)
					var armed atomic.Bool
					only := memdriver.Faults{
						BeforeCommit: func(txn *store.Txn) error {
							if faults.BeforeCommit == nil || !armed.Load() {
								return nil
							}
							return faults.BeforeCommit(txn)
						},
						AfterCommit: func(txn *store.Txn, res store.Result) error {
							if faults.AfterCommit == nil || !armed.Load() {
								return nil
							}
							return faults.AfterCommit(txn, res)
						},
					}
					st, _ := setup(t, memdriver.Options{Faults: only})
					deposit(t, st, "a", 3)
					u := st.Subscriber(balances)
					l, from := prepare(t, u)
					commit := c.commit
					commit.From, commit.To = from, max(from, commit.To)
					armed.Store(true)
					res, err := l.Commit(t.Context(), commit)
					if c.unknown {
						wantError(t, err, store.ErrUnknown)
						return
					}
					if err != nil {
						t.Fatal(err)
					}
					i := info(t, u)
					wantEqual(t, "checkpoint", i.Checkpoint, commit.To)
					wantEqual(t, "in hand", i.InHand, commit.InHand)
					if commit.Emit != nil {
						wantEqual(t, "Position", res.Position, 4)
						head, err := st.Head(t.Context())
						if err != nil || head.Position != 4 {
							t.Fatal("emitted twice, or never", head, err)
						}
					}
				})
			})
		}
	}
}

func mustCommit(tb testing.TB, l *store.Lease, c store.Commit) {
	tb.Helper()
	if _, err := l.Commit(tb.Context(), c); err != nil {
		tb.Fatal(err)
	}
}
