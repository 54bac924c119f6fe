package engine_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
)

// Between its pages a rebuild rests while others append, until it is near the head.
func TestARebuildGivesWayToAppends(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const events, page, work = 400, 10, time.Millisecond
		b := setup(t)
		var building atomic.Bool
		var folds []time.Time
		m := projection.NewModel("tally", projection.Fold(func(t *Tally, e Added, _ event.Event) error {
			if building.Load() {
				folds = append(folds, time.Now())
				time.Sleep(work)
			}
			t.N += e.N
			return nil
		})).With(projection.Options{PageSize: page})
		for range events {
			b.append("a", Added{1})
		}
		r := b.run(b.engine(m))
		b.must(r.Wait(t.Context(), m, events))
		building.Store(true)
		b.must(r.Rebuild(t.Context(), "tally"))
		for b.status(r.Engine, "tally").Row.Active == 0 {
			b.append("b", Noted{"of no concern to the model"})
			time.Sleep(work)
		}
		b.must(r.stop())
		if len(folds) != events {
			t.Fatalf("the rebuild has folded %d events, want %d", len(folds), events)
		}
		var rests time.Duration
		for i := 1; i < events; i++ {
			rest := folds[i].Sub(folds[i-1]) - work
			if rest <= 0 {
				continue
			}
			if rests += rest; i%page != 0 {
				t.Errorf("rests %v in the middle of a page, behind event %d", rest, i)
			}
		}
		if rests < events*work/10 || rests > 4*events*work {
			t.Errorf("rests %v in all while it works for %v", rests, events*work)
		}
	})
}
