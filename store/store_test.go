package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

func TestNewFillsDefaults(t *testing.T) {
	t.Parallel()
	st, err := store.New(memdriver.New(memdriver.Options{}), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	o := st.Options()
	if o.Name != "riffle" || o.Schema == nil || o.Logger == nil || o.Limits != store.PortableLimits() {
		t.Fatalf("%+v", o)
	}
	wantEqual(t, "Limits", st.Limits(), store.PortableLimits())
	wantEqual(t, "Traits", st.Traits().Dense, true)
	wantEqual(t, "Primary", st.Primary(), st)
	wantEqual(t, "Err", st.Err(), nil)
	bare := open(t, plain{memdriver.New(memdriver.Options{}), store.Traits{}})
	wantEqual(t, "Limits", bare.Limits(), store.PortableLimits())
	if bare.Failed() != nil {
		t.Fatal("a driver that cannot fail has a channel")
	}
}

func TestNewReportsAllFaults(t *testing.T) {
	t.Parallel()
	_, err := store.New(nil, nil)
	wantInvalid(t, err, "Driver")
	a, b := accounts.Event("a"), accounts.Event("b")
	_, err = store.New(memdriver.New(memdriver.Options{}), &store.Options{
		Name: "a\n", Schema: event.NewSchema(event.Alias(a, b), event.Alias(b, a)),
		Limits: store.Limits{EventBytes: -1, KeyBytes: 5000},
	})
	if err == nil {
		t.Fatal("no error")
	}
	var fields []string
	for _, fault := range err.(interface{ Unwrap() []error }).Unwrap() {
		for _, e := range flatten(fault) {
			if invalid, ok := errors.AsType[*store.InvalidError](e); ok {
				fields = append(fields, invalid.Field)
			}
		}
	}
	slices.Sort(fields)
	wantList(t, "faults", fields, []string{"Options.Limits.EventBytes", "Options.Limits.KeyBytes", "Options.Name"})
	if !errors.Is(err, store.ErrInvalid) {
		t.Fatal(err)
	}
}

func flatten(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

func TestFailedStoreSaysWhy(t *testing.T) {
	t.Parallel()
	st, d := setup(t, memdriver.Options{})
	deposit(t, st, "a", 1)
	select {
	case <-st.Failed():
		t.Fatal("it did not fail yet")
	default:
	}
	odd := errors.New("odd")
	d.Fail(odd)
	<-st.Failed()
	wantError(t, st.Err(), store.ErrFailed)
	wantError(t, st.Err(), odd)
	_, err := st.Append(t.Context(), store.Batch{Stream: accounts.Stream("b"), Events: event.Of(opened{})})
	wantError(t, err, store.ErrFailed)
	wantEqual(t, "events", len(collect(t, st.Events(t.Context(), store.Query{}))), 1) // reads go on
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	wantError(t, st.Err(), store.ErrFailed)
}

func TestReplicaServesReadsOnly(t *testing.T) {
	t.Parallel()
	primary := memdriver.New(memdriver.Options{})
	old := open(t, primary)
	deposit(t, old, "a", 2)
	replica := primary.Crash() // the same history, and from here on behind
	st, err := store.New(primary, &store.Options{Replica: replica})
	if err != nil {
		t.Fatal(err)
	}
	deposit(t, st, "b", 1)
	if _, err := st.Append(t.Context(), store.Batch{Stream: orders.Stream("1"), Events: event.Of(placed{})}); err != nil {
		t.Fatal(err)
	}
	count := func(s *store.Store) (n [4]int) {
		t.Helper()
		page, err := s.Read(t.Context(), store.Query{To: store.AtHead()})
		if err != nil {
			t.Fatal(err)
		}
		types, err := s.Types(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return [4]int{
			len(page.Items), len(collect(t, s.Events(t.Context(), store.Query{}))), len(types),
			len(collect(t, s.Streams(t.Context(), accounts, store.Range{}))),
		}
	}
	wantEqual(t, "from the replica", count(st), [4]int{2, 2, 1, 1})
	wantEqual(t, "from the primary", count(st.Primary()), [4]int{4, 4, 2, 2})
	wantEqual(t, "merged", len(collect(t, store.Merge(st).Events(t.Context(), store.Query{}))), 2)
	// What decides asks the primary.
	head, err := st.Head(t.Context())
	if err != nil || head.Position != 4 {
		t.Fatal(head, err)
	}
	from, err := st.ResolveFrom(t.Context(), store.AtHead())
	if err != nil || from != 5 {
		t.Fatal(from, err)
	}
	if has, err := st.Has(t.Context(), store.Match{Aggregate: orders}); err != nil || !has {
		t.Fatal(has, err)
	}
	if _, err := st.Event(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	if info, err := st.Stream(t.Context(), accounts.Stream("b")); err != nil || info.Version != 1 {
		t.Fatal(info, err)
	}
	if err := st.Primary().Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := replica.Head(t.Context()); !errors.Is(err, store.ErrClosed) {
		t.Fatal("the replica is still open:", err)
	}
	_, err = st.Read(t.Context(), store.Query{})
	wantError(t, err, store.ErrClosed)
}

func TestReplicaWithoutACatalogLeavesListingsToThePrimary(t *testing.T) {
	t.Parallel()
	st := open(t, memdriver.New(memdriver.Options{}), func(o *store.Options) {
		o.Replica = plain{memdriver.New(memdriver.Options{}), store.Traits{}}
	})
	deposit(t, st, "a", 1)
	wantEqual(t, "streams", len(collect(t, st.Streams(t.Context(), accounts, store.Range{}))), 1)
}

// wobbling is a replica of several servers, of which one is behind.
type wobbling struct {
	store.Driver
	behind *memdriver.Driver
	late   bool
}

func (w *wobbling) Read(ctx context.Context, s store.Scan) (store.ScanResult, error) {
	if w.late {
		return w.behind.Read(ctx, s)
	}
	return w.Driver.Read(ctx, s)
}

func TestReplicaThatFallsBackSkipsNothing(t *testing.T) {
	t.Parallel()
	primary := memdriver.New(memdriver.Options{})
	st := open(t, primary)
	deposit(t, st, "a", 4)
	w := &wobbling{behind: primary.Crash()}
	deposit(t, st, "a", 6)
	w.Driver = primary.Crash()
	reads := open(t, primary.Crash(), func(o *store.Options) { o.Replica = w })
	q := store.Query{Limit: 5}
	var got []event.Position
	for i := 0; len(got) < 10 && i < 20; i++ {
		w.late = i%2 == 1
		page, err := reads.Read(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, positions(page.Items)...)
		if page.Scanned > 0 && len(got) > 0 && page.Scanned < got[len(got)-1] {
			t.Fatal("Scanned is behind what was read")
		}
		q.After = page.End
	}
	wantList(t, "positions", got, []event.Position{1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
}

// endless says that there is more and looks at nothing.
type endless struct{ store.Driver }

func (endless) Read(context.Context, store.Scan) (store.ScanResult, error) {
	return store.ScanResult{More: true, Head: 3}, nil
}

func TestDriverThatMakesNoProgressIsAnError(t *testing.T) {
	t.Parallel()
	d := memdriver.New(memdriver.Options{})
	deposit(t, open(t, d), "a", 3)
	st := open(t, endless{d.Crash()})
	wantError(t, failure(st.Events(t.Context(), store.Query{})), store.ErrCorrupt)
	_, err := st.Has(t.Context(), store.Match{Aggregate: orders})
	wantError(t, err, store.ErrCorrupt)
	_, err = st.ResolveFrom(t.Context(), store.AtTime(time.Now()))
	wantError(t, err, store.ErrCorrupt)
}

func TestCatalogLists(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	var want []string
	for i := range 700 { // several pages
		id := fmt.Sprintf("s%04d", i)
		deposit(t, st, id, 1)
		want = append(want, id)
	}
	list := func(r store.Range) (ids []string) {
		t.Helper()
		for _, s := range collect(t, st.Streams(t.Context(), accounts, r)) {
			wantEqual(t, "Aggregate", s.Aggregate, accounts)
			ids = append(ids, s.ID)
		}
		return ids
	}
	wantList(t, "all", list(store.Range{}), want)
	wantList(t, "limit", list(store.Range{Limit: 600}), want[:600])
	wantList(t, "page", list(store.Range{Limit: 500}), want[:500])
	wantList(t, "prefix after", list(store.Range{Prefix: "s01", After: "s0150", Limit: 3}), want[151:154])
	for range st.Streams(t.Context(), accounts, store.Range{}) {
		break
	}
	types, err := st.Types(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, "types", types, []event.Type{deposited{}.EventType()})
	wantInvalid(t, failure(st.Streams(t.Context(), "", store.Range{})), "Aggregate")
	wantInvalid(t, failure(st.Streams(t.Context(), accounts, store.Range{Limit: -1})), "Range.Limit")
	_, err = st.Stream(t.Context(), accounts.Stream(""))
	wantInvalid(t, err, "Stream.ID")
	info, err := st.Stream(t.Context(), accounts.Stream("s0001"))
	if err != nil || info.Version != 1 || info.First != 2 || info.Last != 2 {
		t.Fatal(info, err)
	}
}

func TestWhatADriverCannotDoIsUnsupported(t *testing.T) {
	t.Parallel()
	st := open(t, plain{memdriver.New(memdriver.Options{}), store.Traits{}})
	_, err := st.Types(t.Context())
	wantError(t, err, store.ErrUnsupported)
	wantError(t, failure(st.Streams(t.Context(), accounts, store.Range{})), store.ErrUnsupported)
	wantError(t, st.Sync(t.Context()), store.ErrUnsupported)
	wantError(t, st.Backup(t.Context(), "x"), store.ErrUnsupported)
	wantError(t, st.Verify(t.Context(), nil), store.ErrUnsupported)
	synced, _ := setup(t, memdriver.Options{})
	if err := synced.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// maintained notes what it is asked for.
type maintained struct {
	store.Driver
	dir string
}

func (m *maintained) Backup(_ context.Context, dir string) error { m.dir = dir; return nil }

func (m *maintained) Verify(ctx context.Context, progress func(done, total uint64)) error {
	progress(1, 2)
	<-ctx.Done()
	return ctx.Err()
}

func TestMaintenanceIsPassedOnAndEndsWithClose(t *testing.T) {
	t.Parallel()
	m := &maintained{Driver: memdriver.New(memdriver.Options{})}
	st := open(t, m)
	if err := st.Backup(t.Context(), "x"); err != nil || m.dir != "x" {
		t.Fatal(m.dir, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	wantError(t, st.Verify(ctx, func(uint64, uint64) { cancel() }), context.Canceled)
	begun := make(chan struct{})
	verified := make(chan error)
	go func() { verified <- st.Verify(t.Context(), func(uint64, uint64) { close(begun) }) }()
	<-begun
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	wantError(t, <-verified, store.ErrClosed)
}

func TestAppendIsTraced(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewSpanRecorder()
	reader := metric.NewManualReader()
	st, _ := setup(t, memdriver.Options{}, func(o *store.Options) {
		o.Name = "ledger"
		o.TracerProvider = trace.NewTracerProvider(trace.WithSpanProcessor(spans))
		o.MeterProvider = metric.NewMeterProvider(metric.WithReader(reader))
	})
	stale := event.NewMetadata(map[string]string{event.Traceparent: "stale", "k": "v"})
	_, err := st.Append(t.Context(), store.Batch{
		Stream: accounts.Stream("a"), Events: event.Of(deposited{1}, event.Draft{Payload: deposited{2}, Metadata: stale}),
	})
	if err != nil {
		t.Fatal(err)
	}
	l := claim(t, st.Subscriber(balances))
	_, err = l.Commit(t.Context(), store.Commit{To: 1, Emit: []store.Batch{{Stream: orders.Stream("1"), Events: event.Of(placed{})}}})
	if err != nil {
		t.Fatal(err)
	}
	ended := spans.Ended()
	wantEqual(t, "spans", len(ended), 2)
	wantEqual(t, "span", ended[0].Name(), "append ledger")
	for i, e := range collect(t, st.Events(t.Context(), store.Query{})) {
		sc := ended[i/2].SpanContext()
		want := fmt.Sprintf("00-%s-%s-01", sc.TraceID(), sc.SpanID())
		wantEqual(t, "traceparent", e.Metadata.Get(event.Traceparent), want)
	}
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	position := int64(-1)
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			if g, ok := m.Data.(metricdata.Gauge[int64]); ok && m.Name == "riffle.store.position" {
				position = g.DataPoints[0].Value
			}
		}
	}
	wantEqual(t, "riffle.store.position", position, 3)
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if err := reader.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
}
