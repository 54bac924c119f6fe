package store_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

// working returns a subscriber at checkpoint 20 with rows at every position and some of
// them for several keys, and the lease that wrote them.
func working(tb testing.TB, st *store.Store) (*store.Subscriber, *store.Lease) {
	tb.Helper()
	deposit(tb, st, "a", 20)
	u := st.Subscriber(balances)
	l := claim(tb, u)
	for p := event.Position(1); p <= 20; p++ {
		c := store.Commit{From: p - 1, To: p, InHand: p}
		for k := range p % 3 {
			c.Rows = append(c.Rows, store.Row{Key: fmt.Sprint("k", k), Position: p, State: store.Parked})
		}
		if _, err := l.Commit(tb.Context(), c); err != nil {
			tb.Fatal(err)
		}
	}
	return u, l
}

func highestRow(tb testing.TB, u *store.Subscriber) (highest event.Position, n int) {
	tb.Helper()
	for _, r := range collect(tb, u.Rows(tb.Context(), store.Range{})) {
		highest = max(highest, r.Position)
		n++
	}
	return highest, n
}

func TestRewindSetsBackAndFences(t *testing.T) {
	t.Parallel()
	for _, items := range []int{2, 3, 1000} { // of one commit: many steps or one
		t.Run(fmt.Sprint("items ", items), func(t *testing.T) {
			t.Parallel()
			var steps []store.Txn
			st, _ := setup(t, memdriver.Options{
				Limits: store.Limits{CommitItems: items},
				Faults: memdriver.Faults{BeforeCommit: func(txn *store.Txn) error {
					if len(txn.Fence) > 0 {
						steps = append(steps, *txn)
					}
					return nil
				}},
			})
			u, l := working(t, st)
			wantInvalid(t, u.Rewind(t.Context(), 21), "checkpoint")
			if err := u.Rewind(t.Context(), 7); err != nil {
				t.Fatal(err)
			}
			_, err := l.Commit(t.Context(), store.Commit{From: 20, To: 20})
			wantError(t, err, store.ErrLeaseLost)
			_, err = l.Commit(t.Context(), store.Commit{From: 7, To: 8})
			wantError(t, err, store.ErrLeaseLost)
			i := info(t, u)
			wantEqual(t, "Checkpoint", i.Checkpoint, 7)
			wantEqual(t, "InHand", i.InHand, 0)
			wantEqual(t, "Worker", i.Worker, event.ID{})
			highest, n := highestRow(t, u)
			wantEqual(t, "highest row", highest, 7)
			wantEqual(t, "rows", n, 1+2+0+1+2+0+1)
			for _, s := range steps {
				if len(s.Deletes) > items {
					t.Fatalf("a step of %d items, the limit is %d", len(s.Deletes), items)
				}
			}
			if items < 1000 && len(steps) < 5 {
				t.Fatalf("only %d steps", len(steps))
			}
			next := claim(t, u)
			wantEqual(t, "Checkpoint of the next claim", next.Checkpoint(), 7)
			if next.Term() <= l.Term() {
				t.Fatal("the term did not rise")
			}
		})
	}
}

// A control write ends the lease in the step that changes what the lease works from: there is
// no moment in which its holder could commit on top of that.
func TestControlWritesLeaveTheHolderNoMoment(t *testing.T) {
	t.Parallel()
	for name, control := range map[string]func(t *testing.T, u *store.Subscriber) error{
		"rewind":  func(t *testing.T, u *store.Subscriber) error { return u.Rewind(t.Context(), 5) },
		"delete":  func(t *testing.T, u *store.Subscriber) error { return u.Delete(t.Context()) },
		"release": func(t *testing.T, u *store.Subscriber) error { return u.ReleaseLease(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var after func()
			st, _ := setup(t, memdriver.Options{
				Limits: store.Limits{CommitItems: 2},
				Faults: memdriver.Faults{AfterCommit: func(*store.Txn, store.Result) error {
					if f := after; f != nil {
						after = nil // what f writes is its own
						f()
						after = f
					}
					return nil
				}},
			})
			u, l := working(t, st)
			steps := 0
			after = func() {
				steps++
				at := info(t, u).Checkpoint
				if _, err := l.Commit(t.Context(), store.Commit{From: at, To: at}); !errors.Is(err, store.ErrLeaseLost) {
					t.Errorf("after step %d the holder committed at %d: %v, want ErrLeaseLost", steps, at, err)
				}
			}
			if err := control(t, u); err != nil {
				t.Fatal(err)
			}
			if steps == 0 {
				t.Error("no step was seen")
			}
		})
	}
}

