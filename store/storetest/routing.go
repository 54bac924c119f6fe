package storetest

import (
	"errors"
	"strconv"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

func routingRules() []rule {
	return []rule{
		{"the first event fixes the routing key of its stream", 0, routingKeyIsFixed},
		{"another routing key is refused and nothing is written", 0, otherRoutingKeyRefused},
		{"concurrent first events agree on one routing key", 0, routingKeyRace},
		{"a read selects one routing key, none, or all", 0, routingKeyFilter},
	}
}

func keyed(s event.Stream, key string, names ...string) store.Appending {
	a := appending(s, store.Any, names...)
	a.RoutingKey = key
	return a
}

func routingKeyIsFixed(e *env) {
	d := e.open()
	s := accounts.Stream("a")
	e.commit(d, appends(keyed(s, "eu", "opened", "renamed")))
	e.commit(d, appends(keyed(s, "", "closed")))
	e.commit(d, appends(keyed(s, "eu", "closed")))
	for _, ev := range e.verify(d) {
		if ev.RoutingKey != "eu" {
			e.Errorf("version %d has routing key %q, want %q", ev.Version, ev.RoutingKey, "eu")
		}
	}
	if got := e.info(d, s).RoutingKey; got != "eu" {
		e.Errorf("the stream has routing key %q, want %q", got, "eu")
	}
}

func otherRoutingKeyRefused(e *env) {
	d := e.open()
	s, unkeyed := accounts.Stream("a"), accounts.Stream("b")
	e.commit(d, appends(keyed(s, "eu", "opened"), keyed(unkeyed, "", "opened")))
	for name, txn := range map[string]*store.Txn{
		"another key":          appends(keyed(s, "us", "closed")),
		"a key where none was": appends(keyed(unkeyed, "us", "closed")),
		"in the second batch":  appends(keyed(unkeyed, "", "closed"), keyed(s, "us", "closed")),
		"in the same commit":   appends(keyed(accounts.Stream("c"), "eu", "opened"), keyed(accounts.Stream("c"), "us", "closed")),
	} {
		_, err := d.Commit(e.Context(), txn)
		if _, ok := errors.AsType[*store.InvalidError](err); !ok {
			e.Errorf("%s: got the error %v, want *InvalidError", name, err)
		}
	}
	if log := e.verify(d); len(log) != 2 {
		e.Errorf("%d events, want 2", len(log))
	}
}

func routingKeyRace(e *env) {
	d := e.open()
	for round := range 20 {
		s := accounts.Stream(strconv.Itoa(round))
		err := together(4, func(i int) error {
			_, err := d.Commit(e.Context(), appends(keyed(s, strconv.Itoa(i), "opened", "renamed")))
			if errors.Is(err, store.ErrInvalid) {
				return nil
			}
			return err
		})
		e.need(err, "first events")
		if info := e.info(d, s); info.Version != 2 {
			e.Errorf("of four appends with keys of their own, those of %d events succeeded, want 2", info.Version)
		}
	}
	e.verify(d)
}

func routingKeyFilter(e *env) {
	d := e.open()
	for i, key := range []string{"", "eu", "us", "e", "eu\x00", "", "eu/1"} {
		e.commit(d, appends(keyed(accounts.Stream(strconv.Itoa(i)), key, "opened", "closed")))
	}
	log := e.verify(d)
	for _, key := range []*string{nil, new(""), new("eu"), new("us"), new("e"), new("eu\x00"), new("eu/"), new("unknown")} {
		for _, match := range [][]store.Match{nil, {{Aggregate: accounts}}, {{Aggregate: accounts, Name: "closed"}}, {{Aggregate: accounts, ID: "1"}}} {
			scan := store.Scan{RoutingKey: key, Match: match}
			if got, want := e.read(d, scan), wanted(log, scan); !sameIDs(got, want) {
				e.Errorf("%s: got the positions %v, want %v", show(scan), positions(got), positions(want))
			}
		}
	}
}
