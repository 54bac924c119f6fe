package main

import (
	"context"
	"errors"
	"net/http"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
)

// telemetry is where the numbers and the traces of the service go.
type telemetry struct {
	tracing *trace.TracerProvider
	metrics *metric.MeterProvider
	scrape  http.Handler // for Prometheus
}

// newTelemetry makes metrics readable by Prometheus. When the environment names a collector,
// metrics and traces are sent there, too.
func newTelemetry(ctx context.Context) (_ *telemetry, err error) {
	who, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "riffle-bank")),
		resource.WithFromEnv()) // OTEL_SERVICE_NAME wins
	if err != nil {
		return nil, err
	}
	// A registry of its own: the global one belongs to nobody. The scope of a metric says
	// nothing that its name does not.
	registry := prometheus.NewRegistry()
	reader, err := otelprom.New(otelprom.WithRegisterer(registry), otelprom.WithoutScopeInfo())
	if err != nil {
		return nil, err
	}
	metrics := []metric.Option{metric.WithResource(who), metric.WithReader(reader)}
	tracing := []trace.TracerProviderOption{trace.WithResource(who)}
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" {
		points, err := otlpmetrichttp.New(ctx)
		if err != nil {
			return nil, err
		}
		spans, err := otlptracehttp.New(ctx)
		if err != nil {
			return nil, err
		}
		metrics = append(metrics, metric.WithReader(metric.NewPeriodicReader(points)))
		tracing = append(tracing, trace.WithBatcher(spans), trace.WithSampler(trace.ParentBased(trace.TraceIDRatioBased(0.1))))
	} else {
		tracing = append(tracing, trace.WithSampler(trace.NeverSample())) // nobody would get them
	}
	return &telemetry{
		tracing: trace.NewTracerProvider(tracing...),
		metrics: metric.NewMeterProvider(metrics...),
		scrape:  promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry}),
	}, nil
}

// shutdown sends what is left.
func (t *telemetry) shutdown(ctx context.Context) error {
	return errors.Join(t.tracing.Shutdown(ctx), t.metrics.Shutdown(ctx))
}
