package storetest

import (
	"slices"
	"strconv"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

func catalogRules() []rule {
	return []rule{
		{"every event type is listed once, sorted", needCatalog, typesListed},
		{"streams are listed by prefix, after and limit", needCatalog | needOrdered, streamsListed},
		{"streams are listed of one aggregate only", needCatalog, streamsOfAggregate},
		{"the catalog survives a reopen", needCatalog | needReopen, catalogSurvives},
	}
}

func (e *env) types(d store.Driver) []event.Type {
	e.Helper()
	types, err := d.(store.Catalog).Types(e.Context())
	e.need(err, "types")
	return types
}

func (e *env) streams(d store.Driver, a event.Aggregate, r store.Range) []string {
	e.Helper()
	streams, err := d.(store.Catalog).Streams(e.Context(), a, r)
	e.need(err, "streams of %q", a)
	ids := make([]string, len(streams))
	for i, s := range streams {
		if ids[i] = s.ID; s.Aggregate != a {
			e.Errorf("a stream of %q is listed under %q", s.Aggregate, a)
		}
	}
	return ids
}

func typesListed(e *env) {
	d := e.open()
	e.same("the types of an empty store", e.types(d), []event.Type{})
	e.append(d, orders.Stream("1"), "shipped", "placed", "placed")
	e.append(d, accounts.Stream("1"), "opened")
	e.append(d, accounts.Stream("2"), "opened", "shipped")
	e.append(d, event.Aggregate("storetest/account2").Stream("2"), "a")
	e.same("the types", e.types(d), []event.Type{
		accounts.Event("opened"), accounts.Event("shipped"), {Aggregate: "storetest/account2", Name: "a"},
		orders.Event("placed"), orders.Event("shipped"),
	})
	e.verify(d)
}

func streamsListed(e *env) {
	d := e.open()
	var all []string
	for i := range 12 {
		all = append(all, "eu-"+strconv.Itoa(i), "us-"+strconv.Itoa(i))
	}
	all = append(all, "eu", "EU-1", "eu-1-a", "z")
	for _, id := range all {
		e.append(d, accounts.Stream(id), "opened")
		e.append(d, accounts.Stream(id), "closed")
	}
	slices.Sort(all)
	for _, prefix := range []string{"", "eu", "eu-", "eu-1", "us-11", "x", "zz"} {
		for _, after := range []string{"", "EU-1", "eu", "eu-", "eu-1", "eu-10a", "us-9", "z", "zz"} {
			for _, limit := range []int{0, 1, 3, 100} {
				r := store.Range{Prefix: prefix, After: after, Limit: limit}
				e.same("streams", e.streams(d, accounts, r), inRange(all, r))
			}
		}
	}
}

// inRange is the model of a listing. keys are sorted.
func inRange(keys []string, r store.Range) []string {
	out := []string{}
	for _, key := range keys {
		if len(key) >= len(r.Prefix) && key[:len(r.Prefix)] == r.Prefix && key > r.After && (r.Limit == 0 || len(out) < r.Limit) {
			out = append(out, key)
		}
	}
	return out
}

func streamsOfAggregate(e *env) {
	d := e.open()
	e.append(d, accounts.Stream("a"), "opened")
	e.append(d, orders.Stream("b"), "placed")
	e.append(d, event.Aggregate("storetest/account2").Stream("c"), "placed")
	for a, want := range map[event.Aggregate][]string{accounts: {"a"}, orders: {"b"}, "storetest/account2": {"c"}, "storetest": {}, "storetest/accoun": {}} {
		e.same("streams of "+string(a), e.streams(d, a, store.Range{}), want)
	}
}

func catalogSurvives(e *env) {
	d := e.open()
	e.append(d, accounts.Stream("a"), "opened", "closed")
	e.append(d, orders.Stream("b"), "placed")
	d = e.reopen(d)
	e.verify(d)
	e.append(d, orders.Stream("c"), "placed", "shipped")
	e.verify(d)
}