// A claim and a control write are durable when they return.
func TestControlWritesOutliveACrash(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		control func(t *testing.T, st *store.Store, u *store.Subscriber) error
		done    func(t *testing.T, before store.SubscriberInfo, st *store.Store, u *store.Subscriber) bool
	}{
		"claim": {
			func(t *testing.T, st *store.Store, u *store.Subscriber) error {
				_, err := u.Takeover(t.Context(), event.NewID(), time.Minute, 0)
				return err
			},
			func(t *testing.T, before store.SubscriberInfo, st *store.Store, u *store.Subscriber) bool {
				return info(t, u).Term > before.Term
			},
		},
		"release of the lease": {
			func(t *testing.T, st *store.Store, u *store.Subscriber) error { return u.ReleaseLease(t.Context()) },
			func(t *testing.T, before store.SubscriberInfo, st *store.Store, u *store.Subscriber) bool {
				return info(t, u).Term > before.Term
			},
		},
		"rewind": {
			func(t *testing.T, st *store.Store, u *store.Subscriber) error { return u.Rewind(t.Context(), 5) },
			func(t *testing.T, before store.SubscriberInfo, st *store.Store, u *store.Subscriber) bool {
				return info(t, u).Checkpoint == 5 && info(t, u).Term > before.Term
			},
		},
		"delete": {
			func(t *testing.T, st *store.Store, u *store.Subscriber) error { return u.Delete(t.Context()) },
			func(t *testing.T, before store.SubscriberInfo, st *store.Store, u *store.Subscriber) bool {
				i := info(t, u)
				return i.Term == 0 && i.Checkpoint == 0 && i.CreatedAt.IsZero()
			},
		},
		"wish": {
			func(t *testing.T, st *store.Store, u *store.Subscriber) error { return u.SetPaused(t.Context(), "x") },
			func(t *testing.T, before store.SubscriberInfo, st *store.Store, u *store.Subscriber) bool {
				return info(t, u).Paused == "x"
			},
		},
		"projection": {
			func(t *testing.T, st *store.Store, u *store.Subscriber) error {
				_, err := st.SaveProjection(t.Context(), store.ProjectionRow{Name: "balances", Kind: "model", Next: 1})
				return err
			},
			func(t *testing.T, before store.SubscriberInfo, st *store.Store, u *store.Subscriber) bool {
				row, err := st.Projection(t.Context(), "balances")
				return err == nil && row.Next == 1
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, d := setup(t, memdriver.Options{})
			u, _ := working(t, st)
			before := info(t, u)
			if err := c.control(t, st, u); err != nil {
				t.Fatal(err)
			}
			crashed := open(t, d.Crash())
			if !c.done(t, before, crashed, crashed.Subscriber(balances)) {
				t.Errorf("a crash has undone it: %+v", info(t, crashed.Subscriber(balances)))
			}
		})
	}
}

func TestRewindThatFailsHalfwayLosesNothing(t *testing.T) {
	t.Parallel()
	odd := errors.New("odd")
	for fail := range 8 {
		step := 0
		st, _ := setup(t, memdriver.Options{
			Limits: store.Limits{CommitItems: 2},
			Faults: memdriver.Faults{BeforeCommit: func(txn *store.Txn) error {
				if len(txn.Fence) == 0 {
					return nil
				}
				if step++; step == fail+1 {
					return odd
				}
				return nil
			}},
		})
		u, _ := working(t, st)
		err := u.Rewind(t.Context(), 5)
		at := info(t, u).Checkpoint
		if err != nil {
			wantError(t, err, odd)
			// No row above the checkpoint, and every row at or below it is still there.
			_, n := highestRow(t, u)
			want := 0
			for p := event.Position(1); p <= at; p++ {
				want += int(p % 3)
			}
			wantEqual(t, fmt.Sprint("rows at checkpoint ", at), n, want)
			if err := u.Rewind(t.Context(), 5); err != nil {
				t.Fatal(err)
			}
		}
		wantEqual(t, "Checkpoint", info(t, u).Checkpoint, 5)
	}
}

func TestRewindRefusesMoreRowsOfAnEventThanACommitHolds(t *testing.T) {
	t.Parallel()
	st, d := setup(t, memdriver.Options{})
	_, l := working(t, st)
	var rows []store.Row
	for k := range 5 {
		rows = append(rows, store.Row{Key: fmt.Sprint("x", k), Position: 20, State: store.Parked})
	}
	if _, err := l.Commit(t.Context(), store.Commit{From: 20, To: 20, Rows: rows}); err != nil {
		t.Fatal(err)
	}
	small := open(t, d.Reopen(), func(o *store.Options) { o.Limits.CommitItems = 4 })
	wantInvalid(t, small.Subscriber(balances).Rewind(t.Context(), 0), "rows of one event")
}

