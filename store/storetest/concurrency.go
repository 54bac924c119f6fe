package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

func concurrencyRules() []rule {
	return []rule{
		{"an expectation holds or is a conflict", 0, expectations},
		{"of concurrent appends at one version, one wins", 0, oneWins},
		{"several streams are appended all or nothing", 0, allOrNothing},
		{"of concurrent appends to two streams, none wins half", 0, noneWinsHalf},
		{"an expectation sees what the same commit appended before", 0, expectationsSeeStaged},
		{"a refused append leaves nothing behind", 0, refusedLeavesNothing},
		{"a commit whose context has ended writes nothing", 0, cancelledWritesNothing},
		{"a commit whose context ends in the middle says what became of it", 0, cancelledTellsTruth},
	}
}

func expectations(e *env) {
	d := e.open()
	for i, c := range []struct {
		has    int
		expect store.Expect
		ok     bool
	}{
		{0, store.NoStream, true}, {0, store.Any, true}, {0, store.Exists, false}, {0, store.Exact(0), true}, {0, store.Exact(1), false},
		{1, store.NoStream, false}, {1, store.Any, true}, {1, store.Exists, true}, {1, store.Exact(0), false}, {1, store.Exact(1), true}, {1, store.Exact(2), false},
		{3, store.NoStream, false}, {3, store.Any, true}, {3, store.Exists, true}, {3, store.Exact(2), false}, {3, store.Exact(3), true}, {3, store.Exact(4), false},
		{3, store.Exact(1 << 63), false},
	} {
		s := accounts.Stream(strconv.Itoa(i))
		for range c.has {
			e.append(d, s, "opened")
		}
		res, err := d.Commit(e.Context(), appends(appending(s, c.expect, "renamed", "closed")))
		switch {
		case c.ok && err != nil:
			e.Errorf("%v at version %d: %v", c.expect, c.has, err)
		case c.ok && res.Version != uint64(c.has+2):
			e.Errorf("%v at version %d gives version %d", c.expect, c.has, res.Version)
		case !c.ok:
			e.conflict(err, store.ConflictError{Stream: s, Expect: c.expect, Actual: uint64(c.has)})
		}
	}
	e.verify(d)
}

func (e *env) conflict(err error, want store.ConflictError) {
	e.Helper()
	got, ok := errors.AsType[*store.ConflictError](err)
	if !ok || !errors.Is(err, store.ErrConflict) {
		e.Errorf("got the error %v, want a conflict: %+v", err, want)
		return
	}
	if *got != want {
		e.Errorf("the conflict says %+v, want %+v", *got, want)
	}
}

func oneWins(e *env) {
	const rounds, rivals = 15, 8
	d := e.open()
	s := accounts.Stream("contested")
	for round := range uint64(rounds) {
		var won atomic.Int32
		err := together(rivals, func(int) error {
			_, err := d.Commit(e.Context(), appends(appending(s, store.Exact(round), "opened")))
			conflict, isConflict := errors.AsType[*store.ConflictError](err)
			switch {
			case err == nil:
				won.Add(1)
			case !isConflict:
				return err
			case conflict.Actual != round+1:
				return fmt.Errorf("the conflict says that the stream is at version %d, but it is at %d", conflict.Actual, round+1)
			}
			return nil
		})
		e.need(err, "append at version %d", round)
		if won.Load() != 1 {
			e.Fatalf("%d of %d appends at version %d succeeded, want 1", won.Load(), rivals, round)
		}
	}
	if log := e.verify(d); len(log) != rounds {
		e.Errorf("%d events, want %d", len(log), rounds)
	}
}

func allOrNothing(e *env) {
	d := e.open()
	a, b, c := accounts.Stream("a"), accounts.Stream("b"), orders.Stream("c")
	e.append(d, b, "opened")
	_, err := d.Commit(e.Context(), appends(
		appending(a, store.NoStream, "opened"), appending(b, store.Exact(1), "closed"), appending(c, store.Exists, "opened")))
	e.conflict(err, store.ConflictError{Stream: c, Expect: store.Exists, Actual: 0, Batch: 2})
	for s, want := range map[event.Stream]uint64{a: 0, b: 1, c: 0} {
		if got := e.info(d, s); got.Version != want {
			e.Errorf("stream %q is at version %d after a conflict in another, want %d", s, got.Version, want)
		}
	}
	if log := e.verify(d); len(log) != 1 {
		e.Errorf("%d events after a conflict, want 1", len(log))
	}
	res := e.commit(d, appends(appending(b, store.Exact(1), "closed", "closed"), appending(a, store.NoStream, "opened")))
	if log := e.verify(d); len(log) != 4 || res.Version != 3 || res.First != log[1].Position || res.Position != log[3].Position {
		e.Errorf("an append to two streams gave %+v and the positions %v", res, positions(log))
	}
}

