package storetest

import (
	"slices"
	"strings"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

func hostileRules() []rule {
	return []rule{
		{"streams with hostile ids are streams of their own", 0, hostileStreams},
		{"ids are listed in byte order, whatever is in them", needCatalog | needOrdered, hostileListing},
		{"aggregates and ids do not run into each other", 0, hostileAggregates},
		{"hostile routing keys are keys of their own", 0, hostileRoutingKeys},
		{"names are compared whole", 0, hostileNames},
		{"hostile ids survive a reopen", needReopen, hostileReopen},
	}
}

// hostileIDs are valid stream ids that a careless encoding confuses, in byte order.
func hostileIDs() []string {
	list := []string{
		"\x00", "\x00\x00", "\x00\x01", "\x00\x00\x01", "\x01", "\x00ÿ", " ", "%", "*", "a", "a\x00", "a\x00\x00", "a\x00\x01", "a\x00b", "a\x00\x01b",
		"a\x01", "a b", "a.b", "a/b", "a:b", "A", "ab", "b", "é", "e\u0301", "ÿ", "\u007f", "\U0010ffff", "\ufeff", "'; --", "../..", "\n",
		strings.Repeat("a", 255), strings.Repeat("a", 254), strings.Repeat("\x00", 255), strings.Repeat("é", 127), strings.Repeat("\U0010ffff", 63),
	}
	slices.Sort(list)
	return list
}

func hostileStreams(e *env) {
	d := e.open()
	e.fillHostile(d)
	log := e.verify(d) // reads every stream, and compares StreamInfo with the log
	if want := 2 * len(hostileIDs()); len(log) != want {
		e.Errorf("%d events, want %d", len(log), want)
	}
	for _, id := range hostileIDs() {
		got := e.read(d, store.Scan{Match: []store.Match{{Aggregate: accounts, ID: id, Name: "closed"}}})
		if len(got) != 1 || got[0].Stream.ID != id || got[0].Version != 2 {
			e.Errorf("reading %q by name found %d events", id, len(got))
		}
	}
}

// fillHostile appends two events to each stream, the second only when it finds the first.
func (e *env) fillHostile(d store.Driver) {
	e.Helper()
	for _, id := range hostileIDs() {
		e.commit(d, appends(appending(accounts.Stream(id), store.NoStream, "opened")))
	}
	for _, id := range slices.Backward(hostileIDs()) {
		e.commit(d, appends(appending(accounts.Stream(id), store.Exact(1), "closed")))
	}
}

func hostileListing(e *env) {
	d := e.open()
	e.fillHostile(d)
	all := hostileIDs()
	for _, prefix := range append([]string{"", "x"}, all...) {
		for _, after := range append([]string{"", "a\x00a", "zz"}, all...) {
			r := store.Range{Prefix: prefix, After: after, Limit: 7}
			if got, want := e.streams(d, accounts, r), inRange(all, r); !slices.Equal(got, want) {
				e.Fatalf("prefix %q after %q: got %q, want %q", prefix, after, got, want)
			}
		}
	}
	e.same("all streams", e.streams(d, accounts, store.Range{}), all)
}

func hostileAggregates(e *env) {
	d := e.open()
	streams := []event.Stream{
		{Aggregate: "a", ID: "b"}, {Aggregate: "ab", ID: "b"}, {Aggregate: "a", ID: "bb"},
		{Aggregate: "a", ID: "b/c"}, {Aggregate: "a/b", ID: "c"}, {Aggregate: "a.b", ID: "c"}, {Aggregate: "a", ID: "b.c"},
		{Aggregate: "a b", ID: "c"}, {Aggregate: "A", ID: "b"}, {Aggregate: "é", ID: "b"}, {Aggregate: "e\u0301", ID: "b"},
		{Aggregate: event.Aggregate(strings.Repeat("a", 255)), ID: strings.Repeat("b", 255)},
		{Aggregate: event.Aggregate(strings.Repeat("a", 254)), ID: strings.Repeat("b", 255)},
	}
	for _, s := range streams {
		e.commit(d, appends(appending(s, store.NoStream, "opened")))
	}
	if log := e.verify(d); len(log) != len(streams) {
		e.Errorf("%d events, want %d", len(log), len(streams))
	}
}

func hostileRoutingKeys(e *env) {
	d := e.open()
	keys := append([]string{""}, hostileIDs()...)
	for _, key := range keys {
		e.commit(d, appends(keyed(orders.Stream(event.NewID().String()), key, "placed")))
	}
	log := e.verify(d) // reads by every routing key
	for i, ev := range log {
		if ev.RoutingKey != keys[i] {
			e.Errorf("routing key %q came back as %q", keys[i], ev.RoutingKey)
		}
	}
}

func hostileNames(e *env) {
	d := e.open()
	names := []string{"a", "A", "aa", "a.", "a/b", "a b", "é", "e\u0301", "ÿ", "%", strings.Repeat("n", 255), strings.Repeat("n", 254), strings.Repeat("é", 127)}
	for _, a := range []event.Aggregate{accounts, orders} {
		for _, name := range names {
			e.append(d, a.Stream("1"), name)
		}
	}
	log := e.verify(d) // reads by every type, and compares the catalog
	if len(log) != 2*len(names) {
		e.Errorf("%d events, want %d", len(log), 2*len(names))
	}
	for _, name := range names {
		e.page(d, log, store.Scan{Match: []store.Match{{Aggregate: accounts, Name: name}}, Limit: 10, Examine: roomy})
	}
}

func hostileReopen(e *env) {
	d := e.open()
	e.fillHostile(d)
	before := e.verify(d)
	d = e.reopen(d)
	if !sameIDs(e.verify(d), before) {
		e.Error("the log is another one after a reopen")
	}
	for _, id := range hostileIDs() {
		e.commit(d, appends(appending(accounts.Stream(id), store.Exact(2), "opened")))
	}
	e.verify(d)
}
