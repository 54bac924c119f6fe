package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

func pageRules() []rule {
	return []rule{
		{"an empty store has an empty page", 0, emptyPages},
		{"a full page knows whether there is more", 0, fullPages},
		{"a full page going backward knows whether there is more", needBackward, fullPagesBackward},
		{"From and To are inclusive", 0, boundsInclusive},
		{"an event that fits two matches comes once", 0, matchesOnce},
		{"what does not exist matches nothing and is scanned past", 0, unknownMatches},
		{"a stream is read from a version", 0, minVersion},
		{"a page examines a bounded number of entries", 0, examineIsBounded},
		{"a sparse filter gets to the head in short pages", 0, sparseForward},
		{"a sparse filter gets to the beginning in short pages", needBackward, sparseBackward},
		{"every filter, bound and limit agrees with a slice", 0, everyFilter},
		{"every filter, bound and limit agrees with a slice going backward", needBackward, everyFilterBackward},
		{"pages of any size together are the whole", 0, anyPageSize},
		{"pages of any size together are the whole going backward", needBackward, anyPageSizeBackward},
	}
}

const roomy = 20_000 // index entries, more than any of these logs has

// page reads one page and checks it against the log.
func (e *env) page(d store.Driver, log []event.Event, scan store.Scan) store.ScanResult {
	e.Helper()
	res, err := d.Read(e.Context(), scan)
	e.need(err, "%s", show(scan))
	if err := checkPage(log, scan, res, scan.Examine >= roomy); err != nil {
		e.Errorf("%s: %v", show(scan), err)
	}
	return res
}

func emptyPages(e *env) {
	d := e.open()
	for _, match := range [][]store.Match{nil, {{Aggregate: accounts}}, {{Aggregate: accounts, ID: "a"}}, {{Aggregate: accounts, Name: "opened"}}} {
		for _, from := range []event.Position{0, 1, 7} {
			res := e.page(d, nil, store.Scan{Match: match, From: from, Limit: 10, Examine: roomy})
			if len(res.Events) > 0 || res.More || res.Scanned != 0 || res.Head != 0 {
				e.Errorf("an empty store answers with %+v", res)
			}
		}
	}
}

func fullPages(e *env)         { e.fullPages(false) }
func fullPagesBackward(e *env) { e.fullPages(true) }

// fullPages looks at pages that end exactly with the last matching event, and around it.
func (e *env) fullPages(backward bool) {
	d := e.open()
	for i := range 10 {
		e.append(d, accounts.Stream("a"), "opened", "filler"+strconv.Itoa(i))
	}
	log := e.verify(d)
	for _, match := range [][]store.Match{
		nil, {{Aggregate: accounts, ID: "a"}}, {{Aggregate: accounts, Name: "opened"}},
		{{Aggregate: accounts, Name: "opened"}, {Aggregate: accounts, Name: "filler9"}},
	} {
		for limit := range 22 {
			scan := store.Scan{Match: match, Limit: limit + 1, Examine: roomy, Backward: backward}
			e.page(d, log, scan)
			scan.From, scan.To = log[3].Position, log[16].Position
			e.page(d, log, scan)
		}
	}
}

func boundsInclusive(e *env) {
	d := e.open()
	for i := range 8 {
		e.append(d, accounts.Stream(strconv.Itoa(i%2)), "opened")
	}
	log := e.verify(d)
	last := log[7].Position
	for _, match := range [][]store.Match{nil, {{Aggregate: accounts, ID: "1"}}, {{Aggregate: accounts, Name: "opened"}}, {{Aggregate: accounts}}} {
		for _, from := range []event.Position{0, log[0].Position, log[1].Position, log[4].Position, last, last + 1, last + 100, 1<<64 - 1} {
			for _, to := range []event.Position{0, log[0].Position, log[4].Position, log[5].Position, last, last + 1, 1<<64 - 1} {
				e.page(d, log, store.Scan{Match: match, From: from, To: to, Limit: 100, Examine: roomy})
				if e.traits.Backward {
					e.page(d, log, store.Scan{Match: match, From: from, To: to, Limit: 100, Examine: roomy, Backward: true})
				}
			}
		}
	}
}

func matchesOnce(e *env) {
	d := e.open()
	e.append(d, accounts.Stream("a"), "opened", "closed", "opened")
	e.append(d, accounts.Stream("b"), "opened")
	log := e.verify(d)
	m := store.Match{Aggregate: accounts, ID: "a", Name: "opened"}
	for _, match := range [][]store.Match{
		{m, m},
		{m, {Aggregate: accounts, ID: "a"}},
		{{Aggregate: accounts, Name: "opened"}, m},
		{{Aggregate: accounts}, {Aggregate: accounts, ID: "a"}, {Aggregate: accounts, Name: "opened"}, m},
	} {
		for limit := range 5 {
			e.page(d, log, store.Scan{Match: match, Limit: limit + 1, Examine: roomy})
		}
	}
}

func unknownMatches(e *env) {
	d := e.open()
	e.append(d, accounts.Stream("a"), "opened", "closed")
	log := e.verify(d)
	for _, scan := range []store.Scan{
		{Match: []store.Match{{Aggregate: "storetest/unknown"}}},
		{Match: []store.Match{{Aggregate: "storetest/unknown", ID: "a", Name: "opened"}}},
		{Match: []store.Match{{Aggregate: accounts, ID: "unknown"}}},
		{Match: []store.Match{{Aggregate: accounts, Name: "unknown"}}},
		{Match: []store.Match{{Aggregate: accounts, ID: "a", Name: "unknown"}}},
		{Match: []store.Match{{Aggregate: orders, Name: "opened"}}}, // another aggregate's name
		{RoutingKey: new("unknown")},
	} {
		scan.Limit, scan.Examine = 10, roomy
		res := e.page(d, log, scan)
		if len(res.Events) != 0 || res.Scanned != res.Head {
			e.Errorf("%s: %d events, scanned up to %d of %d", show(scan), len(res.Events), res.Scanned, res.Head)
		}
	}
}

