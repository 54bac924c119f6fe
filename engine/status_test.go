package engine_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

func TestStatusBeforeDuringAndAfterRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := tally(projection.Options{})
	e := b.engine(m)
	b.append("a", Added{1}, Noted{"n"})
	if st := b.status(e, "tally"); st.State != "stopped" || st.Kind != "model" || st.Backlog != 2 || st.Lag < 0 || st.Row.Revision != 0 {
		t.Errorf("before: %+v", st)
	}
	r := b.run(e)
	b.must(r.Wait(t.Context(), m, 2))
	b.until("it is live", func() bool { return b.status(e, "tally").State == "live" })
	if st := b.status(e, "tally"); st.Backlog != 0 || st.Lag != 0 || st.Stuck != 0 || st.Subscriber.Worker.IsZero() || st.Err != nil {
		t.Errorf("during: %+v", st)
	}
	b.must(r.stop())
	b.append("a", Noted{"n"})
	if st := b.status(e, "tally"); st.State != "stopped" || st.Backlog != 0 || st.Lag != 0 {
		t.Errorf("after, with nothing to do: %+v", st)
	}
	b.append("a", Added{1})
	if st := b.status(e, "tally"); st.Backlog != 1 {
		t.Errorf("after, with something to do: %+v", st)
	}
}

// Lag is the age of the first event that concerns the projection, whoever works on it.
func TestLagIsTheAgeOfTheFirstEventThatIsNotHandled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		m := tally(projection.Options{})
		r := b.run(b.engine(m))
		b.must(r.Wait(t.Context(), m, b.append("a", Added{1})))
		b.must(r.Pause(t.Context(), "tally", "to fall behind"))
		time.Sleep(time.Minute)
		b.append("a", Noted{"does not concern it"})
		time.Sleep(time.Minute)
		if st := b.status(r.Engine, "tally"); st.Lag != 0 || st.Backlog != 0 || st.State != "paused" {
			t.Errorf("behind what does not concern it: %+v", st)
		}
		b.append("a", Added{1})
		time.Sleep(time.Minute)
		b.append("a", Added{1})
		time.Sleep(time.Minute)
		st := b.status(r.Engine, "tally")
		if st.Lag != 2*time.Minute || st.Backlog != 2 {
			t.Errorf("lag %v, backlog %d; want 2 min and 2 events", st.Lag, st.Backlog)
		}
		b.must(r.Resume(t.Context(), "tally"))
		b.must(r.Wait(t.Context(), m, 4))
		if st := b.status(r.Engine, "tally"); st.Lag != 0 || st.Backlog != 0 {
			t.Errorf("after it caught up: %+v", st)
		}
	})
}

// How old an event is has nothing to do with how long somebody has been looking.
func TestLagBeginsWithTheEventAndNotWithTheEngine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		second, goOn := make(chan struct{}), make(chan struct{})
		p := projection.NewEffect("slow", projection.On(func(_ context.Context, e Added, _ event.Event) error {
			if e.N == 2 {
				close(second)
				<-goOn
			}
			return nil
		})).With(projection.Options{Start: store.AtPosition(1)})
		b.must(b.engine(p).Pause(t.Context(), "slow", "to fall behind"))
		b.append("a", Added{1})
		time.Sleep(time.Hour)
		last := b.append("a", Added{2})
		time.Sleep(time.Minute)
		r := b.run(b.engine(p))
		time.Sleep(10 * time.Second)
		if st := b.status(r.Engine, "slow"); st.Lag != time.Hour+70*time.Second {
			t.Errorf("lag %v, the first event is 1h1m10s old", st.Lag)
		}
		b.must(r.Resume(t.Context(), "slow"))
		<-second
		time.Sleep(10 * time.Second)
		if st := b.status(r.Engine, "slow"); st.Lag != 80*time.Second {
			t.Errorf("lag %v, what is left is 1m20s old", st.Lag)
		}
		close(goOn)
		b.must(r.Wait(t.Context(), p, last))
	})
}

// Whoever has much to do and does it is not stuck.
func TestReadyWhileBehindAndAtWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		p := projection.NewEffect("busy", projection.On(func(context.Context, Added, event.Event) error {
			time.Sleep(10 * time.Second)
			return nil
		})).With(projection.Options{Start: store.AtPosition(1)})
		for range 100 {
			b.append("a", Added{1})
		}
		r := b.run(b.engineWith(engine.Config{
			Projections: []projection.Projection{p}, Ready: engine.Ready{Behind: 2, NoProgress: 30 * time.Second},
		}))
		for range 15 {
			time.Sleep(time.Minute)
			if h := r.Health(); h.Ready != nil {
				t.Fatalf("behind, but at work: %v", h.Ready)
			}
		}
		if st := b.status(r.Engine, "busy"); st.Backlog < 5 || st.Backlog > 95 {
			t.Errorf("%d are left: the test shows nothing", st.Backlog)
		}
	})
}

func TestReadyIsBehindAndWithoutProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		gate := make(chan struct{})
		p := projection.NewEffect("slow", projection.On(func(ctx context.Context, e Added, _ event.Event) error {
			if e.N > 0 {
				select {
				case <-gate:
				case <-ctx.Done():
				}
			}
			return nil
		})).With(projection.Options{Start: store.AtPosition(1)})
		e := b.engineWith(engine.Config{
			Projections: []projection.Projection{p}, Ready: engine.Ready{Behind: 2, NoProgress: 30 * time.Second},
		})
		if h := e.Health(); h.Live != nil || !errors.Is(h.Ready, engine.ErrUnavailable) {
			t.Errorf("before Run: %+v", h)
		}
		r := b.run(e)
		b.must(r.Wait(t.Context(), p, b.append("a", Added{0})))
		time.Sleep(time.Hour)
		if h := r.Health(); h.Live != nil || h.Ready != nil {
			t.Errorf("idle for an hour: %+v", h)
		}
		b.append("a", Added{1}, Added{0})
		time.Sleep(time.Minute)
		if h := r.Health(); h.Ready != nil {
			t.Errorf("stuck, but only 2 behind: %v", h.Ready)
		}
		b.append("a", Added{0})
		time.Sleep(10 * time.Second)
		stuck, ok := errors.AsType[*engine.StuckError](r.Health().Ready)
		if !ok || stuck.Projection != "slow" || stuck.Backlog != 3 || stuck.Stuck < 30*time.Second {
			t.Errorf("3 behind without progress: %v", r.Health().Ready)
		}
		close(gate)
		b.must(r.Wait(t.Context(), p, 4))
		if h := r.Health(); h.Ready != nil {
			t.Errorf("after it caught up: %v", h.Ready)
		}
		b.must(r.Pause(t.Context(), "slow", "on purpose"))
		b.append("a", Added{0}, Added{0}, Added{0})
		time.Sleep(time.Hour)
		if h := r.Health(); h.Ready != nil {
			t.Errorf("paused: %v", h.Ready)
		}
	})
}

// gauge collects the value of an instrument for a projection.
func gauge(t testing.TB, reader *sdkmetric.ManualReader, name, projection string) (float64, bool) {
	t.Helper()
	var data metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &data); err != nil {
		t.Fatal(err)
	}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name != name {
				continue
			}
			switch points := m.Data.(type) {
			case metricdata.Gauge[int64]:
				return pick(points.DataPoints, projection)
			case metricdata.Gauge[float64]:
				return pick(points.DataPoints, projection)
			case metricdata.Sum[int64]:
				return pick(points.DataPoints, projection)
			}
		}
	}
	return 0, false
}

func pick[N int64 | float64](points []metricdata.DataPoint[N], projection string) (float64, bool) {
	i := slices.IndexFunc(points, func(p metricdata.DataPoint[N]) bool {
		for _, a := range p.Attributes.ToSlice() {
			if a.Value.AsString() == projection {
				return true
			}
		}
		return false
	})
	if i < 0 {
		return 0, false
	}
	return float64(points[i].Value), true
}

func TestLagIsMeasuredEvenWhenNoWorkerIsAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reader := sdkmetric.NewManualReader()
		b := setupWith(t, store.Options{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))})
		m := tally(projection.Options{})
		var p picky
		p.refuse.Store(true)
		def := p.projection(projection.Options{})
		r := b.run(b.engine(m, def))
		pos := b.append("a", Added{-1})
		b.must(r.Wait(t.Context(), m, pos))
		b.must(r.Wait(t.Context(), def, pos))
		value := func(name, projection string) float64 {
			t.Helper()
			v, ok := gauge(t, reader, name, projection)
			if !ok {
				t.Errorf("no %s of %s", name, projection)
			}
			return v
		}
		time.Sleep(10 * time.Second)
		if v := value("riffle.subscription.position", "tally"); v != 1 {
			t.Errorf("position %v", v)
		}
		if v := value("riffle.subscription.backlog", "tally"); v != 0 {
			t.Errorf("backlog %v while caught up", v)
		}
		b.must(r.Pause(t.Context(), "tally", "to fall behind"))
		b.append("a", Added{1}, Added{1})
		time.Sleep(10 * time.Minute)
		if v := value("riffle.subscription.backlog", "tally"); v != 2 {
			t.Errorf("backlog %v, want 2", v)
		}
		if v := value("riffle.subscription.lag", "tally"); v < 600 || v > 610 {
			t.Errorf("lag %v s, want 600", v)
		}
		if v := value("riffle.subscription.progress.age", "tally"); v < 590 || v > 610 {
			t.Errorf("progress age %v s, want about 600", v)
		}
		if v := value("riffle.subscription.parked", "picky"); v == 0 {
			t.Error("nothing is parked")
		}
		if v := value("riffle.subscription.parked.age", "picky"); v < 600 || v > 620 {
			t.Errorf("the parked event is %v s old, want about 610", v)
		}
		b.must(r.stop())
		if _, ok := gauge(t, reader, "riffle.subscription.lag", "tally"); ok {
			t.Error("an engine that has stopped still reports")
		}
	})
}
