package telemetry_test

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/codes"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"pgregory.net/rapid"

	"github.com/riffle-go/riffle/internal/telemetry"
)

func traceparent(traceID, spanID byte) string {
	return fmt.Sprintf("00-%s-%s-01", trace.TraceID{traceID}, trace.SpanID{spanID})
}

func TestPageSpanIsAConsumerInATraceOfItsOwn(t *testing.T) {
	t.Parallel()
	r := setup(t)
	s := r.runtime.Subscription(telemetry.SubscriptionConfig{Name: "balances"})
	caller, stop := r.tracing.Tracer("caller").Start(t.Context(), "main")
	ctx, p := s.StartPage(caller, telemetry.Page{
		Events:       4,
		Traceparents: slices.Values([]string{traceparent(1, 1), traceparent(1, 1), traceparent(2, 2)}),
	})
	inner := trace.SpanContextFromContext(ctx)
	p.End(4, nil)

	span := r.ended(t)
	stop.End()
	equal(t, "name", span.Name(), "process balances")
	equal(t, "kind", span.SpanKind(), trace.SpanKindConsumer)
	equal(t, "has a parent", span.Parent().IsValid(), false)
	equal(t, "is in the caller's trace", span.SpanContext().TraceID() == trace.SpanContextFromContext(caller).TraceID(), false)
	equal(t, "span of the handlers' context", inner.SpanID(), span.SpanContext().SpanID())
	equal(t, "status", span.Status().Code, codes.Unset)
	equalSlices(t, "links", links(span), []string{traceparent(1, 1), traceparent(2, 2)})
	equalSlices(t, "attributes", attributes(span.Attributes()), []string{
		"messaging.batch.message_count=4",
		"messaging.destination.name=orders",
		"messaging.destination.subscription.name=balances",
		"messaging.operation.name=process",
		"messaging.operation.type=process",
		"messaging.system=riffle",
		"riffle.subscription.rebuild=false",
	})
}

func links(s sdktrace.ReadOnlySpan) []string {
	var out []string
	for _, l := range s.Links() {
		out = append(out, fmt.Sprintf("00-%s-%s-%s", l.SpanContext.TraceID(), l.SpanContext.SpanID(), l.SpanContext.TraceFlags()))
	}
	return out
}

func TestLinksAreTheFirstDistinctValidTraceparents(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		field := rapid.OneOf(
			rapid.Map(rapid.IntRange(1, 200), func(n int) string { return traceparent(1, byte(n)) }),
			rapid.Map(rapid.IntRange(1, 3), func(n int) string { return traceparent(byte(n), 1) }),
			rapid.SampledFrom([]string{"", "garbage", "00-0-0-01", traceparent(0, 1), traceparent(1, 0), "ff" + traceparent(1, 1)[2:]}),
		)
		fields := rapid.SliceOfN(field, 0, 400).Draw(rt, "traceparents")
		var want []string
		for _, f := range fields {
			valid := len(f) == 55 && f[:2] == "00" && f != traceparent(0, 1) && f != traceparent(1, 0)
			if valid && !slices.Contains(want, f) && len(want) < 128 {
				want = append(want, f)
			}
		}
		r := setup(t)
		_, p := r.runtime.Subscription(telemetry.SubscriptionConfig{Name: "balances"}).StartPage(t.Context(),
			telemetry.Page{Events: len(fields), Traceparents: slices.Values(fields)})
		p.End(len(fields), nil)
		if got := links(r.ended(t)); !slices.Equal(got, want) {
			rt.Fatalf("links:\n got %v\nwant %v", got, want)
		}
	})
}

func TestLinksStopAt128(t *testing.T) {
	t.Parallel()
	for appends, want := range map[int]int{127: 127, 128: 128, 129: 128, 200: 128} {
		r := setup(t)
		_, p := r.runtime.Subscription(telemetry.SubscriptionConfig{Name: "balances"}).StartPage(t.Context(),
			telemetry.Page{Events: appends, Traceparents: func(yield func(string) bool) {
				for n := range appends {
					if !yield(traceparent(1, byte(n+1))) {
						return
					}
				}
			}})
		p.End(appends, nil)
		span := r.ended(t)
		equal(t, fmt.Sprintf("links to %d appends", appends), len(span.Links()), want)
		equal(t, "links dropped by the SDK", span.DroppedLinks(), 0)
	}
}

func TestTraceparentsOfOneAppendAreOneLinkWhateverTheirFlags(t *testing.T) {
	t.Parallel()
	r := setup(t)
	sampled := traceparent(1, 1)
	_, p := r.runtime.Subscription(telemetry.SubscriptionConfig{Name: "balances"}).StartPage(t.Context(),
		telemetry.Page{Events: 2, Traceparents: slices.Values([]string{sampled, sampled[:53] + "00"})})
	p.End(2, nil)
	equal(t, "number of links", len(r.ended(t).Links()), 1)
}

