package worker_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/telemetry"
	"github.com/riffle-go/riffle/projection"
)

// Page is a state of a size that counts.
type Page struct{ Text string }

// commitsOf runs a model over events that change 3 MiB of states, and returns how many commits
// that took.
func commitsOf(t *testing.T, appending bool) (commits uint64) {
	t.Helper()
	b := setup(t)
	reader := metric.NewManualReader()
	rt, err := telemetry.NewRuntime(telemetry.RuntimeConfig{Store: "riffle", MeterProvider: metric.NewMeterProvider(metric.WithReader(reader))})
	if err != nil {
		t.Fatal(err)
	}
	const keys, size = 192, 16 << 10
	m := projection.NewModel("pages", projection.Fold(func(p *Page, e Deposited, _ event.Event) error {
		p.Text = e.To[0]
		return nil
	})).With(projection.Options{CommitEvery: time.Hour, PageSize: 16})
	var last event.Position
	for i := range keys {
		last = b.append(accounts.Stream(fmt.Sprint("k", i)), Deposited{To: []string{strings.Repeat("x", size)}})
	}
	c := b.config(m)
	c.Until = last
	c.Telemetry = rt.Subscription(telemetry.SubscriptionConfig{Name: "pages"})
	done := make(chan struct{})
	var others sync.WaitGroup
	if appending {
		for range 8 {
			others.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
						b.append(event.Aggregate("test/note").Stream("n"), Noted{"x"})
					}
				}
			})
		}
		b.until("appends are under way", b.store.Appending)
	}
	err = b.start(c).ends()
	close(done)
	others.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if b.store.Appending() {
		t.Error("appends are under way, although all have returned")
	}
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			if h, ok := m.Data.(metricdata.Histogram[float64]); ok && strings.Contains(m.Name, "checkpoint") {
				for _, p := range h.DataPoints {
					commits += p.Count
				}
			}
		}
	}
	return commits
}

func TestCommitsAreShortWhileAppendsWait(t *testing.T) {
	t.Parallel()
	if n := commitsOf(t, false); n != 1 {
		t.Errorf("%d commits of 3 MiB while nobody appends, want 1", n)
	}
	if n := commitsOf(t, true); n < 3 {
		t.Errorf("%d commits of 3 MiB while appends wait, want one for each", n)
	}
}
