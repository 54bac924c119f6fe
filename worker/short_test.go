package worker_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/telemetry"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// Page is a state of a size that counts.
type Page struct{ Text string }

// commitsOf runs a model over events that change 3 MiB of states, or times as much, and returns
// how many commits that took.
func commitsOf(t *testing.T, times int, appending bool) (commits uint64) {
	t.Helper()
	b := setup(t)
	reader := metric.NewManualReader()
	rt, err := telemetry.NewRuntime(telemetry.RuntimeConfig{Store: "riffle", MeterProvider: metric.NewMeterProvider(metric.WithReader(reader))})
	if err != nil {
		t.Fatal(err)
	}
	const size = 16 << 10
	keys := 192 * times
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
	if n := commitsOf(t, 1, false); n != 1 {
		t.Errorf("%d commits of 3 MiB while nobody appends, want 1", n)
	}
	if n := commitsOf(t, 3, false); n != 3 {
		t.Errorf("%d commits of 9 MiB while nobody appends, want one for 4 MiB", n)
	}
	if n := commitsOf(t, 1, true); n < 3 {
		t.Errorf("%d commits of 3 MiB while appends wait, want one for each", n)
	}
}

// warnings counts what is logged at Warn and above.
type warnings struct {
	slog.Handler
	n atomic.Int64
}

func (*warnings) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }
func (h *warnings) WithAttrs([]slog.Attr) slog.Handler         { return h }
func (h *warnings) Handle(context.Context, slog.Record) error  { h.n.Add(1); return nil }

// A commit goes before it would be too large; that nothing has to be done again in smaller
// steps shows in the silence.
func TestAModelCommitsBeforeTheLimitsAreReached(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string]store.Limits{"items": {CommitItems: 8}, "bytes": {CommitBytes: 100 << 10}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &warnings{Handler: slog.DiscardHandler}
			b := setupWith(t, &pebblestore.Options{Store: store.Options{Limits: limits, Logger: slog.New(log)}})
			m := projection.NewModel("pages", projection.Fold(func(p *Page, e Deposited, _ event.Event) error {
				p.Text = e.To[0]
				return nil
			})).With(projection.Options{CommitEvery: time.Hour})
			var last event.Position
			for i := range 100 {
				last = b.append(accounts.Stream(fmt.Sprint(i)), Deposited{To: []string{strings.Repeat("x", 4<<10)}})
			}
			w := b.start(b.config(m))
			w.waits(last)
			w.drains()
			if n := log.n.Load(); n != 0 {
				t.Errorf("%d warnings", n)
			}
		})
	}
}

// States that turn out to be too large for one commit are made again from where the store is
// by then, not from where it was when the lease was claimed.
func TestSmallerCommitsGoOnBehindWhatIsCommitted(t *testing.T) {
	t.Parallel()
	b := setupWith(t, &pebblestore.Options{Store: store.Options{Limits: store.Limits{CommitBytes: 20_000}}})
	m := projection.NewModel("pages", projection.Fold(func(p *Page, e Deposited, _ event.Event) error {
		p.Text += strings.Repeat("z", int(e.Cents)) // far more than the event has
		return nil
	})).With(projection.Options{CommitEvery: time.Hour})
	w := b.start(b.config(m))
	w.waits(b.deposit(1, "0")) // a commit under the same lease
	var last event.Position
	for i := range 60 {
		last = b.deposit(3000, fmt.Sprint(i))
	}
	w.waits(last)
	w.drains()
	for i := range 60 {
		sn, err := b.store.State(t.Context(), store.SnapshotKey{Projection: "pages", Key: fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		if n, want := strings.Count(string(sn.State), "z"), 3000; n != want && !(i == 0 && n == want+1) {
			t.Errorf("state %d has %d letters, want %d", i, n, want)
		}
	}
}
