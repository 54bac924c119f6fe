package engine_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// reluctant is a target that does not go back before it is told to.
type reluctant struct {
	shelf
	ready atomic.Bool
}

func (r *reluctant) Reset(ctx context.Context, ses projection.Session, to event.Position) error {
	if !r.ready.Load() {
		return errStubborn
	}
	return r.shelf.Reset(ctx, ses, to)
}

// A raised revision is written down when the target has gone back, and not before: until then
// nothing is written behind what the former revision wrote.
func TestARaisedRevisionOfASinkWaitsForItsReset(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		var s reluctant
		sink := projection.NewSink("rows", &s, store.Match{Aggregate: Counters})
		b.append("a", Added{1}, Added{2})
		b.must(b.engine(sink).CatchUp(t.Context()))

		raised := b.run(b.engine(sink.With(projection.Options{Revision: 1})))
		last := b.append("a", Added{3})
		time.Sleep(10 * time.Minute)
		rows, resets := s.state()
		if st := b.status(raised.Engine, "rows"); !slices.Equal(rows, []event.Position{1, 2}) || resets != nil || st.Row.Generations[0].Revision != 0 {
			t.Fatalf("it has not gone back, and has %v; the row is %+v", rows, st.Row)
		}
		s.ready.Store(true)
		b.must(raised.Wait(t.Context(), sink, last, engine.WaitThrough))
		rows, resets = s.state()
		if st := b.status(raised.Engine, "rows"); !slices.Equal(rows, []event.Position{1, 2, 3}) || !slices.Equal(resets, []event.Position{0}) || st.Row.Generations[0].Revision != 1 {
			t.Errorf("it went back to %v and has %v; the row is %+v", resets, rows, st.Row)
		}
		b.must(raised.stop())
		b.must(b.engine(sink.With(projection.Options{Revision: 1})).CatchUp(t.Context()))
		if _, resets := s.state(); len(resets) != 1 {
			t.Errorf("it went back to %v: once is enough", resets)
		}
	})
}
