package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// env is what a rule works with. Methods that can fail end the rule, so they belong to
// its own goroutine; functions that return errors belong to the others.
type env struct {
	testing.TB
	factory  Factory
	traits   store.Traits
	patience time.Duration // how long something may take that must happen
	random   *rand.Rand
}

// patience is long, for nothing waits that long unless a rule is broken or the machine
// is very busy.
const patience = 20 * time.Second

func newEnv(tb testing.TB, f Factory, tr store.Traits) *env {
	return &env{TB: tb, factory: f, traits: tr, patience: patience}
}

// rand is the rule's source of chance.
func (e *env) rand() *rand.Rand {
	if e.random == nil {
		seed := e.factory.Seed
		if seed == 0 {
			seed = rand.Uint64()
		}
		e.Logf("Factory.Seed: %d", seed)
		e.random = rand.New(rand.NewPCG(seed, 1))
	}
	return e.random
}

func (e *env) open() store.Driver {
	e.Helper()
	return e.factory.Open(e.TB)
}

func (e *env) reopen(d store.Driver) store.Driver {
	e.Helper()
	return e.factory.Reopen(e.TB, d)
}

// soon is a context for what must happen.
func (e *env) soon() (context.Context, context.CancelFunc) {
	return context.WithTimeout(e.Context(), e.patience)
}

// need ends the rule when a step that only prepares it fails.
func (e *env) need(err error, doing string, args ...any) {
	e.Helper()
	if err != nil {
		e.Fatalf("%s: %v", fmt.Sprintf(doing, args...), err)
	}
}

func (e *env) commit(d store.Driver, txn *store.Txn) store.Result {
	e.Helper()
	res, err := d.Commit(e.Context(), txn)
	e.need(err, "commit")
	return res
}

// append appends events with these names to a stream, whatever it has.
func (e *env) append(d store.Driver, s event.Stream, names ...string) store.Result {
	e.Helper()
	return e.commit(d, appends(appending(s, store.Any, names...)))
}

func (e *env) put(d store.Driver, records ...store.Record) {
	e.Helper()
	e.commit(d, &store.Txn{Puts: records})
}

func (e *env) head(d store.Driver) event.Position {
	e.Helper()
	h, err := d.Head(e.Context())
	e.need(err, "head")
	return h.Position
}

func (e *env) info(d store.Driver, s event.Stream) store.StreamInfo {
	e.Helper()
	info, err := d.Stream(e.Context(), s)
	e.need(err, "stream %q", s)
	return info
}

// get returns a record; the zero Record when there is none.
func (e *env) get(d store.Driver, key string) store.Record {
	e.Helper()
	r, err := d.Get(e.Context(), key)
	if errors.Is(err, store.ErrNotFound) {
		return store.Record{}
	}
	e.need(err, "get %q", key)
	return r
}

// read goes through all pages of a scan.
func (e *env) read(d store.Driver, scan store.Scan) []event.Event {
	e.Helper()
	events, err := readAll(e.Context(), d, scan)
	e.need(err, "read")
	return events
}

// readAll goes through the pages of a scan by Scanned, and refuses pages that do not get
// any further.
func readAll(ctx context.Context, d store.Driver, scan store.Scan) ([]event.Event, error) {
	if scan.Limit == 0 {
		scan.Limit = 1000
	}
	if scan.Examine == 0 {
		scan.Examine = 20_000
	}
	var out []event.Event
	for {
		res, err := d.Read(ctx, scan)
		if err != nil {
			return out, err
		}
		out = append(out, res.Events...)
		if !res.More {
			return out, nil
		}
		more, err := advance(&scan, res.Scanned)
		if !more || err != nil {
			return out, err
		}
	}
}

// advance moves a scan behind a page; false says that it is at its end. A page that did
// not get any further is an error: a reader would ask for it for ever.
func advance(scan *store.Scan, scanned event.Position) (bool, error) {
	stuck := scanned < max(scan.From, 1)
	if scan.Backward {
		stuck = scan.To != 0 && scanned > scan.To
	}
	switch {
	case stuck:
		return false, fmt.Errorf("a page with Scanned %d does not get a reader any further: %s", scanned, show(*scan))
	case scan.Backward:
		scan.To = scanned - 1
		return scanned > max(scan.From, 1), nil
	default:
		scan.From = scanned + 1
		return scan.To == 0 || scanned < scan.To, nil
	}
}

// appends is a Txn of appends alone.
func appends(a ...store.Appending) *store.Txn { return &store.Txn{Appends: a} }

func appending(s event.Stream, expect store.Expect, names ...string) store.Appending {
	return store.Appending{Stream: s, Expect: expect, Events: newEvents(names...)}
}

func newEvents(names ...string) []event.Event {
	events := make([]event.Event, len(names))
	for i, name := range names {
		id := event.NewID()
		events[i] = event.Event{
			ID: id, Name: name, SchemaVersion: 1, ContentType: "application/json",
			Data: []byte(`{"id":"` + id.String() + `"}`),
		}
	}
	return events
}

// together runs f in n goroutines that begin at the same moment, and waits for all.
func together(n int, f func(i int) error) error {
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	wg.Wait()
	return errors.Join(errs...)
}

// begin runs f in a goroutine and returns where its answer will come.
func begin(f func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return done
}

// answer waits for what begin began.
func (e *env) answer(done <-chan error, doing string) error {
	e.Helper()
	timer := time.NewTimer(e.patience)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		e.Fatalf("%s: no answer within %v", doing, e.patience)
		return nil
	}
}

// pause lets goroutines get into a call that blocks. Nothing tells from outside when they
// have; a rule that hopes for it can miss a fault, but not see one that is not there.
func (e *env) pause() {
	timer := time.NewTimer(3 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-e.Context().Done():
	}
}

// pick returns one of the values.
func pick[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

// same compares two slices by what they print, for messages that people can read.
func (e *env) same(what string, got, want any) {
	e.Helper()
	if g, w := fmt.Sprintf("%q", got), fmt.Sprintf("%q", want); g != w {
		e.Errorf("%s: got %s, want %s", what, g, w)
	}
}

func ids(events []event.Event) []event.ID {
	out := make([]event.ID, len(events))
	for i := range events {
		out[i] = events[i].ID
	}
	return out
}

func positions(events []event.Event) []event.Position {
	out := make([]event.Position, len(events))
	for i := range events {
		out[i] = events[i].Position
	}
	return out
}

// sameIDs says whether two slices have the same events in the same order.
func sameIDs(a, b []event.Event) bool { return slices.Equal(ids(a), ids(b)) }
