package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

// library fills a store with events of two aggregates, keyed and unkeyed streams.
func library(tb testing.TB, st *store.Store, n int) []event.Event {
	tb.Helper()
	for i := range n {
		var b store.Batch
		switch i % 3 {
		case 0:
			b = store.Batch{Stream: accounts.Stream(fmt.Sprint("a", i%4)), Events: event.Of(deposited{int64(i)})}
		case 1:
			b = store.Batch{Stream: accounts.Stream(fmt.Sprint("k", i%5)), Events: event.Of(opened{}), RoutingKey: "eu"}
		default:
			b = store.Batch{Stream: orders.Stream(fmt.Sprint("o", i%7)), Events: event.Of(placed{})}
		}
		b.Expect = store.Any
		if _, err := st.Append(tb.Context(), b); err != nil {
			tb.Fatal(err)
		}
	}
	return collect(tb, st.Events(tb.Context(), store.Query{}))
}

// selected is what a query means, on a plain slice.
func selected(all []event.Event, q store.Query, lo, hi event.Position) []event.Event {
	var out []event.Event
	for _, e := range all {
		fits := q.Match == nil || slices.ContainsFunc(q.Match, func(m store.Match) bool {
			return m.Aggregate == e.Stream.Aggregate && (m.ID == "" || m.ID == e.Stream.ID) && (m.Name == "" || m.Name == e.Name)
		})
		if fits && (q.RoutingKey == nil || *q.RoutingKey == e.RoutingKey) && e.Position >= lo && e.Position <= hi {
			out = append(out, e)
		}
	}
	if q.Backward {
		slices.Reverse(out)
	}
	return out
}

// randomQuery draws a query and the positions that its points mean.
func randomQuery(t *rapid.T, head event.Position) (q store.Query, lo, hi event.Position) {
	matches := []store.Match{
		{Aggregate: accounts}, {Aggregate: orders}, {Aggregate: accounts, ID: "a0"}, {Aggregate: accounts, ID: "k1", Name: "opened"},
		{Aggregate: orders, Name: "placed"}, {Aggregate: accounts, Name: "deposited"}, {Aggregate: "none"},
	}
	if rapid.Bool().Draw(t, "match") {
		q.Match = rapid.SliceOfN(rapid.SampledFrom(matches), 0, 3).Draw(t, "matches")
		if q.Match == nil {
			q.Match = []store.Match{}
		}
	}
	if rapid.Bool().Draw(t, "routing") {
		q.RoutingKey = new(rapid.SampledFrom([]string{"", "eu", "us"}).Draw(t, "routing key"))
	}
	q.Backward = rapid.Bool().Draw(t, "backward")
	lo, hi = 1, head
	if rapid.Bool().Draw(t, "from") {
		lo = event.Position(rapid.Uint64Range(0, uint64(head)+3).Draw(t, "from position"))
		q.From = store.AtPosition(lo)
	}
	if rapid.Bool().Draw(t, "to") {
		hi = event.Position(rapid.Uint64Range(0, uint64(head)+3).Draw(t, "to position"))
		q.To = store.AtPosition(hi)
	}
	return q, lo, hi
}

func TestPagesAreTheSlice(t *testing.T) {
	t.Parallel()
	// A small Examine cuts pages short, also to nothing.
	for _, examine := range []int{2, 20_000} {
		t.Run(fmt.Sprint("examine ", examine), func(t *testing.T) {
			t.Parallel()
			st, _ := setup(t, memdriver.Options{Limits: store.Limits{Examine: examine}})
			all := library(t, st, 60)
			rapid.Check(t, func(rt *rapid.T) {
				q, lo, hi := randomQuery(rt, 60)
				want := selected(all, q, lo, hi)
				q.Limit = rapid.IntRange(1, 25).Draw(rt, "limit")
				checkPages(rt, st, q, want, examine > 60)
				q.Limit = rapid.IntRange(0, 80).Draw(rt, "total")
				total := want
				if q.Limit > 0 {
					total = want[:min(q.Limit, len(want))]
				}
				var got []event.Event
				for e, err := range st.Events(t.Context(), q) {
					if err != nil {
						rt.Fatal(err)
					}
					got = append(got, e)
				}
				if !slices.Equal(positions(got), positions(total)) {
					rt.Fatalf("Events of %+v: got %v, want %v", q, positions(got), positions(total))
				}
			})
		})
	}
}

