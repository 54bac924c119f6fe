package program_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/handling"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/store"
)

type noted struct{ Text string }

func (noted) EventType() event.Type { return accounts.Event("noted") }

type unencodable struct{ C chan int }

func (unencodable) EventType() event.Type { return accounts.Event("unencodable") }

func setup(t *testing.T, kind program.Kind, md event.Metadata) (*program.Context, event.Event) {
	t.Helper()
	ev := event.Event{
		ID: event.NewID(), Position: 7, Stream: accounts.Stream("a"), Version: 3, Name: "noted",
		Time: time.UnixMilli(1_000_000), Metadata: md,
	}
	p := &program.Program{Name: "p", Kind: kind}
	return program.NewContext(t.Context(), p, nil, ev, program.Delivery{Key: "a", Attempt: 2, Term: 5}), ev
}

func batch(payloads ...event.Payload) store.Batch {
	return store.Batch{Stream: accounts.Stream("b"), Expect: store.Any, Events: payloads}
}

func TestAHandlersContextCarriesItsEvent(t *testing.T) {
	t.Parallel()
	c, ev := setup(t, program.Effect, event.Metadata{})
	ctx, cancel := context.WithCancel(c)
	defer cancel()
	if d, ok := program.DeliveryFrom(ctx); !ok || d.Projection != "p" || d.Key != "a" || d.Attempt != 2 || d.Term != 5 {
		t.Errorf("delivery %+v", d)
	}
	if s := handling.From(ctx); s == nil || s.Projection != "p" || !s.Appends {
		t.Errorf("scope %+v", s)
	}
	md := event.MetadataFrom(ctx)
	if md.Get(event.CausationID) != ev.ID.String() || md.Get(event.CorrelationID) != ev.ID.String() {
		t.Errorf("metadata %v", md)
	}
	if _, ok := program.DeliveryFrom(t.Context()); ok {
		t.Error("a delivery outside of handlers")
	}
}

func TestCorrelationIsHandedOnAndMergesWithWhatIsThere(t *testing.T) {
	t.Parallel()
	ev := event.Event{ID: event.NewID(), Metadata: event.Metadata{}.With(event.CorrelationID, "order-1").With(event.RequestedBy, "ann")}
	outer := event.WithMetadata(t.Context(), event.Metadata{}.With("host", "h1"))
	type other struct{}
	outer = context.WithValue(outer, other{}, "kept")
	ctx := program.NewContext(outer, &program.Program{Name: "p", Kind: program.Effect}, nil, ev, program.Delivery{})
	inner := event.WithMetadata(ctx, event.Metadata{}.With("k", "v"))
	md := event.MetadataFrom(inner)
	for k, want := range map[string]string{event.CorrelationID: "order-1", event.CausationID: ev.ID.String(), "host": "h1", "k": "v", event.RequestedBy: ""} {
		if got := md.Get(k); got != want {
			t.Errorf("%s = %q, want %q", k, got, want)
		}
	}
	if inner.Value(other{}) != "kept" {
		t.Error("a value of the outer context is lost")
	}
}

