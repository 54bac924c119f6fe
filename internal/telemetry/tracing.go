package telemetry

import (
	"context"
	"math/rand/v2"
	"reflect"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// tracing starts spans, or nothing at all when they would go nowhere. Metric instruments
// can be asked whether they are enabled; tracers cannot, and a span that is not recorded
// still costs allocations.
type tracing struct {
	tracer trace.Tracer // nil: a no-op
	// placeholder is the global provider while the program has set none; else nil. It is a
	// no-op until a program sets one, or an agent that instruments from outside attaches.
	placeholder trace.TracerProvider
	awake       atomic.Bool // the placeholder has begun to make spans
}

// newTracing makes Riffle's tracer of p; nil means the global provider.
func newTracing(p trace.TracerProvider) *tracing {
	if p == nil {
		p = otel.GetTracerProvider()
	}
	t := &tracing{tracer: p.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL))}
	switch {
	case isNoop(t.tracer):
		t.tracer = nil
	case isPlaceholder(p):
		t.placeholder = p
	}
	return t
}

func isNoop(t trace.Tracer) bool {
	_, ok := t.(tracenoop.Tracer)
	return ok
}

// isPlaceholder looks for the type that OpenTelemetry's global starts with, which is not
// exported. If it ever moves, spans are started as for any other provider.
func isPlaceholder(p trace.TracerProvider) bool {
	t := reflect.TypeOf(p)
	return t.Kind() == reflect.Pointer && t.Elem().PkgPath() == "go.opentelemetry.io/otel/internal/global"
}

// start starts a span. It returns ctx and nil when spans go nowhere.
func (t *tracing) start(ctx context.Context, name string, options []trace.SpanStartOption) (context.Context, trace.Span) {
	if t.tracer == nil || !t.mayRecord() {
		return ctx, nil
	}
	ctx, span := t.tracer.Start(ctx, name, options...)
	if t.placeholder != nil && span.IsRecording() && !t.awake.Load() {
		t.awake.Store(true)
	}
	return ctx, span
}

// mayRecord is false while the placeholder is known to do nothing. One call in a thousand
// tries it nevertheless: an attached agent is noticed by a span alone.
func (t *tracing) mayRecord() bool {
	const tries = 1024
	return t.placeholder == nil || t.awake.Load() ||
		otel.GetTracerProvider() != t.placeholder || rand.Uint32N(tries) == 0
}
