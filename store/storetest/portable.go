package storetest

import (
	"errors"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// The rules of this file look at what a driver and a Store keep together.

// opened is a payload of the account streams.
type opened struct{ Owner string }

func (opened) EventType() event.Type { return accounts.Event("opened") }

func (e *env) store(d store.Driver) *store.Store {
	e.Helper()
	st, err := store.New(d, nil)
	e.need(err, "a store on the driver")
	return st
}

// retry is an append that may be repeated.
type retry struct {
	name    string
	exists  bool // the streams have one event before
	batches []store.Batch
}

func retries() []retry {
	batch := func(id string, expect store.Expect, once bool) store.Batch {
		return store.Batch{
			Stream: accounts.Stream(id), Expect: expect, Once: once,
			Events: event.Of(opened{"ann"}, opened{"bob"}),
		}
	}
	return []retry{
		{"NoStream", false, []store.Batch{batch("1", store.NoStream, false)}},
		{"Exact", true, []store.Batch{batch("2", store.Exact(1), false)}},
		{"Any with Once", false, []store.Batch{batch("3", store.Any, true)}},
		{"Exists with Once", true, []store.Batch{batch("4", store.Exists, true)}},
		{"several streams", false, []store.Batch{batch("5", store.NoStream, false), batch("6", store.Exact(0), false)}},
		{"NoStream beside Any with Once", false, []store.Batch{batch("7", store.NoStream, false), batch("8", store.Any, true)}},
		{"Any with Once beside NoStream", false, []store.Batch{batch("9", store.Any, true), batch("10", store.NoStream, false)}},
	}
}

// replays appends, does something to the store, and appends the same again.
func (e *env) replays(between func(*store.Store, store.Driver) *store.Store) {
	e.Helper()
	d := e.open()
	st := e.store(d)
	first := map[string]store.Result{}
	all := retries()
	for _, r := range all {
		for _, b := range r.batches {
			if r.exists {
				e.append(d, b.Stream, "opened")
			}
		}
		res, err := st.Append(e.Context(), r.batches...)
		e.need(err, "append with %s", r.name)
		if res.Replayed {
			e.Errorf("%s: the first append says that it was one before", r.name)
		}
		first[r.name] = res
	}
	head := e.head(d)
	st = between(st, d)
	for _, r := range all {
		res, err := st.Append(e.Context(), r.batches...)
		if err != nil {
			e.Errorf("%s: the same append again: %v", r.name, err)
			continue
		}
		want := first[r.name]
		if !res.Replayed || res.First != want.First || res.Position != want.Position || res.Version != want.Version || !res.Time.Equal(want.Time) {
			e.Errorf("%s: the same append again gives %+v, the first gave %+v", r.name, res, want)
		}
	}
	if h, err := st.Head(e.Context()); err != nil || h.Position != head {
		e.Errorf("after repeated appends the head is %d, and was %d before: %v", h.Position, head, err)
	}
}

func storeReplays(e *env) {
	e.replays(func(st *store.Store, _ store.Driver) *store.Store { return st })
}

func storeReplaysAfterReopen(e *env) {
	e.replays(func(_ *store.Store, d store.Driver) *store.Store { return e.store(e.reopen(d)) })
}

func storeRefusesReusedIDs(e *env) {
	st := e.store(e.open())
	refused := func(name string, b store.Batch) {
		e.Helper()
		if _, err := st.Append(e.Context(), b); !errors.Is(err, store.ErrIDReused) {
			e.Errorf("%s: %v, want ErrIDReused", name, err)
		}
	}
	for _, once := range []bool{false, true} {
		b := store.Batch{Stream: accounts.Stream("a"), Events: event.Of(opened{"ann"}, opened{"bob"})}
		if once {
			b.Stream, b.Expect, b.Once = accounts.Stream("b"), store.Any, true
		}
		_, err := st.Append(e.Context(), b)
		e.need(err, "append")
		part := b
		part.Events = append(b.Events[:1:1], event.Of(opened{"eve"})...)
		refused("one of two ids again", part)
		if once {
			elsewhere := b
			elsewhere.Stream = accounts.Stream("elsewhere")
			refused("the same ids in another stream", elsewhere)
		}
	}
}

func storeClosed(e *env) {
	st := e.store(e.open())
	_, err := st.Append(e.Context(), store.Batch{Stream: accounts.Stream("a"), Events: event.Of(opened{"ann"})})
	e.need(err, "append")
	for range 2 {
		if err := st.Close(); err != nil {
			e.Errorf("Close: %v", err)
		}
	}
	ctx := e.Context()
	for name, call := range map[string]func() error{
		"Append": func() error {
			_, err := st.Append(ctx, store.Batch{Stream: accounts.Stream("b"), Events: event.Of(opened{"bob"})})
			return err
		},
		"Read":   func() error { _, err := st.Read(ctx, store.Query{}); return err },
		"Event":  func() error { _, err := st.Event(ctx, 1); return err },
		"Stream": func() error { _, err := st.Stream(ctx, accounts.Stream("a")); return err },
		"Head":   func() error { _, err := st.Head(ctx); return err },
		"Wait":   func() error { _, err := st.Wait(ctx, 0); return err },
		"Types":  func() error { _, err := st.Types(ctx); return err },
		"Events": func() error {
			for _, err := range st.Events(ctx, store.Query{}) {
				return err
			}
			return nil
		},
	} {
		if err := call(); !errors.Is(err, store.ErrClosed) {
			e.Errorf("%s after Close: %v, want ErrClosed", name, err)
		}
	}
}
