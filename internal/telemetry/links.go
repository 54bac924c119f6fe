package telemetry

import (
	"context"
	"iter"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// maxLinks is the number of links that SDKs keep by default; more would be dropped there.
const maxLinks = 128

// link links span to the appends named by traceparents, each once, at most maxLinks. What
// is no traceparent is left out: metadata may come from anywhere.
func link(span trace.Span, traceparents iter.Seq[string]) {
	type origin struct {
		trace trace.TraceID
		span  trace.SpanID
	}
	var (
		last string // events of one append are neighbours
		seen = make(map[origin]struct{})
	)
	for field := range traceparents {
		if field == last {
			continue
		}
		last = field
		carrier := traceparent(field)
		sc := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), &carrier))
		from := origin{trace: sc.TraceID(), span: sc.SpanID()}
		if _, ok := seen[from]; ok || !sc.IsValid() {
			continue
		}
		seen[from] = struct{}{}
		span.AddLink(trace.Link{SpanContext: sc})
		if len(seen) == maxLinks {
			return
		}
	}
}
