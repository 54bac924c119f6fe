package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Append measures one append. It belongs to the call that started it; the zero value is
// not usable.
type Append struct {
	store  *Store
	ctx    context.Context
	span   trace.Span // nil when spans go nowhere
	start  time.Time  // zero when durations go nowhere
	events int
}

// StartAppend starts the span and the clock of an append of so many events to so many
// streams; aggregate is the aggregate type of the first one. The returned context has the
// span. Every Append must be ended once. With no-op providers nothing is allocated.
func (t *Store) StartAppend(ctx context.Context, aggregate string, streams, events int) (context.Context, Append) {
	a := Append{store: t, events: events}
	ctx, a.span = t.spans.start(ctx, t.spanName, t.spanStart)
	if a.span != nil && a.span.IsRecording() {
		a.span.SetAttributes(
			semconv.MessagingBatchMessageCount(events),
			aggregateKey.String(aggregate),
			streamsKey.Int(streams),
		)
	}
	if t.duration.Enabled(ctx) {
		a.start = time.Now()
	}
	a.ctx = ctx
	return ctx, a
}

// Traceparent is the W3C traceparent of the append's span, for the metadata of its events.
// When spans go nowhere it is the one of the caller's span, as OpenTelemetry's API passes
// a context on; "" when there is none either. The global propagator is not asked: it does
// nothing until the program sets one, and it may add baggage, which must not be stored.
func (a Append) Traceparent() string {
	if !trace.SpanContextFromContext(a.ctx).IsValid() {
		return ""
	}
	var c traceparent
	propagation.TraceContext{}.Inject(a.ctx, &c)
	return string(c)
}

// End records how the append ended and ends its span. err is what the caller gets, nil for
// success.
func (a Append) End(err error) {
	t := a.store
	out := t.done
	if err != nil {
		kind := errorType(err)
		failure := semconv.ErrorTypeKey.String(kind)
		out = newOutcome(with(t.operation, failure)...)
		if kind == conflict {
			t.conflicts.Add(a.ctx, 1, t.plain.add...)
		}
		fail(a.span, failure)
	}
	if !a.start.IsZero() {
		t.duration.Record(a.ctx, time.Since(a.start).Seconds(), out.record...)
	}
	t.sent.Add(a.ctx, int64(a.events), out.add...)
	if a.span != nil {
		a.span.End()
	}
}

// fail sets the status of a span, which may be nil. The description is the error's type:
// error texts name streams and may quote what users wrote.
func fail(span trace.Span, failure attribute.KeyValue) {
	if span != nil && span.IsRecording() {
		span.SetAttributes(failure)
		span.SetStatus(codes.Error, failure.Value.AsString())
	}
}

// traceparentField is the name of the field that TraceContext reads and writes.
const traceparentField = "traceparent"

// traceparent carries that one field and drops the others.
type traceparent string

var _ propagation.TextMapCarrier = (*traceparent)(nil)

func (c *traceparent) Get(key string) string {
	if key == traceparentField {
		return string(*c)
	}
	return ""
}

func (c *traceparent) Set(key, value string) {
	if key == traceparentField {
		*c = traceparent(value)
	}
}

func (c *traceparent) Keys() []string { return []string{traceparentField} }
