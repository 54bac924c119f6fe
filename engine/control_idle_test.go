package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/worker"
)

// The worker that holds the lease is another engine's, and idle. It obeys all the same, and
// is not fenced for it.
func TestControlFromAnotherEngineReachesAnIdleWorkerAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		var p picky
		p.refuse.Store(true)
		def := p.projection(projection.Options{Repeat: true})
		works := b.run(b.engine(def))
		bad := b.append("a", Added{-1})
		b.must(works.Wait(t.Context(), def, bad))
		other := b.run(b.engine(def))
		becomes := func(e *running, what string, ok func(engine.Status) bool) {
			t.Helper()
			began := time.Now()
			b.until(what, func() bool { return ok(b.status(e.Engine, "picky")) })
			if took := time.Since(began); took > 20*time.Millisecond {
				t.Errorf("%s: after %v", what, took)
			}
			time.Sleep(time.Hour) // it is idle again
		}
		is := func(st worker.State) func(engine.Status) bool {
			return func(s engine.Status) bool { return s.State == st }
		}
		becomes(other, "the other one stands by", is(worker.Standby))
		term := b.status(other.Engine, "picky").Subscriber.Term
		p.refuse.Store(false)
		b.must(other.Retry(t.Context(), "picky", ""))
		becomes(works, "nothing is parked", func(s engine.Status) bool { return s.Parked == 0 })
		if st := b.status(other.Engine, "picky"); st.Subscriber.Term != term {
			t.Errorf("the term rose from %d to %d: a retry needs no other worker", term, st.Subscriber.Term)
		}
		b.must(other.Pause(t.Context(), "picky", "for the audit"))
		becomes(works, "it is paused", is(worker.Paused))
		b.must(other.Resume(t.Context(), "picky"))
		b.until("one of them works", func() bool {
			return is(worker.Live)(b.status(works.Engine, "picky")) || is(worker.Live)(b.status(other.Engine, "picky"))
		})
		time.Sleep(time.Hour)
		began := time.Now()
		b.must(other.Rewind(t.Context(), "picky", store.AtPosition(1)))
		b.must(works.Rewind(t.Context(), "picky", store.AtPosition(1)))
		if took := time.Since(began); took > 20*time.Millisecond {
			t.Errorf("two rewinds with nothing at hand took %v", took)
		}
	})
}