func TestDeleteForgetsASubscriber(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{Limits: store.Limits{CommitItems: 3}})
	other := st.Subscriber(store.SubscriberKey{Projection: "balances", Generation: 1})
	claim(t, other)
	u, l := working(t, st)
	if err := u.SetPaused(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	if err := u.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := l.Commit(t.Context(), store.Commit{From: 20, To: 20})
	wantError(t, err, store.ErrLeaseLost)
	_, err = l.Commit(t.Context(), store.Commit{})
	wantError(t, err, store.ErrLeaseLost)
	wantEqual(t, "info", fmt.Sprint(info(t, u)), fmt.Sprint(store.SubscriberInfo{Key: balances}))
	_, n := highestRow(t, u)
	wantEqual(t, "rows", n, 0)
	left := collect(t, st.Subscribers(t.Context()))
	if len(left) != 1 || left[0].Key != other.Key() {
		t.Fatal(left)
	}
	again := claim(t, u)
	if again.Term() <= l.Term() {
		t.Fatal("the term begins again")
	}
	if err := st.Subscriber(store.SubscriberKey{Projection: "never"}).Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestDeleteLosesAgainstANewClaim(t *testing.T) {
	t.Parallel()
	var u *store.Subscriber
	claimed := false
	st, _ := setup(t, memdriver.Options{Faults: memdriver.Faults{AfterCommit: func(txn *store.Txn, _ store.Result) error {
		if len(txn.Fence) > 0 && !claimed {
			claimed = true
			claim(t, u)
		}
		return nil
	}}})
	u, _ = working(t, st)
	wantError(t, u.Delete(t.Context()), store.ErrHeld)
	if info(t, u).Worker.IsZero() {
		t.Fatal("the claim is gone")
	}
}

func TestReleaseLeaseLetsTheNextIn(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	u, l := working(t, st)
	if err := u.ReleaseLease(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := l.Commit(t.Context(), store.Commit{From: 20, To: 20})
	wantError(t, err, store.ErrLeaseLost)
	wantEqual(t, "Checkpoint", claim(t, u).Checkpoint(), 20)
	never := st.Subscriber(store.SubscriberKey{Projection: "never"})
	if err := never.ReleaseLease(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "Crashes", claim(t, never).Crashes(), 0)
}

func TestRowsAreListedByKey(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	deposit(t, st, "a", 3)
	u := st.Subscriber(balances)
	var want []string
	c := store.Commit{To: 3}
	for _, key := range []string{"a", "a\x00", "a\x00b", "ab", "b", "ü"} {
		for p := event.Position(1); p <= 3; p++ {
			c.Rows = append(c.Rows, store.Row{Key: key, Position: p, State: store.Waiting, Due: time.UnixMilli(int64(p)).UTC()})
			want = append(want, fmt.Sprintf("%q %d", key, p))
		}
	}
	slices.Reverse(c.Rows)
	if _, err := claim(t, u).Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	list := func(r store.Range) (out []string) {
		t.Helper()
		for _, row := range collect(t, u.Rows(t.Context(), r)) {
			out = append(out, fmt.Sprintf("%q %d", row.Key, row.Position))
		}
		return out
	}
	wantList(t, "all", list(store.Range{}), want)
	wantList(t, "limit", list(store.Range{Limit: 4}), want[:4])
	wantList(t, "after a", list(store.Range{After: "a"}), want[3:])
	wantList(t, "after a, prefix a, limit", list(store.Range{After: "a", Prefix: "a", Limit: 7}), want[3:10])
	wantList(t, "prefix a NUL", list(store.Range{Prefix: "a\x00"}), want[3:9])
	wantList(t, "after aa", list(store.Range{After: "aa"}), want[9:])
	wantList(t, "after all", list(store.Range{After: "z\xff"}), want[15:])
	rows := collect(t, u.KeyRows(t.Context(), "a"))
	wantEqual(t, "rows of a", len(rows), 3)
	wantEqual(t, "rows of c", len(collect(t, u.KeyRows(t.Context(), "c"))), 0)
	wantInvalid(t, failure(u.Rows(t.Context(), store.Range{Limit: -1})), "Range.Limit")
	wantInvalid(t, failure(u.KeyRows(t.Context(), "")), "Key")
	other := st.Subscriber(store.SubscriberKey{Projection: "balances", Segment: 1})
	wantEqual(t, "rows of another segment", len(collect(t, other.Rows(t.Context(), store.Range{}))), 0)
}

func TestSetWishIsNotLostAmongMany(t *testing.T) {
	t.Parallel()
	st, d := setup(t, memdriver.Options{})
	u := st.Subscriber(balances)
	const n = 20
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			err := u.SetWish(t.Context(), func(w *store.Wish) error {
				w.Retry = append(w.Retry, fmt.Sprint(i))
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	u = open(t, d.Crash()).Subscriber(balances)
	w, err := u.Wish(t.Context())
	if err != nil || len(w.Retry) != n || w.At.IsZero() {
		t.Fatal(w, err)
	}
	odd := errors.New("odd")
	wantError(t, u.SetWish(t.Context(), func(w *store.Wish) error { w.Halted = "x"; return odd }), odd)
	if err := u.SetPaused(t.Context(), "night"); err != nil {
		t.Fatal(err)
	}
	i := info(t, u)
	if i.Paused != "night" || i.Wish.Halted != "" || len(i.Wish.Retry) != n {
		t.Fatalf("%+v", i)
	}
	if err := u.SetPaused(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "Paused", info(t, u).Paused, "")
}
