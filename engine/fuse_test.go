package engine_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
	"github.com/riffle-go/riffle/worker"
)

// breakable is a disk whose writes fail from some time on.
func breakable(broken *atomic.Bool) vfs.FS {
	return errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return errors.New("the disk is broken")
		}
		return nil
	}))
}

// What was written to a broken disk hangs for ever in Pebble, behind the fuse. The engine
// must not: everything in it stops, everybody is answered, the process lives.
func TestAStoreThatFailsEndsRunAndAnswersEverybody(t *testing.T) {
	t.Parallel()
	if !apart(t) {
		return
	}
	var broken atomic.Bool
	st, err := pebblestore.Open("db", &pebblestore.Options{
		FS: breakable(&broken), FreeSpace: pebblestore.NoFreeSpaceCheck, Store: store.Options{Logger: slog.New(slog.DiscardHandler)},
	})
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{TB: t, store: st}
	m := tally(projection.Options{})
	echo := projection.NewEffect("echo", projection.On(func(ctx context.Context, e Added, _ event.Event) error {
		return projection.Emit(ctx, store.Batch{Stream: Counters.Stream("echo"), Expect: store.Any, Events: event.Of(Echoed(e))})
	})).With(projection.Options{Start: store.AtPosition(1)})
	causes := make(chan error, 1)
	slow := projection.NewEffect("slow", projection.On(func(ctx context.Context, _ Noted, _ event.Event) error {
		causes <- nil
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return ctx.Err()
	})).With(projection.Options{Start: store.AtPosition(1)})
	all := []projection.Projection{m, echo, slow, projection.NewSink("rows", target{}, store.Match{Aggregate: Counters})}
	config := engine.Config{Store: st, Projections: all, ShutdownTimeout: 500 * time.Millisecond}
	var ended []chan error
	var engines []*engine.Engine
	for range 2 { // one stands by
		e, err := engine.New(config)
		b.must(err)
		ch := make(chan error, 1)
		go func() { ch <- e.Run(context.Background()) }()
		engines, ended = append(engines, e), append(ended, ch)
	}
	pos := b.append("a", Added{1})
	b.must(engines[0].Wait(t.Context(), m, pos))
	b.must(engines[1].Wait(t.Context(), echo, pos))
	b.append("a", Noted{"enters the slow handler"})
	<-causes
	waits := make(chan error, len(engines)*len(all))
	for _, e := range engines {
		for _, p := range all {
			go func() { waits <- e.Wait(context.Background(), p, 1000) }()
		}
	}
	caught := make(chan error, 1)
	go func() { caught <- engines[0].CatchUp(context.Background()) }()

	broken.Store(true)
	if _, err := st.Append(t.Context(), store.Batch{Stream: Counters.Stream("a"), Expect: store.Any, Events: event.Of(Added{1})}); !errors.Is(err, store.ErrFailed) {
		t.Fatalf("an append to a broken disk: %v", err)
	}
	late := time.NewTimer(30 * time.Second)
	defer late.Stop()
	answer := func(what string, ch <-chan error) error {
		t.Helper()
		select {
		case err := <-ch:
			return err
		case <-late.C:
			t.Fatalf("no answer in time: %s", what)
			return nil
		}
	}
	for _, ch := range ended {
		if err := answer("Run", ch); !errors.Is(err, store.ErrFailed) {
			t.Errorf("Run ended with %v, want ErrFailed", err)
		}
	}
	for range cap(waits) {
		if err := answer("Wait", waits); !errors.Is(err, store.ErrFailed) && !errors.Is(err, engine.ErrUnavailable) {
			t.Errorf("Wait answered %v", err)
		}
	}
	if err := answer("CatchUp", caught); err == nil {
		t.Error("CatchUp answered that all is done")
	}
	if err := answer("the slow handler", causes); err == nil {
		t.Error("the slow handler's context has no cause")
	}
	for _, e := range engines {
		if h := e.Health(); !errors.Is(h.Live, store.ErrFailed) || !errors.Is(h.Ready, store.ErrFailed) {
			t.Errorf("the health is %v", h)
		}
		all, err := e.Status(t.Context())
		b.must(err) // reads go on
		for _, s := range all {
			if s.State != worker.Stopped && s.State != worker.Standby {
				t.Errorf("%s is %s", s.Projection, s.State)
			}
		}
	}
	if n := b.tally(m, "a"); n != 1 {
		t.Errorf("the tally is %d", n)
	}
	b.must(st.Close())
}
