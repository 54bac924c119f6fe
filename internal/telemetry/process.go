package telemetry

import (
	"context"
	"iter"
	"time"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Page is what a worker is about to give to handlers.
type Page struct {
	// Events is how many there are.
	Events int
	// Traceparents yields the traceparent of each event that has one, in order; nil for
	// none. It is only run when the page's span is recorded, so that nobody parses metadata
	// for nothing, and not in rebuilds. It runs before StartPage returns.
	Traceparents iter.Seq[string]
	_            struct{}
}

// Process measures the handling of one page. It belongs to the worker that started it; the
// zero value is not usable.
type Process struct {
	subscription *Subscription
	ctx          context.Context
	span         trace.Span // nil when spans go nowhere
	start        time.Time  // zero when durations go nowhere
	events       int
}

// StartPage starts the span and the clock of a page. The returned context has the span and
// is meant for the handlers; the span begins a trace of its own, whatever ctx carries.
// Every Process must be ended once.
func (s *Subscription) StartPage(ctx context.Context, p Page) (context.Context, Process) {
	// Whoever called Run is not the cause of this page. An SDK sees to that by itself, but
	// without one the caller's span would stay, and appends of handlers would name it.
	if trace.SpanContextFromContext(ctx).IsValid() {
		ctx = trace.ContextWithSpanContext(ctx, trace.SpanContext{})
	}
	out := Process{subscription: s, events: p.Events}
	ctx, out.span = s.runtime.spans.start(ctx, s.spanName, s.spanStart)
	if out.span != nil && out.span.IsRecording() {
		out.span.SetAttributes(semconv.MessagingBatchMessageCount(p.Events))
		if p.Traceparents != nil && !s.rebuild {
			link(out.span, p.Traceparents)
		}
	}
	if s.runtime.process.Enabled(ctx) {
		out.start = time.Now()
	}
	out.ctx = ctx
	return ctx, out
}

// End records how the page ended and ends its span. delivered is the number of events that
// handlers were given, err what stopped the page before its end, nil if nothing did.
func (p Process) End(delivered int, err error) {
	s := p.subscription
	out := s.done
	if err != nil {
		failure := semconv.ErrorTypeKey.String(errorType(err))
		out = newOutcome(with(s.operation, failure)...)
		fail(p.span, failure)
	}
	if !p.start.IsZero() {
		s.runtime.process.Record(p.ctx, time.Since(p.start).Seconds(), out.record...)
	}
	s.runtime.consumed.Add(p.ctx, int64(delivered), out.add...)
	s.runtime.pages.Record(p.ctx, int64(p.events), s.plain.record...)
	if p.span != nil {
		p.span.End()
	}
}
