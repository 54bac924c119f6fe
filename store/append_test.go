package store_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

func TestAppendWritesEventsInOrder(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	res, err := st.Append(t.Context(),
		store.Batch{Stream: accounts.Stream("ann"), Events: event.Of(opened{"o"}, deposited{1}), RoutingKey: "eu"},
		store.Batch{Stream: orders.Stream("7"), Events: event.Of(placed{"pen"})},
	)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "First", res.First, 1)
	wantEqual(t, "Position", res.Position, 3)
	wantEqual(t, "Version", res.Version, 2)
	wantEqual(t, "Replayed", res.Replayed, false)
	events := collect(t, st.Events(t.Context(), store.Query{}))
	wantList(t, "positions", positions(events), []event.Position{1, 2, 3})
	e := events[1]
	wantEqual(t, "Stream", e.Stream, accounts.Stream("ann"))
	wantEqual(t, "Version", e.Version, 2)
	wantEqual(t, "Name", e.Name, "deposited")
	wantEqual(t, "RoutingKey", e.RoutingKey, "eu")
	wantEqual(t, "SchemaVersion", e.SchemaVersion, 1)
	p, err := event.Decode[deposited](e)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "Cents", p.Cents, 1)
}

func TestAppendRefusesBadInputBeforeWriting(t *testing.T) {
	t.Parallel()
	ann := accounts.Stream("ann")
	id := event.NewID()
	twice := event.Draft{Payload: deposited{1}, ID: id}
	one := event.Of(deposited{1})
	for name, c := range map[string]struct {
		field   string
		batches []store.Batch
	}{
		"no batches":         {"Batch", nil},
		"no events":          {"Batch[0].Events", []store.Batch{{Stream: ann}}},
		"no aggregate":       {"Batch[0].Aggregate", []store.Batch{{Stream: event.Aggregate("").Stream("a"), Events: one}}},
		"no stream id":       {"Batch[0].Stream.ID", []store.Batch{{Stream: accounts.Stream(""), Events: one}}},
		"long stream id":     {"Batch[0].Stream.ID", []store.Batch{{Stream: accounts.Stream(strings.Repeat("x", 256)), Events: one}}},
		"stream id no text":  {"Batch[0].Stream.ID", []store.Batch{{Stream: accounts.Stream("\xff"), Events: one}}},
		"control character":  {"Batch[0].Aggregate", []store.Batch{{Stream: event.Aggregate("a\nb").Stream("a"), Events: one}}},
		"bad expectation":    {"Batch[0].Expect", []store.Batch{{Stream: ann, Expect: -3, Events: one}}},
		"long routing key":   {"Batch[0].RoutingKey", []store.Batch{{Stream: ann, Events: one, RoutingKey: strings.Repeat("x", 256)}}},
		"routing no text":    {"Batch[0].RoutingKey", []store.Batch{{Stream: ann, Events: one, RoutingKey: "\xff"}}},
		"nil payload":        {"Batch[0].Events[1].Payload", []store.Batch{{Stream: ann, Events: []event.Payload{deposited{1}, nil}}}},
		"mixed aggregates":   {"Batch[0].Events[1].Aggregate", []store.Batch{{Stream: ann, Events: event.Of(deposited{1}, placed{"pen"})}}},
		"same stream twice":  {"Batch[1].Stream", []store.Batch{{Stream: ann, Events: one}, {Stream: ann, Events: event.Of(deposited{2})}}},
		"same stream later":  {"Batch[2].Stream", []store.Batch{{Stream: ann, Events: one}, {Stream: accounts.Stream("bob"), Events: event.Of(deposited{2})}, {Stream: ann, Events: event.Of(deposited{3})}}},
		"same id later":      {"Batch.Events", []store.Batch{{Stream: ann, Events: []event.Payload{twice, deposited{2}, twice}}}},
		"same id twice":      {"Batch.Events", []store.Batch{{Stream: ann, Events: []event.Payload{twice, twice}}}},
		"id in two batches":  {"Batch.Events", []store.Batch{{Stream: ann, Events: []event.Payload{twice}}, {Stream: accounts.Stream("bob"), Events: []event.Payload{twice}}}},
		"once without id":    {"Batch[0].Events[0].ID", []store.Batch{{Stream: ann, Once: true, Events: []event.Payload{deposited{1}}}}},
		"once without id 2":  {"Batch[0].Events[0].ID", []store.Batch{{Stream: ann, Once: true, Events: []event.Payload{event.Draft{Payload: deposited{1}}}}}},
		"bad metadata":       {"Batch[0].Metadata", []store.Batch{{Stream: ann, Events: one, Metadata: event.NewMetadata(map[string]string{"\x01": "v"})}}},
		"bad draft metadata": {"Batch[0].Events[0].Metadata", []store.Batch{{Stream: ann, Events: []event.Payload{event.Draft{Payload: deposited{1}, Metadata: event.NewMetadata(map[string]string{"k": "\xff"})}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, _ := setup(t, memdriver.Options{})
			_, err := st.Append(t.Context(), c.batches...)
			wantInvalid(t, err, c.field)
			head, err := st.Head(t.Context())
			if err != nil || head.Position != 0 {
				t.Fatal("something was written", head, err)
			}
		})
	}
}

func TestAppendOfManyFindsWhatComesTwice(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	var batches []store.Batch
	for i := range 100 {
		batches = append(batches, store.Batch{Stream: accounts.Stream(strconv.Itoa(i)), Events: event.Of(deposited{})})
	}
	same := slices.Clone(batches)
	same[99].Stream = same[40].Stream
	_, err := st.Append(t.Context(), same...)
	wantInvalid(t, err, "Batch[99].Stream")
	same = slices.Clone(batches)
	same[99].Events = same[40].Events
	_, err = st.Append(t.Context(), same...)
	wantInvalid(t, err, "Batch.Events")
	res, err := st.Append(t.Context(), batches...)
	if err != nil || res.Position != 100 {
		t.Fatal(res, err)
	}
}

func TestOnceTakesPointersToDrafts(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	d := &event.Draft{Payload: event.Draft{Payload: deposited{}, ID: event.NewID()}}
	for range 2 {
		res, err := st.Append(t.Context(), store.Batch{Stream: accounts.Stream("a"), Expect: store.Any, Once: true, Events: []event.Payload{d}})
		if err != nil || res.Position != 1 {
			t.Fatal(res, err)
		}
	}
}

func TestAppendKeepsLimits(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{}, func(o *store.Options) {
		o.Limits = store.Limits{EventBytes: 64, AppendEvents: 3, AppendBytes: 130}
	})
	sized := func(n int) event.Payload { // {"Owner":"…"} is 12 bytes around the text
		return event.Draft{Payload: opened{strings.Repeat("x", n-len(`{"Owner":""}`))}, ID: event.NewID()}
	}
	try := func(events ...event.Payload) error {
		_, err := st.Append(t.Context(), store.Batch{Stream: accounts.Stream("a"), Expect: store.Any, Events: events})
		return err
	}
	if err := try(sized(64), sized(64)); err != nil {
		t.Fatal("at the limit:", err)
	}
	wantInvalid(t, try(sized(65)), "Batch[0].Events[0].Data")
	wantInvalid(t, try(sized(64), sized(64), sized(12)), "Batch")
	wantInvalid(t, try(sized(12), sized(12), sized(12), sized(12)), "Batch")
	// metadata counts
	_, err := st.Append(t.Context(), store.Batch{
		Stream: accounts.Stream("b"), Events: event.Of(sized(60)),
		Metadata: event.NewMetadata(map[string]string{"k": "vvvvv"}),
	})
	wantInvalid(t, err, "Batch[0].Events[0].Data")
}

func TestAppendReportsAnEncodingError(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	_, err := st.Append(t.Context(), store.Batch{Stream: accounts.Stream("a"), Events: event.Of(deposited{1}, unencodable{})})
	if err == nil || errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "Batch[0].Events[1]") {
		t.Fatalf("got %v", err)
	}
}

