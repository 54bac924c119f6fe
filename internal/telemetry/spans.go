package telemetry

import (
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Span describes one kind of span that Riffle starts.
type Span struct {
	Name string // with the variable part in braces
	Kind trace.SpanKind
	// Attributes are the keys that it may have, sorted.
	Attributes  []string
	Description string
	_           struct{}
}

// Spans returns every kind of span that Riffle starts. The caller owns the result.
func Spans() []Span {
	return []Span{
		{
			Name: "append {store}", Kind: trace.SpanKindProducer,
			Attributes: sorted(semconv.ErrorTypeKey, semconv.MessagingBatchMessageCountKey, storeKey,
				semconv.MessagingOperationNameKey, semconv.MessagingOperationTypeKey, semconv.MessagingSystemKey,
				aggregateKey, streamsKey),
			Description: "One append, from the call until its events are durable. Child of the caller's span.",
		},
		{
			Name: "process {subscription}", Kind: trace.SpanKindConsumer,
			Attributes: sorted(semconv.ErrorTypeKey, semconv.MessagingBatchMessageCountKey, storeKey, subscriptionKey,
				semconv.MessagingOperationNameKey, semconv.MessagingOperationTypeKey, semconv.MessagingSystemKey,
				rebuildKey),
			Description: "The handling of one page, in a trace of its own, linked to the appends of its events.",
		},
	}
}
