package telemetry_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffle-go/riffle/internal/telemetry"
)

type typedError struct{ name string }

func (e *typedError) Error() string     { return "account 4711 is at version 9" }
func (e *typedError) ErrorType() string { return e.name }

func TestAppendSpanIsAProducerUnderTheCallersSpan(t *testing.T) {
	t.Parallel()
	r := setup(t)
	parent, stop := r.tracing.Tracer("caller").Start(t.Context(), "request")
	ctx, a := r.store.StartAppend(parent, "bank/account", 2, 3)
	inner := trace.SpanContextFromContext(ctx)
	a.End(nil)

	span := r.ended(t)
	stop.End()
	equal(t, "name", span.Name(), "append orders")
	equal(t, "kind", span.SpanKind(), trace.SpanKindProducer)
	equal(t, "parent", span.Parent().SpanID(), trace.SpanContextFromContext(parent).SpanID())
	equal(t, "span of the returned context", inner.SpanID(), span.SpanContext().SpanID())
	equal(t, "status", span.Status().Code, codes.Unset)
	equalSlices(t, "attributes", attributes(span.Attributes()), []string{
		"messaging.batch.message_count=3",
		"messaging.destination.name=orders",
		"messaging.operation.name=append",
		"messaging.operation.type=send",
		"messaging.system=riffle",
		"riffle.append.aggregate=bank/account",
		"riffle.append.streams=2",
	})
}

func TestFailedAppendSetsStatusAndTypeWithoutItsText(t *testing.T) {
	t.Parallel()
	r := setup(t)
	_, a := r.store.StartAppend(t.Context(), "bank/account", 1, 1)
	a.End(&typedError{"conflict"})

	span := r.ended(t)
	equal(t, "status", span.Status(), sdktrace.Status{Code: codes.Error, Description: "conflict"})
	equal(t, "number of span events", len(span.Events()), 0)
	if got := fmt.Sprint(attributes(span.Attributes())); !strings.Contains(got, "error.type=conflict") || strings.Contains(got, "4711") {
		t.Errorf("attributes are %s", got)
	}
}

func TestErrorTypeIsANameOrOther(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		err  error
		want string
	}{
		"no type":         {errors.New("account 4711"), "_OTHER"},
		"typed":           {&typedError{"id_reused"}, "id_reused"},
		"wrapped":         {fmt.Errorf("append: %w", &typedError{"closed"}), "closed"},
		"joined":          {errors.Join(errors.New("first"), &typedError{"corrupt"}), "corrupt"},
		"empty":           {&typedError{""}, "_OTHER"},
		"a text":          {&typedError{"account 4711 is closed"}, "_OTHER"},
		"a long one":      {&typedError{strings.Repeat("x", 65)}, "_OTHER"},
		"the longest":     {&typedError{strings.Repeat("x", 64)}, strings.Repeat("x", 64)},
		"a Go type":       {&typedError{"*net.OpError"}, "*net.OpError"},
		"not UTF-8":       {&typedError{"\xff"}, "_OTHER"},
		"with line feeds": {&typedError{"a\nb"}, "_OTHER"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := setup(t)
			_, a := r.store.StartAppend(t.Context(), "bank/account", 1, 5)
			a.End(c.err)
			m := r.collect(t)
			equal(t, "events sent", m["messaging.client.sent.messages"].find(t, "error.type="+c.want).value, 5)
			equal(t, "operations", m["messaging.client.operation.duration"].find(t, "error.type="+c.want).count, 1)
		})
	}
}

func TestAppendsAreTimedAndCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t)
		for range 3 {
			_, a := r.store.StartAppend(t.Context(), "bank/account", 1, 2)
			time.Sleep(1500 * time.Microsecond)
			a.End(nil)
		}
		m := r.collect(t)
		duration := m["messaging.client.operation.duration"].find(t)
		equal(t, "appends", duration.count, 3)
		equal(t, "time of all", time.Duration(duration.value*float64(time.Second)).Round(time.Microsecond), 4500*time.Microsecond)
		equalSlices(t, "attributes", attributes(duration.attrs.ToSlice()), []string{
			"messaging.destination.name=orders",
			"messaging.operation.name=append",
			"messaging.operation.type=send",
			"messaging.system=riffle",
		})
		equal(t, "events", m["messaging.client.sent.messages"].find(t).value, 6)
	})
}

func TestOnlyConflictsCountAsConflicts(t *testing.T) {
	t.Parallel()
	r := setup(t)
	for _, err := range []error{nil, errors.New("disk"), &typedError{"id_reused"}, &typedError{"conflict"}, fmt.Errorf("again: %w", &typedError{"conflict"})} {
		_, a := r.store.StartAppend(t.Context(), "bank/account", 1, 10)
		a.End(err)
	}
	equal(t, "conflicts", r.collect(t)["riffle.append.conflicts"].find(t).value, 2)
}

