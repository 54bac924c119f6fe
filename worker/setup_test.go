package worker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
	"github.com/riffle-go/riffle/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const accounts = event.Aggregate("test/account")

// Deposited is what most tests append.
type Deposited struct {
	Cents int64
	To    []string `json:",omitempty"` // further keys, for models by key
}

func (Deposited) EventType() event.Type { return accounts.Event("deposited") }

// Noted is an event that the projections under test do not handle.
type Noted struct{ Text string }

func (Noted) EventType() event.Type { return event.Aggregate("test/note").Event("noted") }

// Echoed is what emitting effects emit.
type Echoed struct{ Of event.Position }

func (Echoed) EventType() event.Type { return event.Aggregate("test/echo").Event("echoed") }

// Balance is the state of the models under test.
type Balance struct {
	Cents int64
	Seen  []event.Position
}

func (b *Balance) deposit(e Deposited, ev event.Event) error {
	b.Cents += e.Cents
	b.Seen = append(b.Seen, ev.Position)
	return nil
}

func balances(o projection.Options) *projection.Model[Balance] {
	return projection.NewModel("balances", projection.Fold((*Balance).deposit)).With(o)
}

// bed is what a test lies in: a store and the workers on it.
type bed struct {
	*testing.T
	store *store.Store
}

func setup(t *testing.T) *bed {
	t.Helper()
	return setupWith(t, &pebblestore.Options{})
}

func setupWith(t *testing.T, o *pebblestore.Options) *bed {
	t.Helper()
	if o.Store.Logger == nil {
		o.Store.Logger = slog.New(slog.DiscardHandler)
	}
	o.CacheSize = 8 << 20
	st, err := pebblestore.OpenMem(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &bed{T: t, store: st}
}

// bubble runs a test in fake time.
func bubble(t *testing.T, f func(b *bed)) {
	t.Helper()
	t.Parallel()
	bubbleHere(t, f)
}

// bubbleHere is bubble for a test that is not parallel to others.
func bubbleHere(t *testing.T, f func(b *bed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(setup(t)) })
}

// deposit appends one event to each of the streams.
func (b *bed) deposit(cents int64, ids ...string) event.Position {
	b.Helper()
	var last event.Position
	for _, id := range ids {
		last = b.append(accounts.Stream(id), Deposited{Cents: cents})
	}
	return last
}

func (b *bed) append(s event.Stream, payloads ...event.Payload) event.Position {
	b.Helper()
	res, err := b.store.Append(context.Background(), store.Batch{Stream: s, Expect: store.Any, Events: event.Of(payloads...)})
	if err != nil {
		b.Fatalf("append: %v", err)
	}
	return res.Position
}

// note appends an event that concerns nobody.
func (b *bed) note() event.Position {
	return b.append(event.Aggregate("test/note").Stream("n"), Noted{"x"})
}

// running is a worker that was started.
type running struct {
	*worker.Worker
	b      *bed
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

func (b *bed) config(p projection.Projection) worker.Config {
	return worker.Config{Store: b.store, Program: p.Program(), Key: store.SubscriberKey{Projection: p.Name()}}
}

// start runs a worker until the test ends.
func (b *bed) start(c worker.Config) *running {
	b.Helper()
	w, err := worker.New(c)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Worker: w, b: b, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = w.Run(ctx)
	}()
	b.Cleanup(func() {
		cancel()
		<-r.done
	})
	return r
}

// ends waits for the end of Run and returns its error.
func (r *running) ends() error {
	r.b.Helper()
	select {
	case <-r.done:
		return r.err
	case <-time.After(time.Minute):
		r.b.Fatalf("Run did not end; status %+v", r.Status())
		return nil
	}
}

func (r *running) drains() {
	r.b.Helper()
	r.Drain()
	if err := r.ends(); err != nil {
		r.b.Fatalf("Run after Drain: %v", err)
	}
}

// waits waits until everything up to pos is committed.
func (r *running) waits(pos event.Position) {
	r.b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := r.Wait(ctx, pos); err != nil {
		r.b.Fatalf("Wait(%d): %v; status %+v", pos, err, r.Status())
	}
}

// until polls for a condition; in a bubble that costs no time.
func (b *bed) until(what string, ok func() bool) {
	b.Helper()
	deadline := time.Now().Add(time.Minute)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			b.Fatalf("not in time: %s", what)
		}
		<-tick.C
	}
}

func (r *running) becomes(st worker.State) {
	r.b.Helper()
	r.b.until("state "+string(st)+", is "+string(r.Status().State), func() bool { return r.Status().State == st })
}

func (b *bed) info(p projection.Projection) store.SubscriberInfo {
	b.Helper()
	info, err := b.store.Subscriber(store.SubscriberKey{Projection: p.Name()}).Info(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	return info
}

func (b *bed) rows(p projection.Projection) []store.Row {
	b.Helper()
	var rows []store.Row
	for r, err := range b.store.Subscriber(store.SubscriberKey{Projection: p.Name()}).Rows(context.Background(), store.Range{}) {
		if err != nil {
			b.Fatal(err)
		}
		rows = append(rows, r)
	}
	return rows
}

// rowsAre compares rows as "key@position state attempts".
func (b *bed) rowsAre(p projection.Projection, want ...string) {
	b.Helper()
	var got []string
	for _, r := range b.rows(p) {
		got = append(got, fmt.Sprintf("%s@%d %s %d", r.Key, r.Position, r.State, r.Attempts))
	}
	if !slices.Equal(got, want) {
		b.Fatalf("rows are %q, want %q", got, want)
	}
}

// balance returns the committed state of a key.
func (b *bed) balance(p projection.Projection, key string) Balance {
	b.Helper()
	sn, err := b.store.State(context.Background(), store.SnapshotKey{Projection: p.Name(), Key: key})
	if errors.Is(err, store.ErrNotFound) {
		return Balance{}
	}
	if err != nil {
		b.Fatal(err)
	}
	state, err := p.Program().Model.Decode(sn)
	if err != nil {
		b.Fatal(err)
	}
	return *state.(*Balance)
}

// calls counts what handlers saw, in order.
type calls struct {
	mu  sync.Mutex
	all []string
}

func (c *calls) add(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, fmt.Sprintf(format, args...))
}

func (c *calls) list() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.all)
}

// switchable is an error that tests turn on and off.
type switchable struct {
	mu  sync.Mutex
	err error
}

func (s *switchable) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *switchable) get() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

var errBroken = errors.New("broken")

// mailer is an effect over deposits.
func mailer(o projection.Options, f func(ctx context.Context, e Deposited, ev event.Event) error) *projection.Effect {
	if o.Start.IsZero() {
		o.Start = store.AtPosition(1)
	}
	return projection.NewEffect("mailer", projection.On(f)).With(o)
}

// pass lets fake time pass.
func pass(d time.Duration) { <-time.After(d) }
