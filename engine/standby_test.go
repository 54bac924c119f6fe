package engine_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
)

// An engine that stood by for a rebuild, which another one has switched to, takes over a live
// projection: an event that fails is set aside, and halts nothing.
func TestAStandbyForARebuildGoesOnAsALiveModel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var hold atomic.Bool
	inside, goOn := make(chan struct{}), make(chan struct{})
	m := projection.NewModel("tally", projection.Fold(func(t *Tally, e Added, _ event.Event) error {
		if hold.Swap(false) {
			close(inside)
			<-goOn
		}
		if e.N < 0 {
			return projection.Park(errors.New("negative"))
		}
		t.N += e.N
		return nil
	}))
	first, second := b.run(b.engine(m)), b.engine(m)
	b.must(first.Wait(t.Context(), m, b.append("a", Added{1})))
	hold.Store(true)
	b.must(first.Rebuild(t.Context(), "tally"))
	<-inside // the first engine has the lease of the rebuild
	standby := b.run(second)
	b.until("the second engine stands by for the rebuild", func() bool {
		st := b.status(second, "tally").Rebuild
		return st != nil && st.State == "standby"
	})
	close(goOn)
	b.must(first.CatchUp(t.Context()))
	b.must(first.Pause(t.Context(), "tally", "until the event is there"))
	b.until("the first engine has given the lease back", func() bool { return b.status(first.Engine, "tally").Subscriber.Worker.IsZero() })
	b.must(first.stop())
	b.append("a", Added{-1})
	last := b.append("b", Added{2})
	b.must(second.Resume(t.Context(), "tally"))
	b.must(standby.Wait(t.Context(), m, last))
	if st := b.status(second, "tally"); st.State != "live" || st.Parked != 1 || b.tally(m, "b") != 2 {
		t.Errorf("the status is %+v", st)
	}
}