// checkPages reads from page to page, there and back again.
func checkPages(t *rapid.T, st *store.Store, q store.Query, want []event.Event, exact bool) {
	var got []event.Event
	var page store.Page[event.Event]
	for n := 0; ; n++ {
		var err error
		if page, err = st.Read(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		if len(page.Items) > q.Limit {
			t.Fatalf("page of %d, limit %d", len(page.Items), q.Limit)
		}
		got = append(got, page.Items...)
		if page.Start == "" || page.End == "" {
			t.Fatal("a page without cursors")
		}
		if exact {
			if page.HasNext != (len(got) < len(want)) {
				t.Fatalf("HasNext %v after %d of %d", page.HasNext, len(got), len(want))
			}
			if wantPrev := q.After != "" && len(got) > len(page.Items); page.HasPrev != wantPrev {
				t.Fatalf("HasPrev %v on page %d of %+v", page.HasPrev, n, q)
			}
		}
		if !page.HasNext {
			break
		}
		if n > 1000 {
			t.Fatal("the read does not end")
		}
		q.After = page.End
	}
	if !slices.Equal(positions(got), positions(want)) {
		t.Fatalf("%+v: got %v, want %v", q, positions(got), positions(want))
	}
	// Back from the last page: what came before it, in the other order.
	before := slices.Clone(want[:len(want)-len(page.Items)])
	slices.Reverse(before)
	q.Backward, q.After, got = !q.Backward, page.Start, nil
	for {
		back, err := st.Read(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, back.Items...)
		if !back.HasNext {
			break
		}
		q.After = back.End
	}
	if !slices.Equal(positions(got), positions(before)) {
		t.Fatalf("back from %v: got %v, want %v", q.After, positions(got), positions(before))
	}
}

func TestScannedTellsWhetherAReaderIsCaughtUp(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	library(t, st, 20)
	read := func(q store.Query) store.Page[event.Event] {
		t.Helper()
		p, err := st.Read(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := read(store.Query{Limit: 5})
	wantEqual(t, "Scanned of a full page", p.Scanned, 5)
	p = read(store.Query{After: p.End})
	wantEqual(t, "Scanned at the end", p.Scanned, 20)
	p = read(store.Query{After: p.End})
	wantEqual(t, "items", len(p.Items), 0)
	wantEqual(t, "Scanned behind the end", p.Scanned, 20)
	wantEqual(t, "HasPrev", p.HasPrev, true)
	deposit(t, st, "new", 1)
	p = read(store.Query{After: p.End})
	wantList(t, "new", positions(p.Items), []event.Position{21})
	p = read(store.Query{Match: store.MatchTypes()})
	wantEqual(t, "Scanned of nothing", p.Scanned, 21)
	p = read(store.Query{Backward: true, Limit: 4})
	wantEqual(t, "Scanned backward", p.Scanned, 18)
	p = read(store.Query{Backward: true})
	wantEqual(t, "Scanned down to the first", p.Scanned, 1)
	p = read(store.Query{From: store.AtPosition(30)})
	wantEqual(t, "Scanned beyond the head", p.Scanned, 21)
	deposit(t, st, "new", 10)
	p = read(store.Query{After: p.End})
	wantList(t, "from 30 on", positions(p.Items), []event.Position{30, 31})
}

func TestReadOfAnEmptyStore(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	var after []store.Cursor
	for _, backward := range []bool{false, true} {
		p, err := st.Read(t.Context(), store.Query{Backward: backward})
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Items) > 0 || p.HasNext || p.HasPrev || p.Start == "" || p.End == "" {
			t.Fatalf("%+v", p)
		}
		after = append(after, p.Start, p.End)
	}
	for _, q := range []store.Query{{To: store.AtHead()}, {From: store.AtHead()}, {To: store.AtPosition(0)}} {
		wantEqual(t, "events", len(collect(t, st.Events(t.Context(), q))), 0)
	}
	deposit(t, st, "a", 2)
	p, err := st.Read(t.Context(), store.Query{After: after[1]})
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, "behind the end of nothing", positions(p.Items), []event.Position{1, 2})
	p, err = st.Read(t.Context(), store.Query{After: after[2]})
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, "behind the start of nothing, backward", positions(p.Items), []event.Position{1, 2})
}

func TestReadRefusesBadQueries(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	deposit(t, st, "a", 2)
	for field, q := range map[string]store.Query{
		"Query.Limit":              {Limit: -1},
		"Query.RoutingKey":         {RoutingKey: new("\xff")},
		"Query.Match[1].Aggregate": {Match: []store.Match{{Aggregate: accounts}, {}}},
		"Query.Match[0].Name":      {Match: []store.Match{{Aggregate: accounts, Name: "a\x00"}}},
		"Query.Match[0].ID":        {Match: []store.Match{{Aggregate: accounts, ID: "\xff"}}},
		"Query.After":              {After: "x"},
		"Query.From.Point.Version": {From: store.AtVersion(accounts.Stream("a"), 0)},
		"Query.To.Point.Stream.ID": {To: store.AtVersion(accounts.Stream(""), 1)},
	} {
		_, err := st.Read(t.Context(), q)
		wantInvalid(t, err, field)
		wantInvalid(t, failure(st.Events(t.Context(), q)), field)
	}
	_, err := st.Read(t.Context(), store.Query{Limit: store.MaxPageSize + 1})
	wantInvalid(t, err, "Query.Limit")
	wantEqual(t, "events", len(collect(t, st.Events(t.Context(), store.Query{Limit: store.MaxPageSize + 1}))), 2)
}

