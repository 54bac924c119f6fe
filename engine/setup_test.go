package engine_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/crashfs"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

const Counters = event.Aggregate("counter")

type (
	Added  struct{ N int }
	Noted  struct{ Text string }
	Echoed struct{ N int }
)

func (Added) EventType() event.Type  { return Counters.Event("added") }
func (Noted) EventType() event.Type  { return Counters.Event("noted") }
func (Echoed) EventType() event.Type { return Counters.Event("echoed") }

// Tally is the state of a counter.
type Tally struct{ N int }

func tally(o projection.Options) *projection.Model[Tally] {
	return projection.NewModel("tally",
		projection.Fold(func(t *Tally, e Added, _ event.Event) error { t.N += e.N; return nil }),
	).With(o)
}

// bed is a store and what a test does with it.
type bed struct {
	testing.TB
	store *store.Store
}

// setup opens a store in memory, which is closed when the test ends.
func setup(t testing.TB) *bed {
	t.Helper()
	return setupWith(t, store.Options{})
}

func setupWith(t testing.TB, o store.Options) *bed {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return opened(t)(pebblestore.OpenMem(&pebblestore.Options{Store: o}))
}

// setupOn opens the store on a disk of crash tests.
func setupOn(t testing.TB, disk *crashfs.FS) *bed {
	t.Helper()
	return opened(t)(pebblestore.Open("db", &pebblestore.Options{
		FS: disk, FreeSpace: pebblestore.NoFreeSpaceCheck, Store: store.Options{Logger: slog.New(slog.DiscardHandler)},
	}))
}

func opened(t testing.TB) func(*store.Store, error) *bed {
	t.Helper()
	return func(st *store.Store, err error) *bed {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := st.Close(); err != nil {
				t.Error(err)
			}
		})
		return &bed{TB: t, store: st}
	}
}

func (b *bed) engine(projections ...projection.Projection) *engine.Engine {
	b.Helper()
	return b.engineWith(engine.Config{Projections: projections})
}

func (b *bed) engineWith(c engine.Config) *engine.Engine {
	b.Helper()
	c.Store = b.store
	e, err := engine.New(c)
	if err != nil {
		b.Fatal(err)
	}
	return e
}

// running is an engine that runs.
type running struct {
	*engine.Engine
	cancel context.CancelFunc
	ended  chan error
	once   sync.Once
	err    error
}

// run runs an engine until the test ends, or stop is called.
func (b *bed) run(e *engine.Engine) *running {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Engine: e, cancel: cancel, ended: make(chan error, 1)}
	go func() { r.ended <- e.Run(ctx) }()
	b.Cleanup(func() {
		if err := r.stop(); err != nil && !b.Failed() {
			b.Errorf("Run ended with %v", err)
		}
	})
	return r
}

// stop drains, and returns what Run returned.
func (r *running) stop() error {
	r.once.Do(func() {
		r.cancel()
		r.err = <-r.ended
	})
	return r.err
}

// failing is stop for a Run that is expected to fail: its error is not the test's.
func (r *running) failing() error {
	err := r.stop()
	r.err = nil
	return err
}

func (b *bed) append(id string, payloads ...event.Payload) event.Position {
	b.Helper()
	res, err := b.store.Append(b.Context(), store.Batch{
		Stream: Counters.Stream(id), Expect: store.Any, Events: event.Of(payloads...),
	})
	if err != nil {
		b.Fatal(err)
	}
	return res.Position
}

func (b *bed) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// tally returns the committed tally of a counter.
func (b *bed) tally(m *projection.Model[Tally], id string) int {
	b.Helper()
	s, err := m.Get(b.Context(), b.store, id)
	if err != nil {
		b.Fatal(err)
	}
	return s.Value.N
}

// until polls for a condition, with a deadline.
func (b *bed) until(what string, ok func() bool) {
	b.Helper()
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			b.Fatalf("did not happen in time: %s", what)
		}
		<-tick.C
	}
}

func (b *bed) status(e *engine.Engine, name string) engine.Status {
	b.Helper()
	all, err := e.Status(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range all {
		if s.Projection == name {
			return s
		}
	}
	b.Fatalf("no status of %q", name)
	return engine.Status{}
}

func wantState(t testing.TB, err error, state string) *engine.StateError {
	t.Helper()
	e, ok := errors.AsType[*engine.StateError](err)
	if !ok || string(e.State) != state || !errors.Is(err, engine.ErrUnavailable) {
		t.Fatalf("got %v, want a StateError that says %s", err, state)
	}
	return e
}

// effect counts what it handled.
type effect struct {
	mu   sync.Mutex
	seen []int
}

func (f *effect) handle(_ context.Context, e Added, _ event.Event) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, e.N)
	return nil
}

func (f *effect) handled() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]int(nil), f.seen...)
}

func (f *effect) projection(o projection.Options) *projection.Effect {
	if o.Start.IsZero() {
		o.Start = store.AtPosition(1)
	}
	return projection.NewEffect("effect", projection.On(f.handle)).With(o)
}
