package engine_test

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
)

// idlers are projections that have nothing to do.
func idlers(n int) []projection.Projection {
	all := make([]projection.Projection, n)
	for i := range all {
		all[i] = projection.NewModel(fmt.Sprintf("m%d", i),
			projection.Fold(func(t *Tally, e Added, _ event.Event) error { t.N += e.N; return nil }))
	}
	return all
}

func TestIdleSubscriptionsWriteNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		r := b.run(b.engine(idlers(20)...))
		b.append("a", Added{1})
		b.must(r.CatchUp(t.Context()))
		time.Sleep(time.Minute)
		before, err := r.Status(t.Context())
		b.must(err)
		time.Sleep(time.Hour)
		after, err := r.Status(t.Context())
		b.must(err)
		for i := range after {
			was, is := before[i].Subscriber, after[i].Subscriber
			if !is.UpdatedAt.Equal(was.UpdatedAt) || is.Term != was.Term || before[i].Row.Revision != after[i].Row.Revision {
				t.Errorf("%s: %+v became %+v", after[i].Projection, was, is)
			}
			if after[i].State != "live" {
				t.Errorf("%s is %s", after[i].Projection, after[i].State)
			}
		}
	})
}

func BenchmarkIdleSubscription(b *testing.B) {
	const n = 1000
	t := setup(b)
	e := t.engineWith(engine.Config{Projections: idlers(n)})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r := t.run(e)
	t.append("a", Added{1})
	t.must(r.CatchUp(b.Context()))
	runtime.GC()
	runtime.GC() // pools take two
	runtime.ReadMemStats(&after)
	for b.Loop() { // what a probe and a scrape cost
		_ = r.Health()
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "heap-B/subscription")
	b.ReportMetric(float64(after.StackInuse-before.StackInuse)/n, "stack-B/subscription")
}