func TestMetadataThatNobodyAsksForIsNotMade(t *testing.T) { // not parallel: it counts allocations
	c, _ := setup(t, program.Effect, event.Metadata{})
	if n := testing.AllocsPerRun(100, func() { handling.From(c); _, _ = program.DeliveryFrom(c) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestOnlyEffectsAppendAndEmit(t *testing.T) {
	t.Parallel()
	for _, kind := range []program.Kind{program.Model, program.Sink} {
		c, _ := setup(t, kind, event.Metadata{})
		if handling.From(c).Appends {
			t.Errorf("a %s may append", kind)
		}
		if err := program.Emit(c, batch(noted{"x"})); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("emit in a %s: %v", kind, err)
		}
	}
	page := program.PageContext(t.Context(), &program.Program{Name: "rows", Kind: program.Sink})
	if s := handling.From(page); s == nil || s.Projection != "rows" || s.Appends {
		t.Errorf("scope of a page: %+v", s)
	}
	if err := program.Emit(t.Context(), batch(noted{"x"})); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("emit outside: %v", err)
	}
}

func TestEmitsAreCollectedInOrderWithIdsAndMetadata(t *testing.T) {
	t.Parallel()
	c, ev := setup(t, program.Effect, event.Metadata{})
	if err := program.Emit(c, batch(noted{"1"}), batch(noted{"2"}, noted{"3"})); err != nil {
		t.Fatal(err)
	}
	own := batch(noted{"4"})
	own.Metadata = event.Metadata{}.With(event.CorrelationID, "mine")
	if err := program.Emit(c, own); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, b := range c.Emitted() {
		if b.Metadata.Get(event.CausationID) != ev.ID.String() {
			t.Errorf("batch without causation: %v", b.Metadata)
		}
		for _, p := range b.Events {
			d := p.(event.Draft)
			if d.ID.IsZero() {
				t.Error("an event without id")
			}
			text.WriteString(d.Payload.(noted).Text)
		}
	}
	if text.String() != "1234" {
		t.Errorf("emitted %q", text.String())
	}
	if got := c.Emitted()[2].Metadata.Get(event.CorrelationID); got != "mine" {
		t.Errorf("the batch's own metadata does not win: %q", got)
	}
	if own.Events[0] != event.Payload(noted{"4"}) {
		t.Error("the caller's batch was changed")
	}
}

func TestEmitRefusesWhatTheCommitCouldNotWrite(t *testing.T) {
	t.Parallel()
	owner := owners.Stream("o")
	for name, b := range map[string]store.Batch{
		"no stream":        {Events: event.Of(noted{"x"})},
		"no events":        {Stream: accounts.Stream("a")},
		"bad stream":       {Stream: accounts.Stream("\xff"), Events: event.Of(noted{"x"})},
		"other aggregate":  {Stream: owner, Events: event.Of(noted{"x"})},
		"not encodable":    batch(unencodable{make(chan int)}),
		"nil payload":      batch(nil),
		"too many events":  batch(make([]event.Payload, program.MaxEmits+1)...),
		"too many bytes":   batch(noted{strings.Repeat("x", program.MaxEmitBytes)}),
		"bad after a good": {Stream: accounts.Stream("a"), Events: []event.Payload{noted{"x"}, unencodable{make(chan int)}}},
	} {
		if name == "too many events" {
			for i := range b.Events {
				b.Events[i] = noted{"x"}
			}
		}
		c, _ := setup(t, program.Effect, event.Metadata{})
		if err := program.Emit(c, batch(noted{"good"}), b); err == nil {
			t.Errorf("%s was accepted", name)
		}
		if got := c.Emitted(); len(got) != 0 {
			t.Errorf("%s: part of the call was kept", name)
		}
	}
}

func TestTheLimitsOfEmitsHoldAcrossCalls(t *testing.T) {
	t.Parallel()
	c, _ := setup(t, program.Effect, event.Metadata{})
	for i := range program.MaxEmits {
		if err := program.Emit(c, batch(noted{"x"})); err != nil {
			t.Fatal(i, err)
		}
	}
	if err := program.Emit(c, batch(noted{"x"})); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("one too many: %v", err)
	}
}

func TestEmitsFromManyGoroutinesAndAfterTheHandler(t *testing.T) {
	t.Parallel()
	c, _ := setup(t, program.Effect, event.Metadata{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				if err := program.Emit(c, batch(noted{"x"})); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := len(c.Emitted()); got != 80 {
		t.Errorf("%d emits, want 80", got)
	}
	if err := program.Emit(c, batch(noted{"late"})); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a late emit: %v", err)
	}
}

func TestEventIDsRepeatForTheSameWorkOnly(t *testing.T) {
	t.Parallel()
	ev := event.Event{ID: event.NewID(), Position: 7, Time: time.UnixMilli(1_000_000)}
	id := func(name string, ev event.Event, attempt, n int) event.ID {
		p := &program.Program{Name: name, Kind: program.Effect}
		got, ok := program.EventID(program.NewContext(t.Context(), p, nil, ev, program.Delivery{Attempt: attempt, Term: uint64(attempt)}), n)
		if !ok {
			t.Fatal("no id")
		}
		return got
	}
	first := id("p", ev, 1, 0)
	if again := id("p", ev, 2, 0); again != first {
		t.Error("another attempt gives another id")
	}
	if first.Time() != 1_000_000 {
		t.Errorf("time %d", first.Time())
	}
	other, restored := ev, ev
	other.Position++
	restored.ID = event.NewID() // at the same position, where a restored backup went another way
	rebuilt, ok := program.EventID(program.NewContext(t.Context(), &program.Program{Name: "p", Kind: program.Effect}, nil, ev, program.Delivery{Generation: 1}), 0)
	if !ok {
		t.Fatal("no id")
	}
	for name, got := range map[string]event.ID{
		"n": id("p", ev, 1, 1), "projection": id("q", ev, 1, 0), "position": id("p", other, 1, 0),
		"event": id("p", restored, 1, 0), "generation": rebuilt,
	} {
		if got == first {
			t.Errorf("another %s gives the same id", name)
		}
	}
	if _, ok := program.EventID(t.Context(), 0); ok {
		t.Error("an id outside of handlers")
	}
}
