package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/crashfs"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

func TestTheStartIsResolvedOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.append("a", Added{1}, Added{2})
	var f effect
	p := f.projection(projection.Options{Start: store.AtHead()})
	b.must(b.engine(p).CatchUp(t.Context())) // nothing happens, but the start is fixed
	pos := b.append("a", Added{3})
	e := b.engine(p)
	b.must(e.CatchUp(t.Context()))
	if got := f.handled(); !slices.Equal(got, []int{3}) {
		t.Errorf("handled %v, want what came after the first run", got)
	}
	if st := b.status(e, "effect"); st.Row.Start != pos {
		t.Errorf("the start is %d, want %d", st.Row.Start, pos)
	}
}

// What counts is when the projection ran first, not when its worker came to its first event.
func TestTheStartIsResolvedOnceThoughNothingIsCommittedYet(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.append("a", Added{1}, Added{2})
	var f effect
	p := f.projection(projection.Options{Start: store.AtHead()})
	b.must(b.engine(p).Pause(t.Context(), "effect", "before its first event"))
	wantState(t, b.engine(p).CatchUp(t.Context()), "paused")
	b.append("a", Added{3})
	e := b.engine(p)
	b.must(e.Resume(t.Context(), "effect"))
	b.must(e.CatchUp(t.Context()))
	if got := f.handled(); !slices.Equal(got, []int{3}) {
		t.Errorf("handled %v, want what came after the first run", got)
	}
}

// The power fails right after the start, when nothing else has been written.
func TestTheStartOutlivesACrash(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // so that nothing is synced by the way, as time goes by
		disk := crashfs.New()
		b := setupOn(t, disk)
		b.append("a", Added{1}, Added{2})
		var f effect
		p := f.projection(projection.Options{Start: store.AtHead()})
		b.must(b.engine(p).Pause(t.Context(), "effect", "so that no claim is written"))
		wantState(t, b.engine(p).CatchUp(t.Context()), "paused")
		b = setupOn(t, disk.CrashClone(vfs.CrashCloneCfg{}))
		b.append("a", Added{3})
		e := b.engine(p)
		b.must(e.Resume(t.Context(), "effect"))
		b.must(e.CatchUp(t.Context()))
		if got := f.handled(); !slices.Equal(got, []int{3}) {
			t.Errorf("handled %v, want what came after the first start", got)
		}
	})
}

func TestEnginesThatStartAtTheSameTimeAgree(t *testing.T) {
	t.Parallel()
	for range 20 {
		b := setup(t)
		b.append("a", Added{1})
		begin := make(chan struct{})
		var all sync.WaitGroup
		for range 4 {
			e := b.engine(tally(projection.Options{}), new(effect).projection(projection.Options{}))
			all.Go(func() {
				<-begin
				if err := e.CatchUp(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		close(begin)
		all.Wait()
	}
}

func TestRunReportsWhatIsAtOddsWithTheStore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var f effect
	keyed := f.projection(projection.Options{RoutingKey: new("eu")})
	b.must(b.engine(tally(projection.Options{}), keyed).CatchUp(t.Context()))

	asSink := projection.NewSink("tally", target{}, store.Match{Aggregate: Counters})
	moved := f.projection(projection.Options{RoutingKey: new("us")})
	e := b.engine(asSink, moved)
	err := e.Run(t.Context())
	if !errors.Is(err, store.ErrInvalid) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{`"tally"`, "a sink", "a model", `"us"`, `"eu"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not speak of %s: %v", want, err)
		}
	}
	if err := e.Wait(t.Context(), asSink, 1); !errors.Is(err, engine.ErrUnavailable) {
		t.Errorf("Wait after the failed Run: %v", err)
	}
}

func TestAnEffectGoesOnFromItsCheckpointWithMoreHandlers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var f effect
	b.append("a", Added{1}, Noted{"old"})
	b.must(b.engine(f.projection(projection.Options{})).CatchUp(t.Context()))
	var notes []string
	more := projection.NewEffect("effect", projection.On(f.handle), projection.On(
		func(_ context.Context, n Noted, _ event.Event) error { notes = append(notes, n.Text); return nil },
	)).With(projection.Options{Start: store.AtPosition(1)})
	b.append("a", Noted{"new"}, Added{2})
	b.must(b.engine(more).CatchUp(t.Context()))
	if got := f.handled(); !slices.Equal(got, []int{1, 2}) || !slices.Equal(notes, []string{"new"}) {
		t.Errorf("handled %v and %q", got, notes)
	}
}

func TestManyProjectionsStartAndStop(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var all []projection.Projection
	for i := range 300 {
		all = append(all, projection.NewModel(fmt.Sprintf("m%d", i),
			projection.Fold(func(t *Tally, e Added, _ event.Event) error { t.N += e.N; return nil })))
	}
	r := b.run(b.engine(all...))
	pos := b.append("a", Added{1})
	for _, p := range all {
		b.must(r.Wait(t.Context(), p, pos))
	}
	b.must(r.stop())
}

// A changed routing key selects other events of the past too. A model is built again from
// them; what an effect or a sink did cannot be made up for.
func TestAnotherRoutingKeyRebuildsAModelAndIsRefusedToOthers(t *testing.T) {
	t.Parallel()
	keys := map[string]*string{"all": nil, "none": new(""), "eu": new("eu"), "us": new("us")}
	for from, old := range keys {
		for to, now := range keys {
			if from == to {
				continue
			}
			t.Run(from+" to "+to, func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				for key, n := range map[string]int{"": 1, "eu": 10, "us": 100} {
					_, err := b.store.Append(t.Context(), store.Batch{Stream: Counters.Stream("of-" + key), RoutingKey: key, Events: event.Of(Added{n})})
					b.must(err)
				}
				sum := func(m *projection.Model[Tally]) (n int) {
					for s, err := range m.All(t.Context(), b.store, store.Range{}) {
						b.must(err)
						n += s.Value.N
					}
					return n
				}
				want := map[string]int{"all": 111, "none": 1, "eu": 10, "us": 100}
				var f effect
				sink := projection.NewSink("rows", target{}, store.Match{Aggregate: Counters})
				b.must(b.engine(tally(projection.Options{RoutingKey: old}), f.projection(projection.Options{RoutingKey: old}),
					sink.With(projection.Options{RoutingKey: old})).CatchUp(t.Context()))
				if got := sum(tally(projection.Options{RoutingKey: old})); got != want[from] {
					t.Fatalf("the tally was %d, want %d", got, want[from])
				}
				changed := tally(projection.Options{RoutingKey: now})
				e := b.engine(changed)
				b.must(e.CatchUp(t.Context()))
				if got, st := sum(changed), b.status(e, "tally"); got != want[to] || st.Row.Active != 1 {
					t.Errorf("the tally is %d in generation %d, want %d in another one", got, st.Row.Active, want[to])
				}
				halting := b.engine(tally(projection.Options{RoutingKey: old, OnChange: projection.ChangeHalt, Revision: 1}))
				if err := halting.CatchUp(t.Context()); !errors.Is(err, engine.ErrUnavailable) {
					t.Errorf("a change that shall halt: %v", err)
				}
				for _, p := range []projection.Projection{f.projection(projection.Options{RoutingKey: now}), sink.With(projection.Options{RoutingKey: now})} {
					if err := b.engine(p).Run(t.Context()); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "RoutingKey of") {
						t.Errorf("%s: %v", p.Name(), err)
					}
				}
			})
		}
	}
}
