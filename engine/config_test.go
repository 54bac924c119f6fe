package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/projection/sqlsink"
	"github.com/riffle-go/riffle/store"
)

// target is a sink that keeps nothing.
type target struct{}

func (target) Begin(_ context.Context, _ projection.Session, from, _ event.Position) (event.Position, error) {
	return from, nil
}

func (target) Write(context.Context, projection.Session, event.Position, event.Position, []event.Event) error {
	return nil
}

func TestEverythingWrongIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	noStart := projection.NewEffect("no start", projection.On(func(context.Context, Added, event.Event) error { return nil }))
	_, err := engine.New(engine.Config{
		Projections: []projection.Projection{
			tally(projection.Options{}), nil, tally(projection.Options{}), noStart,
			projection.NewSink("sink", target{}).With(projection.Options{RenamedFrom: "old"}),
			projection.NewModel[Tally]("empty"),
			projection.NewModel("thief", projection.Fold(func(*Tally, Added, event.Event) error { return nil })).
				With(projection.Options{RenamedFrom: "tally"}),
			new(effect).projection(projection.Options{RenamedFrom: "past"}),
			projection.NewModel("heir", projection.Fold(func(*Tally, Added, event.Event) error { return nil })).
				With(projection.Options{RenamedFrom: "past"}),
			(*projection.Effect)(nil),
			sqlsink.New("orders", nil, "mysql", sqlsink.Handler{}),
		},
		LeaseTTL: time.Millisecond, ShutdownTimeout: -1, StateCache: -1, Ready: engine.Ready{NoProgress: -1},
	})
	if !errors.Is(err, store.ErrInvalid) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{
		"Config.Store", "Projections[1]", "Projections[9]", `the name "tally" of another one`, "no start", `RenamedFrom of "sink"`,
		"empty", `RenamedFrom of "thief"`, `RenamedFrom of "heir"`, `DB of projection "orders"`, `Dialect of projection "orders"`, `Handler 1 of projection "orders"`, "LeaseTTL", "ShutdownTimeout", "StateCache", "NoProgress",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not speak of %s:\n%v", want, err)
		}
	}
}

func TestAnEngineKnowsWhatItWasMadeWith(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := tally(projection.Options{})
	given := []projection.Projection{m}
	e := b.engine(given...)
	given[0] = nil
	got := e.Projections()
	if len(got) != 1 || got[0] != projection.Projection(m) || e.Store() != b.store {
		t.Fatalf("projections %v, store %p", got, e.Store())
	}
	got[0] = nil
	if e.Projections()[0] == nil {
		t.Fatal("the slice that Projections returns is the engine's own")
	}
}
