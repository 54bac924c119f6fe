package telemetry_test

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"go.opentelemetry.io/otel"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/riffle-go/riffle/internal/telemetry"
)

// silentStore is a store whose providers are switched off.
func silentStore(t testing.TB) *telemetry.Store {
	t.Helper()
	s, err := telemetry.NewStore(telemetry.StoreConfig{
		Name: "orders", TracerProvider: tracenoop.NewTracerProvider(), MeterProvider: metricnoop.NewMeterProvider(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// one is all the telemetry of an append that succeeds.
func one(ctx context.Context, s *telemetry.Store) {
	_, a := s.StartAppend(ctx, "bank/account", 1, 1)
	_ = a.Traceparent()
	a.End(nil)
}

// Not parallel: AllocsPerRun counts the allocations of the whole process.
func TestNothingIsAllocatedWhenNothingRecords(t *testing.T) {
	s, ctx := silentStore(t), t.Context()
	if n := testing.AllocsPerRun(1000, func() { one(ctx, s) }); n != 0 {
		t.Errorf("an append allocates %v times, want 0", n)
	}
	if n := testing.AllocsPerRun(1000, func() { s.Sync(1); s.Group(1, 1) }); n != 0 {
		t.Errorf("a group allocates %v times, want 0", n)
	}
}

// The globals can be set once in a process, so the test runs in one of its own.
func TestGlobalProvidersMayBeSetLater(t *testing.T) {
	const inner = "RIFFLE_TEST_GLOBAL_PROVIDERS"
	if os.Getenv(inner) == "" {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), inner+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}

	s, err := telemetry.NewStore(telemetry.StoreConfig{Name: "orders"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.ObserveHead(func() int64 { return 12 }); err != nil {
		t.Fatal(err)
	}
	// One append in a thousand asks whether somebody listens by now, at three allocations.
	if n := testing.AllocsPerRun(10_000, func() { one(t.Context(), s) }); n != 0 {
		t.Errorf("with unset globals an append allocates %v times, want 0", n)
	}

	r := &rig{store: s, spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader()}
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(r.spans)))
	otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(r.reader)))
	for range 3 {
		one(t.Context(), s)
	}
	equal(t, "spans", len(r.spans.Ended()), 3)
	m := r.collect(t)
	equal(t, "events", m["messaging.client.sent.messages"].find(t).value, 3)
	equal(t, "position", m["riffle.store.position"].find(t).value, 12)
}

func BenchmarkAppend(b *testing.B) {
	global, err := telemetry.NewStore(telemetry.StoreConfig{Name: "orders"})
	if err != nil {
		b.Fatal(err)
	}
	sampledOut := setup(b, sdktrace.WithSampler(sdktrace.NeverSample())).store
	metered, err := telemetry.NewStore(telemetry.StoreConfig{
		Name: "orders", TracerProvider: tracenoop.NewTracerProvider(),
		MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())),
	})
	if err != nil {
		b.Fatal(err)
	}
	for name, s := range map[string]*telemetry.Store{
		"noop": silentStore(b), "unset": global, "metrics": metered, "metrics+unsampled": sampledOut,
	} {
		b.Run(name, func(b *testing.B) {
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				one(ctx, s)
			}
		})
	}
}
