package telemetry

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// outcome is a set of attributes in the forms that instruments take. Slices, because a
// variadic call with a single option allocates one each time.
type outcome struct {
	record []metric.RecordOption
	add    []metric.AddOption
}

func newOutcome(attrs ...attribute.KeyValue) outcome {
	set := metric.WithAttributeSet(attribute.NewSet(attrs...))
	return outcome{record: []metric.RecordOption{set}, add: []metric.AddOption{set}}
}
