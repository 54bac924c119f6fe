package telemetry_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	otelmetric "go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"

	"github.com/riffle-go/riffle/internal/telemetry"
)

func TestSubscriptionsShowTheirPresentStatusOnly(t *testing.T) {
	t.Parallel()
	r := setup(t)
	var now atomic.Pointer[[]telemetry.SubscriptionSample]
	unregister, err := r.runtime.Observe(func() []telemetry.SubscriptionSample { return *now.Load() })
	if err != nil {
		t.Fatal(err)
	}
	now.Store(&[]telemetry.SubscriptionSample{
		{
			Name: "balances", State: "rebuilding", Position: 90, Backlog: 10, Lag: 2 * time.Second,
			ProgressAge: 3 * time.Second, Parked: 4, ParkedAge: 5 * time.Second, Rebuilding: true, Rebuilt: 0.25,
		},
		{Name: "mailer", State: "live", Position: 100},
	})
	m := r.collect(t)
	for name, want := range map[string]float64{
		"riffle.subscription.position":         90,
		"riffle.subscription.backlog":          10,
		"riffle.subscription.lag":              2,
		"riffle.subscription.progress.age":     3,
		"riffle.subscription.parked":           4,
		"riffle.subscription.parked.age":       5,
		"riffle.subscription.rebuild.progress": 0.25,
		"riffle.subscription.status":           1,
	} {
		equal(t, name, m[name].find(t, "messaging.destination.subscription.name=balances", "messaging.destination.name=orders").value, want)
	}
	equal(t, "series of rebuilds", len(m["riffle.subscription.rebuild.progress"].points), 1)
	m["riffle.subscription.status"].find(t, "messaging.destination.subscription.name=balances", "riffle.subscription.state=rebuilding")
	m["riffle.subscription.status"].find(t, "messaging.destination.subscription.name=mailer", "riffle.subscription.state=live")

	now.Store(&[]telemetry.SubscriptionSample{{Name: "balances", State: "paused", Position: 95}})
	m = r.collect(t)
	equal(t, "position", m["riffle.subscription.position"].find(t).value, 95)
	equal(t, "states", len(m["riffle.subscription.status"].points), 1)
	m["riffle.subscription.status"].find(t, "riffle.subscription.state=paused")
	equal(t, "series of rebuilds after the end", len(m["riffle.subscription.rebuild.progress"].points), 0)

	unregister()
	unregister()
	equal(t, "metrics after unregister", len(r.collect(t)), 0)
}

func TestPositionIsReadWhenAsked(t *testing.T) {
	t.Parallel()
	r := setup(t)
	var head atomic.Int64
	unregister, err := r.store.ObserveHead(head.Load)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int64{0, 1, 1 << 60} {
		head.Store(want)
		equal(t, "position", r.collect(t)["riffle.store.position"].find(t, "messaging.destination.name=orders").value, float64(want))
	}
	unregister()
	unregister()
	equal(t, "metrics after unregister", len(r.collect(t)), 0)
}