func minVersion(e *env) {
	d := e.open()
	s := accounts.Stream("a")
	for range 6 {
		e.append(d, s, "opened", "renamed")
		e.append(d, accounts.Stream("b"), "opened")
	}
	log := e.verify(d)
	for version := range uint64(15) {
		for limit := range 3 {
			for from := range event.Position(4) {
				scan := store.Scan{Match: store.MatchStreams(s), MinVersion: version, From: log[4*from].Position, Limit: 1 + 5*limit, Examine: roomy}
				e.page(d, log, scan)
				if e.traits.Backward {
					scan.Backward = true
					e.page(d, log, scan)
				}
			}
		}
	}
}

func examineIsBounded(e *env) {
	d := e.open()
	for i := range 30 {
		e.append(d, accounts.Stream(strconv.Itoa(i%3)), "opened", "closed")
	}
	log := e.verify(d)
	for _, match := range [][]store.Match{nil, {{Aggregate: accounts, ID: "1"}}, {{Aggregate: accounts, Name: "opened"}}} {
		for _, examine := range []int{1, 2, 7} {
			res := e.page(d, log, store.Scan{Match: match, Limit: 50, Examine: examine})
			if len(res.Events) > examine || !res.More {
				e.Errorf("a page that may examine %d entries has %d events, and More is %t", examine, len(res.Events), res.More)
			}
		}
	}
}

func sparseForward(e *env)  { e.sparse(false) }
func sparseBackward(e *env) { e.sparse(true) }

// sparse looks for three events among very many. A driver without an index for a filter
// looks at every event, so the pages may be as many as it takes; none may stand still.
func (e *env) sparse(backward bool) {
	const events, examine = 1500, 40
	d := e.open()
	txn := appends()
	for i := range events {
		a := keyed(accounts.Stream("common"), "", "common")
		if i%(events/3) == events/6 {
			a = keyed(accounts.Stream("rare"), "rare", "rare")
		}
		if txn.Appends = append(txn.Appends, a); len(txn.Appends) == 500 {
			e.commit(d, txn)
			txn = appends()
		}
	}
	log := e.read(d, store.Scan{})
	for _, scan := range []store.Scan{
		{Match: []store.Match{{Aggregate: accounts, Name: "rare"}}},
		{Match: []store.Match{{Aggregate: accounts, ID: "rare"}}},
		{RoutingKey: new("rare")},
		{RoutingKey: new("rare"), Match: []store.Match{{Aggregate: accounts, Name: "rare"}, {Aggregate: accounts, ID: "common", Name: "rare"}}},
		{RoutingKey: new(""), Match: []store.Match{{Aggregate: accounts, Name: "rare"}}},
	} {
		scan.Limit, scan.Examine, scan.Backward = 100, examine, backward
		want, pages := wanted(log, scan), 0
		var got []event.Event
		for more := true; more; {
			res := e.page(d, log, scan)
			got = append(got, res.Events...)
			if pages++; pages > 2*events {
				e.Fatalf("%s: %d pages, and not there yet", show(scan), pages)
			}
			var err error
			on, err := advance(&scan, res.Scanned)
			e.need(err, "page")
			more = on && res.More
		}
		if !sameIDs(got, want) {
			e.Errorf("%s: got the positions %v, want %v", show(scan), positions(got), positions(want))
		}
	}
}

func everyFilter(e *env)         { e.everyFilter(false) }
func everyFilterBackward(e *env) { e.everyFilter(true) }

func (e *env) everyFilter(backward bool) {
	d := e.open()
	e.fill(d, 80)
	log := e.verify(d)
	r := e.rand()
	for range 1500 {
		scan := randomScan(r, log)
		scan.Backward = backward
		e.page(d, log, scan)
		if e.Failed() {
			return
		}
	}
}

func randomScan(r *rand.Rand, log []event.Event) store.Scan {
	scan := randomFilter(r)
	if r.IntN(2) == 0 {
		scan.From = log[r.IntN(len(log))].Position
	}
	if r.IntN(2) == 0 {
		scan.To = log[r.IntN(len(log))].Position
	}
	if len(scan.Match) == 1 && scan.Match[0].ID != "" && scan.Match[0].Name == "" {
		scan.MinVersion = r.Uint64N(12)
	}
	scan.Limit = pick(r, 1, 2, 3, 10, 100, 1000)
	scan.Examine = pick(r, roomy, roomy, 1+r.IntN(5), 1+r.IntN(200))
	return scan
}

func anyPageSize(e *env)         { e.anyPageSize(false) }
func anyPageSizeBackward(e *env) { e.anyPageSize(true) }

func (e *env) anyPageSize(backward bool) {
	d := e.open()
	log := e.fill(d, 60)
	r := e.rand()
	for range 60 {
		scan := randomScan(r, log)
		scan.Backward = backward
		got, err := readAll(e.Context(), d, scan)
		e.need(err, "read")
		if want := wanted(log, scan); !slices.Equal(positions(got), positions(want)) {
			e.Fatalf("%s: got the positions %v, want %v", fmt.Sprint(show(scan)), positions(got), positions(want))
		}
	}
}
