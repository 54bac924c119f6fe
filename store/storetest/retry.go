package storetest

import (
	"errors"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

func retryRules() []rule {
	return []rule{
		{"an append with Once is written once", 0, onceIsOnce},
		{"a duplicate says where each id is", 0, duplicateSaysWhere},
		{"a refused append keeps no ids", 0, refusedKeepsNoIDs},
		{"of concurrent appends with the same ids, one is written", 0, onceRace},
		{"the ids of Once survive a reopen", needReopen, onceSurvivesReopen},
		{"a store answers a repeated append with its first result", 0, storeReplays},
		{"a store answers it after a reopen too", needReopen, storeReplaysAfterReopen},
		{"a store refuses ids that another append used", 0, storeRefusesReusedIDs},
	}
}

func once(s event.Stream, names ...string) store.Appending {
	a := appending(s, store.Any, names...)
	a.Once = true
	return a
}

// duplicate checks the answer to an append whose ids are kept.
func (e *env) duplicate(d store.Driver, want []event.Position, a ...store.Appending) {
	e.Helper()
	_, err := d.Commit(e.Context(), appends(a...))
	got, ok := errors.AsType[*store.DuplicateError](err)
	if !ok {
		e.Errorf("got the error %v, want *DuplicateError", err)
	} else if !slices.Equal(got.Positions, want) {
		e.Errorf("the duplicate says the positions %v, want %v", got.Positions, want)
	}
}

func onceIsOnce(e *env) {
	d := e.open()
	a := once(accounts.Stream("a"), "opened", "closed")
	res := e.commit(d, appends(a))
	for range 2 {
		e.duplicate(d, []event.Position{res.First, res.Position}, a)
	}
	a.Expect = store.Exists
	e.duplicate(d, []event.Position{res.First, res.Position}, a)
	a.Stream = accounts.Stream("elsewhere")
	a.Expect = store.Any
	e.duplicate(d, []event.Position{res.First, res.Position}, a)
	if log := e.verify(d); len(log) != 2 {
		e.Errorf("%d events, want 2", len(log))
	}
}

func duplicateSaysWhere(e *env) {
	d := e.open()
	old := once(accounts.Stream("a"), "opened", "renamed", "closed")
	e.append(d, accounts.Stream("z"), "opened")
	res := e.commit(d, appends(old))
	at := e.read(d, store.Scan{From: res.First})
	mixed := once(accounts.Stream("b"), "opened", "closed")
	mixed.Events = append(mixed.Events, old.Events[2], old.Events[0])
	plain := appending(accounts.Stream("c"), store.Any, "opened")
	fresh := once(accounts.Stream("d"), "opened")
	e.duplicate(d, []event.Position{0, 0, 0, at[2].Position, at[0].Position}, fresh, plain, mixed)
	if log := e.verify(d); len(log) != 4 {
		e.Errorf("%d events, want 4", len(log))
	}
}

func refusedKeepsNoIDs(e *env) {
	d := e.open()
	e.append(d, accounts.Stream("b"), "opened")
	a := once(accounts.Stream("a"), "opened")
	if _, err := d.Commit(e.Context(), appends(a, appending(accounts.Stream("b"), store.NoStream, "opened"))); !errors.Is(err, store.ErrConflict) {
		e.Fatalf("got the error %v, want a conflict", err)
	}
	e.commit(d, appends(a))
	e.verify(d)
}

func onceRace(e *env) {
	d := e.open()
	for round := range 20 {
		a := once(accounts.Stream(strconv.Itoa(round)), "opened", "closed")
		var written atomic.Int32
		err := together(6, func(int) error {
			_, err := d.Commit(e.Context(), appends(a))
			if _, ok := errors.AsType[*store.DuplicateError](err); ok {
				return nil
			}
			written.Add(1)
			return err
		})
		e.need(err, "concurrent appends with the same ids")
		if written.Load() != 1 {
			e.Fatalf("%d of 6 appends with the same ids were written, want 1", written.Load())
		}
	}
	if log := e.verify(d); len(log) != 40 {
		e.Errorf("%d events, want 40", len(log))
	}
}

func onceSurvivesReopen(e *env) {
	d := e.open()
	a := once(accounts.Stream("a"), "opened", "closed")
	res := e.commit(d, appends(a))
	d = e.reopen(d)
	e.duplicate(d, []event.Position{res.First, res.Position}, a)
	e.verify(d)
}
