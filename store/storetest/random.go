package storetest

import (
	"math/rand/v2"
	"strconv"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// A small world, so that random filters often match: two aggregates with four names
// each, eight streams each. The routing key of a stream follows from its id, for it is
// fixed for the stream's life.

func randomStream(r *rand.Rand) event.Stream {
	return pick(r, accounts, orders).Stream(strconv.Itoa(r.IntN(8)))
}

func routingKeyOf(s event.Stream) string {
	return []string{"", "eu", "us", ""}[int(s.ID[0]-'0')%4]
}

func randomAppending(r *rand.Rand) store.Appending {
	names := make([]string, 1+r.IntN(3))
	for i := range names {
		names[i] = pick(r, "opened", "renamed", "closed", "rare"+strconv.Itoa(r.IntN(50)))
	}
	s := randomStream(r)
	a := appending(s, store.Any, names...)
	a.RoutingKey = routingKeyOf(s)
	return a
}

// randomFilter returns a scan with a random Match and RoutingKey and no bounds.
func randomFilter(r *rand.Rand) store.Scan {
	var scan store.Scan
	for range pick(r, 0, 1, 1, 2, 3, 5) {
		m := store.Match{Aggregate: pick(r, accounts, orders, "storetest/unknown")}
		if r.IntN(2) == 0 {
			m.ID = strconv.Itoa(r.IntN(9))
		}
		if r.IntN(2) == 0 {
			m.Name = pick(r, "opened", "renamed", "closed", "rare"+strconv.Itoa(r.IntN(50)), "unknown")
		}
		scan.Match = append(scan.Match, m)
	}
	switch r.IntN(6) {
	case 0:
		scan.RoutingKey = new("")
	case 1:
		scan.RoutingKey = new("eu")
	case 2:
		scan.RoutingKey = new(pick(r, "us", "unknown"))
	}
	return scan
}

// fill appends random events, several streams at a time, and returns the log.
func (e *env) fill(d store.Driver, commits int) []event.Event {
	e.Helper()
	r := e.rand()
	for range commits {
		txn := &store.Txn{}
		for range 1 + r.IntN(3) {
			txn.Appends = append(txn.Appends, randomAppending(r))
		}
		e.commit(d, txn)
	}
	return e.read(d, store.Scan{})
}
