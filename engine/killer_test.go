package engine_test

import (
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/crashfs"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// Skipping another event, while nothing runs, does not make the one harmless that was in hand
// when the process died.
func TestASkipForgetsNoKiller(t *testing.T) {
	t.Parallel()
	disk := crashfs.New()
	b := setupOn(t, disk)
	var f effect
	p := f.projection(projection.Options{Start: store.AtPosition(1)})
	r := b.run(b.engine(p))
	b.must(r.Wait(t.Context(), p, b.append("a", Added{1})))
	b.must(r.stop())
	last := b.append("a", Added{2}, Added{3}) // the first of them is set aside, the next one kills
	last = max(last, b.append("b", Added{4}))
	u := b.store.Subscriber(store.SubscriberKey{Projection: "effect"})
	lease, err := u.Claim(t.Context(), event.NewID(), time.Minute)
	b.must(err)
	row := store.Row{Key: "a", Position: 2, State: store.Parked}
	_, err = lease.Commit(t.Context(), store.Commit{From: 1, To: 2, Rows: []store.Row{row}, InHand: 3})
	b.must(err)
	b = setupOn(t, disk.CrashClone(vfs.CrashCloneCfg{}))
	e := b.engine(p)
	b.must(e.Skip(t.Context(), "effect", "a", 2))
	r = b.run(e)
	b.must(r.Wait(t.Context(), p, last))
	if got := f.handled(); !slices.Equal(got, []int{1, 4}) {
		t.Errorf("handled %v", got)
	}
	if st := b.status(e, "effect"); st.Parked != 1 {
		t.Errorf("the status is %+v", st)
	}
}
