package storetest

import (
	"cmp"
	"fmt"
	"strconv"
	"sync"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// The names that rules use when it does not matter which.
const (
	accounts event.Aggregate = "storetest/account"
	orders   event.Aggregate = "storetest/order"
)

func orderRules() []rule {
	return []rule{
		{"positions rise in the order of commits", 0, positionsRise},
		{"positions are 1, 2, 3 without a gap", needDense, positionsAreDense},
		{"a refused append takes no position", needDense, refusedTakesNoPosition},
		{"concurrent appends have positions of their own", 0, concurrentAppends},
		{"concurrent appends to one stream have versions of their own", 0, concurrentVersions},
		{"order survives a reopen", needReopen, orderSurvivesReopen},
	}
}

func compareTypes(a, b event.Type) int {
	return cmp.Or(cmp.Compare(a.Aggregate, b.Aggregate), cmp.Compare(a.Name, b.Name))
}

func positionsRise(e *env) {
	d := e.open()
	var last event.Position
	for i := range 20 {
		res := e.append(d, accounts.Stream(strconv.Itoa(i%3)), "opened", "renamed", "closed")
		if res.First <= last || res.Position < res.First+2 {
			e.Fatalf("append %d has the positions %d to %d, the one before ended at %d", i, res.First, res.Position, last)
		}
		if want := uint64(i/3+1) * 3; res.Version != want {
			e.Errorf("append %d has version %d, want %d", i, res.Version, want)
		}
		if last = res.Position; e.head(d) != last {
			e.Fatalf("the head is %d after an append that ended at %d", e.head(d), last)
		}
	}
	if log := e.verify(d); len(log) != 60 {
		e.Errorf("%d events, want 60", len(log))
	}
}

func positionsAreDense(e *env) {
	d := e.open()
	for i := range 10 {
		res := e.append(d, accounts.Stream("a"), "opened", "closed")
		if want := event.Position(2*i + 1); res.First != want || res.Position != want+1 {
			e.Fatalf("append %d has the positions %d to %d, want %d to %d", i, res.First, res.Position, want, want+1)
		}
	}
	e.verify(d)
}

func refusedTakesNoPosition(e *env) {
	d := e.open()
	s := accounts.Stream("a")
	e.append(d, s, "opened")
	for _, txn := range []*store.Txn{
		appends(appending(s, store.NoStream, "opened")),
		appends(appending(accounts.Stream("b"), store.NoStream, "opened"), appending(s, store.Exact(7), "closed")),
		{Guards: []store.Guard{{Key: "sa", Revision: 3}}, Appends: appends(appending(s, store.Any, "closed")).Appends},
	} {
		if _, err := d.Commit(e.Context(), txn); err == nil {
			e.Fatal("a commit that had to be refused was not")
		}
	}
	if res := e.append(d, s, "closed"); res.Position != 2 {
		e.Errorf("the append after refused ones has position %d, want 2", res.Position)
	}
	e.verify(d)
}

func concurrentAppends(e *env) {
	const appenders, each = 8, 25
	d := e.open()
	var mu sync.Mutex
	at := map[event.ID]event.Position{}
	err := together(appenders, func(i int) error {
		for j := range each {
			a := appending(accounts.Stream(strconv.Itoa(i)), store.Exact(uint64(3*j)), "opened", "renamed", "closed")
			res, err := d.Commit(e.Context(), appends(a))
			if err != nil {
				return err
			}
			if e.traits.Dense && res.Position-res.First != 2 {
				return fmt.Errorf("an append of 3 events has the positions %d to %d", res.First, res.Position)
			}
			mu.Lock()
			at[a.Events[0].ID], at[a.Events[2].ID] = res.First, res.Position
			mu.Unlock()
		}
		return nil
	})
	e.need(err, "concurrent appends")
	log := e.verify(d)
	if len(log) != appenders*each*3 {
		e.Fatalf("%d events, want %d", len(log), appenders*each*3)
	}
	for _, ev := range log {
		if want, ok := at[ev.ID]; ok && want != ev.Position {
			e.Fatalf("an event is at position %d, its append said %d", ev.Position, want)
		}
	}
}

func concurrentVersions(e *env) {
	const appenders, each = 8, 20
	d := e.open()
	s := accounts.Stream("shared")
	err := together(appenders, func(int) error {
		for range each {
			if _, err := d.Commit(e.Context(), appends(appending(s, store.Any, "opened", "closed"))); err != nil {
				return err
			}
		}
		return nil
	})
	e.need(err, "concurrent appends")
	e.verify(d)
	if got := e.info(d, s).Version; got != appenders*each*2 {
		e.Errorf("version %d, want %d", got, appenders*each*2)
	}
}

func orderSurvivesReopen(e *env) {
	d := e.open()
	for i := range 30 {
		e.append(d, accounts.Stream(strconv.Itoa(i%4)), "opened", "n"+strconv.Itoa(i))
	}
	before := e.verify(d)
	d = e.reopen(d)
	after := e.verify(d)
	if len(before) != len(after) {
		e.Fatalf("%d events before a reopen, %d after it", len(before), len(after))
	}
	for i := range before {
		e.need(sameEvent(after[i], before[i]), "after a reopen")
	}
	if res := e.append(d, accounts.Stream("0"), "closed"); res.First <= before[len(before)-1].Position || res.Version != 17 {
		e.Errorf("after a reopen, an append has position %d and version %d; the last position was %d and the version 16",
			res.First, res.Version, before[len(before)-1].Position)
	}
	e.verify(d)
}