// noneWinsHalf appends to two streams in both orders, so that rivals meet in the middle.
func noneWinsHalf(e *env) {
	const rounds = 20
	d := e.open()
	a, b := accounts.Stream("a"), accounts.Stream("b")
	for version := range uint64(rounds) {
		var won atomic.Int32
		err := together(6, func(i int) error {
			first, second := a, b
			if i%2 == 0 {
				first, second = b, a
			}
			_, err := d.Commit(e.Context(), appends(
				appending(first, store.Exact(version), "opened"), appending(second, store.Exact(version), "opened")))
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, store.ErrConflict) {
				return err
			}
			return nil
		})
		e.need(err, "appends to two streams")
		if won.Load() != 1 {
			e.Fatalf("%d appends at version %d of two streams succeeded, want 1", won.Load(), version)
		}
	}
	if va, vb := e.info(d, a).Version, e.info(d, b).Version; va != rounds || vb != rounds {
		e.Errorf("the streams are at the versions %d and %d, want %d", va, vb, rounds)
	}
	e.verify(d)
}

func expectationsSeeStaged(e *env) {
	d := e.open()
	s := accounts.Stream("a")
	res := e.commit(d, appends(appending(s, store.NoStream, "opened"), appending(s, store.Exact(1), "renamed"), appending(s, store.Exists, "closed")))
	if res.Version != 1 {
		e.Errorf("the result has version %d, want 1: that of the first batch", res.Version)
	}
	_, err := d.Commit(e.Context(), appends(appending(s, store.Exact(3), "opened"), appending(s, store.Exact(3), "closed")))
	e.conflict(err, store.ConflictError{Stream: s, Expect: store.Exact(3), Actual: 4, Batch: 1})
	if log := e.verify(d); len(log) != 3 {
		e.Errorf("%d events, want 3", len(log))
	}
}

func refusedLeavesNothing(e *env) {
	d := e.open()
	s := accounts.Stream("a")
	e.append(d, s, "opened")
	before := e.head(d)
	fresh := event.Aggregate("storetest/fresh").Stream("never")
	first := appending(fresh, store.NoStream, "never-stored")
	first.RoutingKey = "never"
	for range 2 {
		_, err := d.Commit(e.Context(), appends(first, appending(s, store.NoStream, "never-either")))
		e.conflict(err, store.ConflictError{Stream: s, Expect: store.NoStream, Actual: 1, Batch: 1})
	}
	if h := e.head(d); h != before {
		e.Errorf("the head moved from %d to %d", before, h)
	}
	if info := e.info(d, fresh); info != (store.StreamInfo{}) {
		e.Errorf("a stream of a refused append is %+v", info)
	}
	e.verify(d) // compares the catalog with the log
	again := appending(fresh, store.NoStream, "opened")
	again.RoutingKey = "another"
	if res := e.commit(d, appends(again)); res.Version != 1 {
		e.Errorf("the first append after refused ones has version %d", res.Version)
	}
	e.verify(d)
}

func cancelledWritesNothing(e *env) {
	d := e.open()
	ctx, cancel := context.WithCancel(e.Context())
	cancel()
	txn := appends(appending(accounts.Stream("a"), store.Any, "opened"))
	_, err := d.Commit(ctx, txn)
	if err == nil {
		return // it had begun: that is allowed, and the next rule looks at it
	}
	if !errors.Is(err, context.Canceled) {
		e.Errorf("got the error %v, want the context's", err)
	}
	e.append(d, accounts.Stream("b"), "opened") // what was left in a queue would come with it
	if info := e.info(d, accounts.Stream("a")); info.Version != 0 {
		e.Error("Commit answered with the context's error and wrote the events")
	}
	e.verify(d)
}

func cancelledTellsTruth(e *env) {
	d := e.open()
	err := together(8, func(i int) error {
		for j := range 20 {
			ctx, cancel := context.WithCancel(e.Context())
			a := appending(accounts.Stream(fmt.Sprintf("%d-%d", i, j)), store.NoStream, "opened")
			done := begin(func() error { _, err := d.Commit(ctx, appends(a)); return err })
			cancel()
			refused := <-done
			if refused != nil && !errors.Is(refused, context.Canceled) {
				return refused
			}
			info, err := d.Stream(e.Context(), a.Stream)
			if err != nil {
				return err
			}
			if written := info.Version > 0; written != (refused == nil) {
				return fmt.Errorf("the answer of Commit is %v, and whether it wrote the events is %t", refused, written)
			}
		}
		return nil
	})
	e.need(err, "cancelled appends")
	e.verify(d)
}