func TestPebbleNumbersReachTheirInstruments(t *testing.T) {
	t.Parallel()
	r := setup(t)
	unregister, err := r.store.ObservePebble(func() telemetry.PebbleSample {
		return telemetry.PebbleSample{
			DiskUsage: 1, CompactionDebt: 2, ReadAmplification: 3, WriteStalls: 4, WriteStallDuration: 5 * time.Second,
			MemtableSize: 6, CacheSize: 7, CacheHits: 8, CacheMisses: 9, WALSize: 10, WALWritten: 11,
			FlushWritten: 12, CompactionWritten: 13, LevelSizes: [7]int64{20, 21, 22, 23, 24, 25, 26}, OpenIterators: 14,
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	m := r.collect(t)
	want := map[string]float64{
		"riffle.pebble.disk.usage":           1,
		"riffle.pebble.compaction.debt":      2,
		"riffle.pebble.read.amplification":   3,
		"riffle.pebble.write.stalls":         4,
		"riffle.pebble.write.stall.duration": 5,
		"riffle.pebble.memtable.size":        6,
		"riffle.pebble.cache.size":           7,
		"riffle.pebble.cache.hits":           8,
		"riffle.pebble.cache.misses":         9,
		"riffle.pebble.wal.size":             10,
		"riffle.pebble.wal.written":          11,
		"riffle.pebble.flush.written":        12,
		"riffle.pebble.compaction.written":   13,
		"riffle.pebble.iterators":            14,
	}
	for name, value := range want {
		equal(t, name, m[name].find(t, "messaging.destination.name=orders").value, value)
	}
	equal(t, "number of metrics", len(m), len(want)+1)
	levels := m["riffle.pebble.level.size"]
	equal(t, "levels", len(levels.points), 7)
	equal(t, "level 0", levels.find(t, "riffle.pebble.level=0").value, 20)
	equal(t, "level 6", levels.find(t, "riffle.pebble.level=6").value, 26)

	unregister()
	unregister()
	equal(t, "metrics after unregister", len(r.collect(t)), 0)
}

// refusing is a meter provider that refuses one instrument, or callbacks.
type refusing struct {
	metricnoop.MeterProvider
	what string
}

var errRefused = errors.New("refused")

func (p refusing) Meter(string, ...otelmetric.MeterOption) otelmetric.Meter {
	return refusingMeter{what: p.what}
}

type refusingMeter struct {
	metricnoop.Meter
	what string
}

func (m refusingMeter) answer(name string) error {
	if name == m.what {
		return errRefused
	}
	return nil
}

func (m refusingMeter) Int64Counter(name string, _ ...otelmetric.Int64CounterOption) (otelmetric.Int64Counter, error) {
	return metricnoop.Int64Counter{}, m.answer(name)
}

func (m refusingMeter) Int64Histogram(name string, _ ...otelmetric.Int64HistogramOption) (otelmetric.Int64Histogram, error) {
	return metricnoop.Int64Histogram{}, m.answer(name)
}

func (m refusingMeter) Float64Counter(name string, _ ...otelmetric.Float64CounterOption) (otelmetric.Float64Counter, error) {
	return metricnoop.Float64Counter{}, m.answer(name)
}

func (m refusingMeter) Float64Histogram(name string, _ ...otelmetric.Float64HistogramOption) (otelmetric.Float64Histogram, error) {
	return metricnoop.Float64Histogram{}, m.answer(name)
}

func (m refusingMeter) Int64ObservableGauge(name string, _ ...otelmetric.Int64ObservableGaugeOption) (otelmetric.Int64ObservableGauge, error) {
	return metricnoop.Int64ObservableGauge{}, m.answer(name)
}

func (m refusingMeter) RegisterCallback(otelmetric.Callback, ...otelmetric.Observable) (otelmetric.Registration, error) {
	return metricnoop.Registration{}, m.answer("callbacks")
}

func TestRefusedInstrumentsAreErrorsThatNameThem(t *testing.T) {
	t.Parallel()
	for _, what := range []string{
		"messaging.client.operation.duration", "messaging.client.sent.messages", "riffle.store.group.size",
		"messaging.process.duration", "riffle.subscription.busy.time", "riffle.subscription.page.size", "riffle.subscription.retries",
		"riffle.store.position", "riffle.pebble.read.amplification", "riffle.subscription.position", "callbacks",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p := refusing{what: what}
			var errs []error
			s, err := telemetry.NewStore(telemetry.StoreConfig{Name: "orders", MeterProvider: p})
			if errs = append(errs, err); err == nil {
				_, err = s.ObserveHead(func() int64 { return 1 })
				errs = append(errs, err)
				_, err = s.ObservePebble(func() telemetry.PebbleSample { return telemetry.PebbleSample{} })
				errs = append(errs, err)
			}
			r, err := telemetry.NewRuntime(telemetry.RuntimeConfig{Store: "orders", MeterProvider: p})
			if errs = append(errs, err); err == nil {
				_, err = r.Observe(func() []telemetry.SubscriptionSample { return nil })
				errs = append(errs, err)
			}
			err = errors.Join(errs...)
			if !errors.Is(err, errRefused) {
				t.Fatalf("error is %v, want one that wraps %v", err, errRefused)
			}
			if what != "callbacks" && !strings.Contains(err.Error(), what) {
				t.Errorf("error %q does not name %s", err, what)
			}
		})
	}
}