func TestReadOfOneStreamFromAVersion(t *testing.T) {
	t.Parallel()
	var scans []store.Scan
	st, _ := setup(t, memdriver.Options{Faults: memdriver.Faults{Read: func(s store.Scan) error {
		scans = append(scans, s)
		return nil
	}}})
	for range 5 {
		deposit(t, st, "a", 1)
		deposit(t, st, "b", 1)
	}
	a := accounts.Stream("a")
	versions := func(q store.Query) (out []uint64) {
		t.Helper()
		for _, e := range collect(t, st.Events(t.Context(), q)) {
			out = append(out, e.Version)
		}
		return out
	}
	own := store.MatchStreams(a)
	wantList(t, "from 3", versions(store.Query{Match: own, From: store.AtVersion(a, 3)}), []uint64{3, 4, 5})
	wantEqual(t, "MinVersion", scans[len(scans)-1].MinVersion, 3)
	wantEqual(t, "scans", len(scans), 1)
	wantList(t, "from 3 backward", versions(store.Query{Match: own, From: store.AtVersion(a, 3), Backward: true}), []uint64{5, 4, 3})
	wantList(t, "from the next", versions(store.Query{Match: own, From: store.AtVersion(a, 6)}), nil)
	wantList(t, "from beyond", versions(store.Query{Match: own, From: store.AtVersion(a, 60)}), nil)
	wantList(t, "2 to 4", versions(store.Query{Match: own, From: store.AtVersion(a, 2), To: store.AtVersion(a, 4)}), []uint64{2, 3, 4})
	// another stream's version is a position
	b := accounts.Stream("b")
	wantList(t, "a from b 3", versions(store.Query{Match: own, From: store.AtVersion(b, 3)}), []uint64{4, 5})
	wantError(t, failure(st.Events(t.Context(), store.Query{From: store.AtVersion(b, 7)})), store.ErrNotFound)
	p, err := st.Read(t.Context(), store.Query{Match: own, From: store.AtVersion(a, 2), Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	p, err = st.Read(t.Context(), store.Query{Match: own, From: store.AtVersion(a, 2), Limit: 2, After: p.End})
	if err != nil || !p.HasPrev || p.HasNext {
		t.Fatal(p, err)
	}
	p, err = st.Read(t.Context(), store.Query{Match: own, From: store.AtVersion(a, 5), After: p.Start})
	if err != nil || p.HasPrev {
		t.Fatal("versions below From are not before the page", p, err)
	}
}

func TestEventsSeesTheHeadOfItsStart(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	deposit(t, st, "a", store.DefaultPageSize+3)
	n := 0
	for _, err := range st.Events(t.Context(), store.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 1 {
			deposit(t, st, "a", 1) // nothing is held while the body runs
		}
	}
	wantEqual(t, "events", n, store.DefaultPageSize+3)
}

func TestEventAndHas(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{Limits: store.Limits{Examine: 2}})
	has := func(m ...store.Match) bool {
		t.Helper()
		ok, err := st.Has(t.Context(), m...)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	wantEqual(t, "has any event", has(), false)
	deposit(t, st, "a", 9)
	deposit(t, st, "b", 1)
	wantEqual(t, "has any event", has(), true)
	wantEqual(t, "has b", has(store.MatchStreams(accounts.Stream("b"))...), true)
	wantEqual(t, "has c", has(store.MatchStreams(accounts.Stream("c"))...), false)
	wantEqual(t, "has opened", has(store.MatchTypes(opened{}.EventType())...), false)
	wantEqual(t, "has none of none", has(store.MatchTypes()...), false)
	_, err := st.Has(t.Context(), store.Match{})
	wantInvalid(t, err, "Match[0].Aggregate")

	e, err := st.Event(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "Stream", e.Stream.ID, "b")
	_, err = st.Event(t.Context(), 11)
	wantError(t, err, store.ErrNotFound)
	_, err = st.Event(t.Context(), 0)
	wantInvalid(t, err, "position")
}

func TestEventsReadsLargeEventsInShortPages(t *testing.T) {
	t.Parallel()
	var limits []int
	st, _ := setup(t, memdriver.Options{Faults: memdriver.Faults{Read: func(s store.Scan) error {
		limits = append(limits, s.Limit)
		return nil
	}}})
	large := opened{strings.Repeat("x", 100<<10)}
	for i := range 9 {
		payloads := make([]event.Payload, 80)
		for k := range payloads {
			payloads[k] = large
			if i > 7 {
				payloads[k] = opened{}
			}
		}
		if _, err := st.Append(t.Context(), store.Batch{Stream: accounts.Stream("a"), Expect: store.Any, Events: payloads}); err != nil {
			t.Fatal(err)
		}
	}
	limits = nil
	wantEqual(t, "events", len(collect(t, st.Events(t.Context(), store.Query{}))), 720)
	wantList(t, "limits", limits, []int{500, 250})
	limits = nil
	wantEqual(t, "events", len(collect(t, st.Events(t.Context(), store.Query{Limit: 600, Backward: true}))), 600)
	wantList(t, "limits", limits, []int{500, 100})
}
