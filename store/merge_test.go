package store_test

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

// merged is an event with the index of its store.
type merged struct {
	store int
	event event.Event
}

// someStores returns stores whose events interleave in time, and all events in the order
// that a merge gives them.
func someStores(t *rapid.T, tb testing.TB) (stores []*store.Store, want []merged, done func()) {
	for i := range rapid.IntRange(1, 3).Draw(t, "stores") {
		n := rapid.IntRange(0, 25).Draw(t, "events")
		millis := rapid.SliceOfN(rapid.Int64Range(1, 40), n+1, n+1).Draw(t, "times")
		slices.Sort(millis)
		st, err := store.New(memdriver.New(memdriver.Options{
			Clock: ticking(millis...), Limits: store.Limits{Examine: rapid.IntRange(1, 50).Draw(t, "examine")},
		}), nil)
		if err != nil {
			tb.Fatal(err)
		}
		for k := range n {
			deposit(tb, st, fmt.Sprint("s", k%3), 1)
		}
		for _, e := range collect(tb, st.Events(tb.Context(), store.Query{})) {
			want = append(want, merged{i, e})
		}
		stores = append(stores, st)
	}
	slices.SortStableFunc(want, func(a, b merged) int {
		return cmp.Or(a.event.Time.Compare(b.event.Time), cmp.Compare(a.store, b.store), cmp.Compare(a.event.Position, b.event.Position))
	})
	return stores, want, func() {
		for _, st := range stores {
			_ = st.Close()
		}
	}
}

func idsOf(events []event.Event) (out []event.ID) {
	for _, e := range events {
		out = append(out, e.ID)
	}
	return out
}

func TestMergeReadsEveryEventOnceInOrderOfTime(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		stores, all, done := someStores(rt, t)
		defer done()
		m := store.Merge(stores...)
		q := store.Query{Limit: rapid.IntRange(1, 12).Draw(rt, "limit"), Backward: rapid.Bool().Draw(rt, "backward")}
		if rapid.Bool().Draw(rt, "one stream") {
			q.Match = store.MatchStreams(accounts.Stream("s1"))
		}
		var want []event.ID
		for _, e := range all {
			if q.Match == nil || e.event.Stream.ID == "s1" {
				want = append(want, e.event.ID)
			}
		}
		if q.Backward {
			slices.Reverse(want)
		}
		var got []event.ID
		var page store.Page[event.Event]
		for {
			var err error
			if page, err = m.Read(t.Context(), q); err != nil {
				rt.Fatal(err)
			}
			if len(page.Items) > q.Limit {
				rt.Fatalf("page of %d, limit %d", len(page.Items), q.Limit)
			}
			got = append(got, idsOf(page.Items)...)
			if len(got) < len(want) && !page.HasNext {
				rt.Fatalf("HasNext is false after %d of %d", len(got), len(want))
			}
			q.After = page.End
			if !page.HasNext {
				break
			}
		}
		if !slices.Equal(got, want) {
			rt.Fatalf("pages: got %v, want %v", got, want)
		}
		back := q
		back.Backward, back.After = !q.Backward, page.Start
		before := slices.Clone(want[:len(want)-len(page.Items)])
		slices.Reverse(before)
		got = got[:0]
		for {
			page, err := m.Read(t.Context(), back)
			if err != nil {
				rt.Fatal(err)
			}
			got = append(got, idsOf(page.Items)...)
			if !page.HasNext {
				break
			}
			back.After = page.End
		}
		if !slices.Equal(got, before) {
			rt.Fatalf("back: got %v, want %v", got, before)
		}
		q.After, q.Limit = "", rapid.IntRange(0, 60).Draw(rt, "total")
		if q.Limit > 0 {
			want = want[:min(q.Limit, len(want))]
		}
		if got := idsOf(collect(t, m.Events(t.Context(), q))); !slices.Equal(got, want) {
			rt.Fatalf("Events: got %v, want %v", got, want)
		}
	})
}

func TestMergeContinuesEventsFromACursor(t *testing.T) {
	t.Parallel()
	a, _ := setup(t, memdriver.Options{Clock: ticking(10, 30, 50)})
	b, _ := setup(t, memdriver.Options{Clock: ticking(20, 40, 60)})
	deposit(t, a, "a", 3)
	deposit(t, b, "b", 3)
	m := store.Merge(a, b)
	page, err := m.Read(t.Context(), store.Query{Limit: 3})
	if err != nil {
		t.Fatal(err)
	}
	names := func(events []event.Event) (out []string) {
		for _, e := range events {
			out = append(out, fmt.Sprint(e.Stream.ID, e.Version))
		}
		return out
	}
	wantList(t, "page", names(page.Items), []string{"a1", "b1", "a2"})
	wantEqual(t, "HasPrev", page.HasPrev, false)
	wantList(t, "rest", names(collect(t, m.Events(t.Context(), store.Query{After: page.End}))), []string{"b2", "a3", "b3"})
	page, err = m.Read(t.Context(), store.Query{After: page.End})
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "HasPrev", page.HasPrev, true)
	q := store.Query{From: store.AtTime(time.UnixMilli(25)), To: store.AtTime(time.UnixMilli(50))}
	wantList(t, "by time", names(collect(t, m.Events(t.Context(), q))), []string{"a2", "b2", "a3"})
	for range m.Events(t.Context(), store.Query{}) {
		break // must not leave anything behind
	}
}

func TestMergeRefusesBadQueries(t *testing.T) {
	t.Parallel()
	a, _ := setup(t, memdriver.Options{})
	b, _ := setup(t, memdriver.Options{})
	deposit(t, a, "a", 1)
	m := store.Merge(a, b)
	page, err := m.Read(t.Context(), store.Query{})
	if err != nil {
		t.Fatal(err)
	}
	for field, q := range map[string]store.Query{
		"Query.From":  {From: store.AtPosition(1)},
		"Query.To":    {To: store.AtVersion(accounts.Stream("a"), 1)},
		"Query.Limit": {Limit: -1},
		"Query.After": {After: "x"},
	} {
		_, err := m.Read(t.Context(), q)
		wantInvalid(t, err, field)
		wantInvalid(t, failure(m.Events(t.Context(), q)), field)
	}
	_, err = store.Merge().Read(t.Context(), store.Query{})
	wantInvalid(t, err, "Merge")
	_, err = store.Merge(a).Read(t.Context(), store.Query{After: page.End})
	wantInvalid(t, err, "Query.After")
	_, err = store.Merge(b, a).Read(t.Context(), store.Query{After: page.End})
	wantError(t, err, store.ErrHistory)
	wantError(t, failure(store.Merge(b, a).Events(t.Context(), store.Query{After: page.End})), store.ErrHistory)
	_, err = a.Read(t.Context(), store.Query{After: page.End})
	wantInvalid(t, err, "Query.After")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = m.Read(t.Context(), store.Query{})
	if !errors.Is(err, store.ErrClosed) {
		t.Fatal(err)
	}
	wantError(t, failure(m.Events(t.Context(), store.Query{})), store.ErrClosed)
}
