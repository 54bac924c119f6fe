package telemetry_test

import (
	"fmt"
	"slices"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/riffle-go/riffle/internal/telemetry"
)

// rig is a store and a runtime whose telemetry is recorded.
type rig struct {
	store   *telemetry.Store
	runtime *telemetry.Runtime
	spans   *tracetest.SpanRecorder
	tracing *sdktrace.TracerProvider
	reader  *sdkmetric.ManualReader
}

func setup(t testing.TB, options ...sdktrace.TracerProviderOption) *rig {
	t.Helper()
	r := &rig{spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader()}
	r.tracing = sdktrace.NewTracerProvider(append(options, sdktrace.WithSpanProcessor(r.spans))...)
	metrics := sdkmetric.NewMeterProvider(sdkmetric.WithReader(r.reader))
	var err error
	r.store, err = telemetry.NewStore(telemetry.StoreConfig{
		Name: "orders", TracerProvider: r.tracing, MeterProvider: metrics,
	})
	if err != nil {
		t.Fatal(err)
	}
	r.runtime, err = telemetry.NewRuntime(telemetry.RuntimeConfig{
		Store: "orders", TracerProvider: r.tracing, MeterProvider: metrics,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// point is one series of a collected metric.
type point struct {
	attrs attribute.Set
	value float64 // a histogram's sum
	count uint64  // a histogram's count
}

// metric is one collected metric in the words of the table.
type metric struct {
	kind        telemetry.Kind
	unit        string
	description string
	buckets     []float64
	points      []point
}

// collect returns what the reader sees now, by name.
func (r *rig) collect(t testing.TB) map[string]metric {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := r.reader.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	all := make(map[string]metric)
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			if _, twice := all[m.Name]; twice {
				t.Fatalf("metric %s was emitted by two instruments", m.Name)
			}
			all[m.Name] = convert(t, m)
		}
	}
	return all
}

func convert(t testing.TB, m metricdata.Metrics) metric {
	t.Helper()
	out := metric{unit: m.Unit, description: m.Description}
	switch d := m.Data.(type) {
	case metricdata.Sum[int64]:
		out.kind, out.points = sumKind(d.IsMonotonic), points(d.DataPoints)
	case metricdata.Sum[float64]:
		out.kind, out.points = sumKind(d.IsMonotonic), points(d.DataPoints)
	case metricdata.Gauge[int64]:
		out.kind, out.points = telemetry.Gauge, points(d.DataPoints)
	case metricdata.Gauge[float64]:
		out.kind, out.points = telemetry.Gauge, points(d.DataPoints)
	case metricdata.Histogram[int64]:
		out.kind = telemetry.Histogram
		out.buckets, out.points = histogramPoints(d.DataPoints)
	case metricdata.Histogram[float64]:
		out.kind = telemetry.Histogram
		out.buckets, out.points = histogramPoints(d.DataPoints)
	default:
		t.Fatalf("metric %s has data of type %T", m.Name, m.Data)
	}
	return out
}

func sumKind(monotonic bool) telemetry.Kind {
	if monotonic {
		return telemetry.Counter
	}
	return telemetry.UpDownCounter
}

func points[N int64 | float64](ds []metricdata.DataPoint[N]) []point {
	var ps []point
	for _, d := range ds {
		ps = append(ps, point{attrs: d.Attributes, value: float64(d.Value)})
	}
	return ps
}

func histogramPoints[N int64 | float64](ds []metricdata.HistogramDataPoint[N]) (buckets []float64, ps []point) {
	for _, d := range ds {
		buckets = d.Bounds
		ps = append(ps, point{attrs: d.Attributes, value: float64(d.Sum), count: d.Count})
	}
	return buckets, ps
}

// find returns the only series of a metric that has all of want, as "key=value".
func (m metric) find(t testing.TB, want ...string) point {
	t.Helper()
	var found []point
	for _, p := range m.points {
		has := attributes(p.attrs.ToSlice())
		if !slices.ContainsFunc(want, func(w string) bool { return !slices.Contains(has, w) }) {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d series have %q, want 1; all: %v", len(found), want, m.points)
	}
	return found[0]
}

// total adds up all series of a metric.
func (m metric) total() (sum float64) {
	for _, p := range m.points {
		sum += p.value
	}
	return sum
}

// attributes renders attributes as sorted "key=value".
func attributes(kvs []attribute.KeyValue) []string {
	var out []string
	for _, kv := range kvs {
		out = append(out, fmt.Sprintf("%s=%s", kv.Key, kv.Value.String()))
	}
	slices.Sort(out)
	return out
}

// ended returns the only span that has ended.
func (r *rig) ended(t testing.TB) sdktrace.ReadOnlySpan {
	t.Helper()
	spans := r.spans.Ended()
	if len(spans) != 1 {
		t.Fatalf("%d spans ended, want 1", len(spans))
	}
	return spans[0]
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func equalSlices[T comparable](t testing.TB, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}
