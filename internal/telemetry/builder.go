package telemetry

import (
	"errors"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// scope is the name of the instrumentation scope.
const scope = "github.com/riffle-go/riffle"

// meterOf returns Riffle's meter of p; nil means the global provider.
func meterOf(p metric.MeterProvider) metric.Meter {
	if p == nil {
		p = otel.GetMeterProvider()
	}
	return p.Meter(scope, metric.WithSchemaURL(semconv.SchemaURL))
}

// builder makes instruments from their descriptions, so that what is emitted cannot differ
// from the table, and keeps the errors for the end.
type builder struct {
	meter metric.Meter
	table map[string]Instrument
	errs  []error
}

func newBuilder(m metric.Meter, table []Instrument) *builder {
	b := &builder{meter: m, table: make(map[string]Instrument, len(table))}
	for _, in := range table {
		b.table[in.Name] = in
	}
	return b
}

// find returns the description of an instrument of the kind wanted.
func (b *builder) find(name string, kind Kind) Instrument {
	in, ok := b.table[name]
	if !ok || in.Kind != kind {
		b.failed(name, fmt.Errorf("no %s of that name in the table", kind))
	}
	return in
}

func (b *builder) failed(name string, err error) {
	if err != nil {
		b.errs = append(b.errs, fmt.Errorf("telemetry: create instrument %s: %w; check the meter provider", name, err))
	}
}

func (b *builder) err() error { return errors.Join(b.errs...) }

func (b *builder) int64Counter(name string) metric.Int64Counter {
	in := b.find(name, Counter)
	c, err := b.meter.Int64Counter(name, metric.WithUnit(in.Unit), metric.WithDescription(in.Description))
	b.failed(name, err)
	return c
}

func (b *builder) float64Counter(name string) metric.Float64Counter {
	in := b.find(name, Counter)
	c, err := b.meter.Float64Counter(name, metric.WithUnit(in.Unit), metric.WithDescription(in.Description))
	b.failed(name, err)
	return c
}

func (b *builder) int64Histogram(name string) metric.Int64Histogram {
	in := b.find(name, Histogram)
	h, err := b.meter.Int64Histogram(name, metric.WithUnit(in.Unit), metric.WithDescription(in.Description),
		metric.WithExplicitBucketBoundaries(in.Buckets...))
	b.failed(name, err)
	return h
}

func (b *builder) float64Histogram(name string) metric.Float64Histogram {
	in := b.find(name, Histogram)
	h, err := b.meter.Float64Histogram(name, metric.WithUnit(in.Unit), metric.WithDescription(in.Description),
		metric.WithExplicitBucketBoundaries(in.Buckets...))
	b.failed(name, err)
	return h
}
