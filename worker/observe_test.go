package worker_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/telemetry"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

func TestAWorkersTelemetry(t *testing.T) {
	t.Parallel()
	spans, reader := tracetest.NewSpanRecorder(), metric.NewManualReader()
	tp := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	mp := metric.NewMeterProvider(metric.WithReader(reader))
	b := setupWith(t, &pebblestore.Options{Store: store.Options{TracerProvider: tp}})
	rt, err := telemetry.NewRuntime(telemetry.RuntimeConfig{Store: "riffle", TracerProvider: tp, MeterProvider: mp})
	if err != nil {
		t.Fatal(err)
	}
	inSpan := true
	p := mailer(projection.Options{}, func(ctx context.Context, _ Deposited, ev event.Event) error {
		inSpan = inSpan && trace.SpanContextFromContext(ctx).IsValid()
		if ev.Stream.ID == "skip" {
			return projection.Skip(errBroken)
		}
		return nil
	})
	b.deposit(1, "a", "skip", "b")
	c := b.config(p)
	c.Telemetry = rt.Subscription(telemetry.SubscriptionConfig{Name: "mailer"})
	w := b.start(c)
	w.waits(3)
	w.drains()
	if !inSpan {
		t.Error("a handler's context has no span")
	}
	pages := 0
	for _, s := range spans.Ended() {
		if s.Name() == "process mailer" {
			pages++
			if len(s.Links()) != 3 {
				t.Errorf("%d links to appends, want 3", len(s.Links()))
			}
		}
	}
	if pages != 1 {
		t.Errorf("%d spans of pages, want 1", pages)
	}
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	sums := map[string]int64{}
	seen := map[string]bool{}
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			seen[m.Name] = true
			if data, ok := m.Data.(metricdata.Sum[int64]); ok {
				for _, p := range data.DataPoints {
					sums[m.Name] += p.Value
				}
			}
		}
	}
	for name, want := range map[string]int64{
		"messaging.client.consumed.messages":    3,
		"riffle.subscription.skipped":           1,
		"riffle.subscription.lease.transitions": 2,
	} {
		if sums[name] != want {
			t.Errorf("%s is %d, want %d", name, sums[name], want)
		}
	}
	for _, name := range []string{"riffle.subscription.delay", "riffle.subscription.checkpoint.duration", "riffle.subscription.busy.time", "messaging.process.duration"} {
		if !seen[name] {
			t.Errorf("%s was not recorded", name)
		}
	}
}

func TestLogsSayWhatHappenedAndNeverThePayload(t *testing.T) {
	bubble(t, func(b *bed) {
		var out bytes.Buffer
		p := mailer(projection.Options{}, func(context.Context, Deposited, event.Event) error { return projection.Park(errBroken) })
		b.append(accounts.Stream("a"), Deposited{Cents: 424242})
		c := b.config(p)
		c.Logger = slog.New(slog.NewTextHandler(&out, nil))
		w := b.start(c)
		w.waits(1)
		w.drains()
		text := out.String()
		for _, want := range []string{"level=INFO", "to=live", "level=ERROR", "event parked", "position=1", "projection=mailer"} {
			if !strings.Contains(text, want) {
				b.Errorf("%q is not in the log:\n%s", want, text)
			}
		}
		if strings.Contains(text, "424242") {
			b.Errorf("the payload is in the log:\n%s", text)
		}
	})
}