func TestTraceparentNamesTheAppendsSpanAndNoBaggage(t *testing.T) {
	t.Parallel()
	member, err := baggage.NewMember("tenant", "secret")
	if err != nil {
		t.Fatal(err)
	}
	bag, err := baggage.New(member)
	if err != nil {
		t.Fatal(err)
	}
	for flags, sampler := range map[string]sdktrace.Sampler{"01": sdktrace.AlwaysSample(), "00": sdktrace.NeverSample()} {
		r := setup(t, sdktrace.WithSampler(sampler))
		ctx, a := r.store.StartAppend(baggage.ContextWithBaggage(t.Context(), bag), "bank/account", 1, 1)
		sc := trace.SpanContextFromContext(ctx)
		got := a.Traceparent()
		a.End(nil)
		// The low bit says "sampled"; an SDK may set the second one, "random", too.
		prefix := fmt.Sprintf("00-%s-%s-", sc.TraceID(), sc.SpanID())
		if !strings.HasPrefix(got, prefix) || len(got) != 55 {
			t.Fatalf("traceparent is %q, want %q and two digits", got, prefix)
		}
		equal(t, "sampled", (got[54]-'0')&1, flags[1]-'0')
	}
}

func TestTraceparentWithoutATracer(t *testing.T) {
	t.Parallel()
	s := silentStore(t)
	ctx, a := s.StartAppend(t.Context(), "bank/account", 1, 1)
	equal(t, "traceparent without a caller's span", a.Traceparent(), "")
	equal(t, "context", ctx, t.Context())
	a.End(errors.New("no span to fail"))

	caller := trace.ContextWithRemoteSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled,
	}))
	_, a = s.StartAppend(caller, "bank/account", 1, 1)
	equal(t, "traceparent with a caller's span", a.Traceparent(), "00-01000000000000000000000000000000-0200000000000000-01")
	a.End(nil)
}

func TestAppendWithoutATracerLeavesTheCallersSpanOpen(t *testing.T) {
	t.Parallel()
	r := setup(t)
	ctx, caller := r.tracing.Tracer("caller").Start(t.Context(), "request")
	_, a := silentStore(t).StartAppend(ctx, "bank/account", 1, 1)
	a.End(&typedError{"conflict"})
	if !caller.IsRecording() {
		t.Error("the append ended its caller's span")
	}
	caller.End()
	equal(t, "status of the caller's span", r.ended(t).Status().Code, codes.Unset)
}

func TestGroupsAndSyncsAreMeasured(t *testing.T) {
	t.Parallel()
	r := setup(t)
	r.store.Sync(2 * time.Millisecond)
	r.store.Group(8, 2048)
	r.store.Group(2, 1024)
	m := r.collect(t)
	syncs := m["riffle.store.sync.duration"].find(t, "messaging.destination.name=orders")
	equal(t, "syncs", syncs.count, 1)
	equal(t, "time of syncs", syncs.value, 0.002)
	equal(t, "events of groups", m["riffle.store.group.events"].find(t).value, 10)
	equal(t, "bytes of groups", m["riffle.store.group.size"].find(t).value, 3072)
	equal(t, "groups", m["riffle.store.group.size"].find(t).count, 2)
}

func TestAppendsAndCollectionsRunAtTheSameTime(t *testing.T) {
	t.Parallel()
	r := setup(t)
	unregister, err := r.store.ObserveHead(func() int64 { return 1 })
	if err != nil {
		t.Fatal(err)
	}
	const writers, appends = 8, 200
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for i := range appends {
				_, a := r.store.StartAppend(t.Context(), "bank/account", 1, 1)
				if i%10 == 0 {
					a.End(&typedError{"conflict"})
				} else {
					a.End(nil)
				}
			}
		})
	}
	for range 20 {
		r.collect(t)
	}
	unregister()
	wg.Wait()
	m := r.collect(t)
	equal(t, "conflicts", m["riffle.append.conflicts"].find(t).value, writers*appends/10)
	equal(t, "events with an error", m["messaging.client.sent.messages"].find(t, "error.type=conflict").value, writers*appends/10)
	equal(t, "spans", len(r.spans.Ended()), writers*appends)
}

func TestConfigWithoutANameIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := telemetry.NewStore(telemetry.StoreConfig{}); err == nil {
		t.Error("NewStore took no name")
	}
	if _, err := telemetry.NewRuntime(telemetry.RuntimeConfig{}); err == nil {
		t.Error("NewRuntime took no store name")
	}
}