func TestAppendMergesMetadata(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	md := func(pairs ...string) event.Metadata {
		var m event.Metadata
		for i := 0; i < len(pairs); i += 2 {
			m = m.With(pairs[i], pairs[i+1])
		}
		return m
	}
	ctx := event.WithMetadata(t.Context(), md("a", "ctx", "b", "ctx", "c", "ctx"))
	_, err := st.Append(ctx, store.Batch{
		Stream: accounts.Stream("a"), Metadata: md("b", "batch", "c", "batch"),
		Events: event.Of(event.Draft{Payload: deposited{1}, Metadata: md("c", "draft")}, deposited{2}),
	})
	if err != nil {
		t.Fatal(err)
	}
	events := collect(t, st.Events(t.Context(), store.Query{}))
	for key, want := range map[string]string{"a": "ctx", "b": "batch", "c": "draft"} {
		wantEqual(t, key, events[0].Metadata.Get(key), want)
	}
	wantEqual(t, "c of the second", events[1].Metadata.Get("c"), "batch")
}

func TestConflictSaysWhatTheStreamHas(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	deposit(t, st, "ann", 3)
	ok := store.Batch{Stream: accounts.Stream("bob"), Events: event.Of(opened{})}
	_, err := st.Append(t.Context(), ok, store.Batch{Stream: accounts.Stream("ann"), Expect: store.Exact(2), Events: event.Of(deposited{})})
	wantError(t, err, store.ErrConflict)
	conflict, _ := errors.AsType[*store.ConflictError](err)
	wantEqual(t, "Actual", conflict.Actual, 3)
	wantEqual(t, "Batch", conflict.Batch, 1)
	wantEqual(t, "Expect", conflict.Expect, store.Exact(2))
	info, err := st.Stream(t.Context(), accounts.Stream("bob"))
	if err != nil || info.Version != 0 {
		t.Fatal("the other batch was written", info, err)
	}
	for _, e := range []store.Expect{store.Exists, store.Exact(math.MaxUint64), store.Exact(1)} {
		_, err := st.Append(t.Context(), store.Batch{Stream: accounts.Stream("new"), Expect: e, Events: event.Of(opened{})})
		wantError(t, err, store.ErrConflict)
	}
}

func TestCancelledContextComesFirst(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := st.Append(ctx)
	wantError(t, err, context.Canceled)
	_, err = st.Read(ctx, store.Query{Limit: -1})
	wantError(t, err, context.Canceled)
	wantError(t, failure(st.Events(ctx, store.Query{})), context.Canceled)
}

func TestDriverErrorsAreWrapped(t *testing.T) {
	t.Parallel()
	odd := errors.New("odd")
	for _, c := range []struct{ cause, want error }{
		{odd, odd}, {store.ErrDiskFull, store.ErrDiskFull}, {&store.FailedError{Cause: odd}, store.ErrFailed},
	} {
		st, _ := setup(t, memdriver.Options{Faults: memdriver.Faults{BeforeCommit: func(*store.Txn) error { return c.cause }}})
		_, err := st.Append(t.Context(), store.Batch{Stream: accounts.Stream("a"), Events: event.Of(opened{})})
		wantError(t, err, c.want)
		if !strings.HasPrefix(err.Error(), "store: ") {
			t.Errorf("error without the name of the package: %v", err)
		}
	}
}
