package engine

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

type ticked struct{}

func (ticked) EventType() event.Type { return event.Aggregate("clock").Event("ticked") }

// The switch is guarded by the old generation's checkpoint: a worker that moved it all the
// time could keep the new one from ever getting there.
func TestTheOldGenerationStandsStillForTheSwitch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, err := pebblestore.OpenMem(&pebblestore.Options{Store: store.Options{Logger: slog.New(slog.DiscardHandler)}})
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		m := projection.NewModel("ticks", projection.Fold(func(n *int, _ ticked, _ event.Event) error { *n++; return nil }))
		e, err := New(Config{Store: st, Projections: []projection.Projection{m}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		res, err := st.Append(ctx, store.Batch{Stream: event.Aggregate("clock").Stream("c"), Events: event.Of(ticked{})})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Wait(ctx, m, res.Position); err != nil {
			t.Fatal(err)
		}
		s := e.supervisors[0]
		// The generation of a newer program, which is not here: the switch does not come.
		newer := s.identity
		newer.revision++
		if _, err := s.update(ctx, func(row *store.ProjectionRow) (bool, error) {
			row.Generations = append(row.Generations, newer.generation(row.Next, store.Building, time.Now()))
			row.Next++
			return true, nil
		}); err != nil {
			t.Fatal(err)
		}
		holder := func() event.ID {
			info, err := s.subscriber(0).Info(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return info.Worker
		}
		early, err := s.activate(ctx, s.key(1), res.Position-1)
		if early != nil || err != nil {
			t.Errorf("a generation that is behind the old one is switched to: %+v, %v", early, err)
		}
		a, err := s.activate(ctx, s.key(1), res.Position)
		if err != nil || a == nil || a.OldCheckpoint != res.Position || a.Row.Active != 1 || a.Row.SwitchedAt.IsZero() {
			t.Fatalf("the switch is %+v, %v", a, err)
		}
		if !holder().IsZero() {
			t.Error("the old generation is worked on during the switch")
		}
		time.Sleep(handoverTime + time.Second)
		synctest.Wait()
		if holder().IsZero() {
			t.Error("the switch did not come, and the old generation stands still for ever")
		}
		// Another rebuild has taken its place.
		if _, err := s.update(ctx, func(row *store.ProjectionRow) (bool, error) {
			row.Generations[1].State = store.Retired
			return true, nil
		}); err != nil {
			t.Fatal(err)
		}
		if a, err := s.activate(ctx, s.key(1), res.Position); !errors.Is(err, errReplaced) {
			t.Errorf("a generation that was given up is switched to: %+v, %v", a, err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