func TestTraceparentsAreReadOnlyForRecordedPagesOutsideRebuilds(t *testing.T) {
	t.Parallel()
	reads := 0
	var counted iter.Seq[string] = func(yield func(string) bool) {
		reads++
		yield(traceparent(1, 1))
	}
	page := telemetry.Page{Events: 1, Traceparents: counted}

	recorded := setup(t)
	_, p := recorded.runtime.Subscription(telemetry.SubscriptionConfig{Name: "b"}).StartPage(t.Context(), page)
	p.End(1, nil)
	equal(t, "reads of a recorded page", reads, 1)

	_, p = recorded.runtime.Subscription(telemetry.SubscriptionConfig{Name: "b", Rebuild: true}).StartPage(t.Context(), page)
	p.End(1, nil)
	equal(t, "reads after a rebuild's page", reads, 1)
	rebuilt := recorded.spans.Ended()[1]
	equal(t, "links of a rebuild's page", len(rebuilt.Links()), 0)

	unsampled := setup(t, sdktrace.WithSampler(sdktrace.NeverSample()))
	_, p = unsampled.runtime.Subscription(telemetry.SubscriptionConfig{Name: "b"}).StartPage(t.Context(), page)
	p.End(1, nil)
	equal(t, "reads after an unsampled page", reads, 1)

	_, p = silentRuntime(t).Subscription(telemetry.SubscriptionConfig{Name: "b"}).StartPage(t.Context(), page)
	p.End(1, nil)
	equal(t, "reads after a page without a tracer", reads, 1)
}

func silentRuntime(t testing.TB) *telemetry.Runtime {
	t.Helper()
	r, err := telemetry.NewRuntime(telemetry.RuntimeConfig{
		Store: "orders", TracerProvider: tracenoop.NewTracerProvider(), MeterProvider: metricnoop.NewMeterProvider(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestHandlersNeverSeeTheSpanOfWhoeverStartedTheEngine(t *testing.T) {
	t.Parallel()
	caller := trace.ContextWithRemoteSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2},
	}))
	ctx, p := silentRuntime(t).Subscription(telemetry.SubscriptionConfig{Name: "b"}).StartPage(caller, telemetry.Page{Events: 1})
	defer p.End(1, errors.New("no span to fail"))
	equal(t, "handlers have a span", trace.SpanContextFromContext(ctx).IsValid(), false)
}

func TestPagesAreTimedAndCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := setup(t)
		s := r.runtime.Subscription(telemetry.SubscriptionConfig{Name: "balances"})
		_, p := s.StartPage(t.Context(), telemetry.Page{Events: 10})
		time.Sleep(20 * time.Millisecond)
		p.End(10, nil)
		_, p = s.StartPage(t.Context(), telemetry.Page{Events: 10})
		p.End(3, &typedError{"lease_lost"})

		m := r.collect(t)
		equal(t, "time of all pages", m["messaging.process.duration"].total(), 0.02)
		equal(t, "failed pages", m["messaging.process.duration"].find(t, "error.type=lease_lost").count, 1)
		equal(t, "events", m["messaging.client.consumed.messages"].total(), 13)
		equal(t, "events of the failed page", m["messaging.client.consumed.messages"].find(t, "error.type=lease_lost").value, 3)
		equal(t, "pages", m["riffle.subscription.page.size"].find(t).count, 2)
		equal(t, "events of pages", m["riffle.subscription.page.size"].find(t).value, 20)
		failed := r.spans.Ended()[1]
		equal(t, "status", failed.Status(), sdktrace.Status{Code: codes.Error, Description: "lease_lost"})
		equal(t, "number of span events", len(failed.Events()), 0)
	})
}

func TestRebuildsHaveSeriesOfTheirOwnAndNoDelay(t *testing.T) {
	t.Parallel()
	r := setup(t)
	live := r.runtime.Subscription(telemetry.SubscriptionConfig{Name: "balances"})
	rebuild := r.runtime.Subscription(telemetry.SubscriptionConfig{Name: "balances", Rebuild: true})
	live.Delay(time.Second)
	rebuild.Delay(time.Hour)
	live.Busy(2 * time.Second)
	rebuild.Busy(3 * time.Second)

	m := r.collect(t)
	equal(t, "delays", m["riffle.subscription.delay"].find(t).count, 1)
	equal(t, "delay", m["riffle.subscription.delay"].find(t, "riffle.subscription.rebuild=false").value, 1)
	equal(t, "busy", m["riffle.subscription.busy.time"].find(t, "riffle.subscription.rebuild=false").value, 2)
	equal(t, "busy rebuilding", m["riffle.subscription.busy.time"].find(t, "riffle.subscription.rebuild=true").value, 3)
}

func TestWorkIsCounted(t *testing.T) {
	t.Parallel()
	r := setup(t)
	s := r.runtime.Subscription(telemetry.SubscriptionConfig{Name: "balances"})
	s.Retried()
	s.Retried()
	s.Skipped(5)
	s.Restarted()
	s.Delay(-time.Second) // the clock stepped back since the append
	s.Lease(telemetry.LeaseAcquired)
	s.Lease(telemetry.LeaseLost)
	s.Lease(telemetry.LeaseLost)
	s.Lease("stolen by worker 4711")
	s.Checkpoint(time.Millisecond, nil)
	s.Checkpoint(2*time.Millisecond, &typedError{"guard"})

	m := r.collect(t)
	equal(t, "retries", m["riffle.subscription.retries"].find(t).value, 2)
	equal(t, "skipped", m["riffle.subscription.skipped"].find(t).value, 5)
	equal(t, "restarts", m["riffle.subscription.restarts"].find(t).value, 1)
	equal(t, "delay", m["riffle.subscription.delay"].find(t).value, 0)
	leases := m["riffle.subscription.lease.transitions"]
	equal(t, "kinds of transitions", len(leases.points), 2)
	equal(t, "leases acquired", leases.find(t, "riffle.lease.transition=acquired").value, 1)
	equal(t, "leases lost", leases.find(t, "riffle.lease.transition=lost").value, 2)
	checkpoints := m["riffle.subscription.checkpoint.duration"]
	equal(t, "checkpoints", len(checkpoints.points), 2)
	equal(t, "failed checkpoint", checkpoints.find(t, "error.type=guard").value, 0.002)
}
