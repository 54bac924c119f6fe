package projection_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

type fakeTarget struct{}

func (fakeTarget) Begin(_ context.Context, _ projection.Session, from, _ event.Position) (event.Position, error) {
	return from, nil
}

func (fakeTarget) Write(context.Context, projection.Session, event.Position, event.Position, []event.Event) error {
	return nil
}

type resettable struct{ fakeTarget }

func (resettable) Reset(context.Context, projection.Session, event.Position) error { return nil }

func onDeposited(context.Context, Deposited, event.Event) error { return nil }

func mailer(o projection.Options) *projection.Effect {
	if o.Start.IsZero() {
		o.Start = store.AtHead()
	}
	return projection.NewEffect("mailer", projection.On(onDeposited)).With(o)
}

type panics struct{ p *int }

func (p panics) EventType() event.Type { *p.p++; return Accounts.Event("panics") }

type onPointer struct{ X int }

func (*onPointer) EventType() event.Type { return Accounts.Event("on-pointer") }

func TestGoodDefinitionsHaveNoFault(t *testing.T) {
	t.Parallel()
	for _, p := range []projection.Projection{
		balances(), flows(), mailer(projection.Options{}),
		balances().With(projection.Options{
			Streams: []event.Stream{Accounts.Stream("a")}, RoutingKey: new(""), Strict: true, Revision: 2, OnChange: projection.ChangeHalt,
			Ignore: []event.Type{Opened{}.EventType()}, SnapshotEvery: projection.SnapshotNever, RenamedFrom: "old", Codec: event.JSON(),
		}),
		mailer(projection.Options{Concurrency: 8, BatchEmits: true, Repeat: true, Delay: time.Second}),
		projection.NewSink("everything", fakeTarget{}),
		projection.NewSink("rows", resettable{}, store.MatchTypes(Deposited{}.EventType())...).With(projection.Options{Revision: 1, Strict: true}),
		projection.NewModel("pointers", projection.Fold(func(*Balance, *onPointer, event.Event) error { return nil })),
	} {
		if err := p.Program().Fault; err != nil {
			t.Errorf("%s: %v", p.Name(), err)
		}
		if p.Name() != p.Program().Name {
			t.Errorf("%s has a program named %s", p.Name(), p.Program().Name)
		}
	}
}

func TestFaultsAreReportedAllAtOnce(t *testing.T) {
	t.Parallel()
	e := projection.NewEffect("\x00").With(projection.Options{
		PageSize: -1, Revision: 2, Codec: event.JSON(), Streams: []event.Stream{{}}, Ignore: []event.Type{{}},
	})
	text := fmt.Sprint(e.Program().Fault)
	for _, want := range []string{"Name", "PageSize", "Revision", "Codec", "Streams[0]", "Ignore[0]", "Ignore of", "Start", "Handlers"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not among the faults:\n%s", want, text)
		}
	}
	if !errors.Is(e.Program().Fault, store.ErrInvalid) {
		t.Error("the faults are not store.ErrInvalid")
	}
}

func TestFaultyDefinitions(t *testing.T) {
	t.Parallel()
	opened := func(*Balance, Opened, event.Event) error { return nil }
	renamed := func(*Balance, Renamed, event.Event) error { return nil }
	model := func(o projection.Options) projection.Projection { return balances().With(o) }
	sink := func(o projection.Options) projection.Projection {
		return projection.NewSink("rows", fakeTarget{}).With(o)
	}
	for _, c := range []struct {
		name string
		p    projection.Projection
		want string
		runs bool // it only cannot run
	}{
		{"no name", projection.NewModel("", projection.Fold(opened)), "Name", false},
		{"no folds", projection.NewModel[Balance]("m"), "nothing to do", false},
		{"nil fold", projection.NewModel("m", projection.Fold[Balance, Opened](nil)), "Handler 1", false},
		{"nil keys", projection.NewModel("m", projection.FoldBy(nil, opened)), "Handler 1", false},
		{"nil raw fold", projection.NewModel("m", projection.FoldAny[Balance](Accounts, nil)), "Handler 1", false},
		{"nil handler", projection.NewEffect("m", projection.On[Opened](nil)), "Handler 1", false},
		{"bad aggregate", projection.NewEffect("m", projection.OnAny("", func(context.Context, event.Event) error { return nil })), "Handler 1", false},
		{"interface", projection.NewModel("m", projection.Fold(func(*Balance, event.Payload, event.Event) error { return nil })), "interface", false},
		{"EventType that panics", projection.NewModel("m", projection.Fold(func(*Balance, panics, event.Event) error { return nil })), "panics", false},
		{"several aggregates", projection.NewModel("m", projection.Fold(opened), projection.Fold(renamed)), "FoldBy or Options.Key", true},
		{"start of a model", model(projection.Options{Start: store.AtHead()}), "Start", true},
		{"concurrency of a model", model(projection.Options{Concurrency: 2}), "Concurrency", true},
		{"emits of a model", model(projection.Options{BatchEmits: true}), "BatchEmits", true},
		{"repeat of a model", model(projection.Options{Repeat: true}), "Repeat", true},
		{"snapshots", model(projection.Options{SnapshotEvery: -2}), "SnapshotEvery", false},
		{"no start", projection.NewEffect("m", projection.On(onDeposited)), "store.AtHead()", true},
		{"revision of an effect", mailer(projection.Options{Revision: 1}), "Revision", true},
		{"change of an effect", mailer(projection.Options{OnChange: projection.ChangeHalt}), "OnChange", true},
		{"snapshots of an effect", mailer(projection.Options{SnapshotEvery: 1}), "SnapshotEvery", true},
		{"no target", projection.NewSink("m", nil), "Target", false},
		{"empty match", projection.NewSink("m", fakeTarget{}, store.MatchTypes()...), "nothing to do", false},
		{"bad match", projection.NewSink("m", fakeTarget{}, store.Match{}), "Match[0]", false},
		{"bad name in a match", projection.NewSink("m", fakeTarget{}, store.Match{Aggregate: Accounts, Name: "\x00"}), "Match[0]", false},
		{"revision of a sink", sink(projection.Options{Revision: 1}), "Resetter", true},
		{"concurrency of a sink", sink(projection.Options{Concurrency: 3}), "Concurrency", true},
		{"commits of a sink", sink(projection.Options{CommitEvery: 1}), "CommitEvery", true},
		{"page too large", model(projection.Options{PageSize: store.MaxPageSize + 1}), "PageSize", false},
		{"negative delay", model(projection.Options{Delay: -1}), "Delay", false},
		{"negative attempts", model(projection.Options{Retry: projection.Retry{Attempts: -1}}), "Retry.Attempts", false},
		{"long routing key", model(projection.Options{RoutingKey: new(strings.Repeat("x", 256))}), "RoutingKey", false},
		{"routing key", model(projection.Options{RoutingKey: new("\xff")}), "RoutingKey", false},
		{"foreign streams", model(projection.Options{Streams: []event.Stream{Owners.Stream("o")}}), "Streams", false},
		{"renamed from itself", model(projection.Options{RenamedFrom: "balances"}), "RenamedFrom", false},
		{"renamed from nothing", model(projection.Options{RenamedFrom: "\xff"}), "RenamedFrom", false},
		{"unknown failure", model(projection.Options{OnFailure: 9}), "OnFailure", false},
		{"unknown change", model(projection.Options{OnChange: 9}), "OnChange", false},
		{"ignore without strict", model(projection.Options{Ignore: []event.Type{Opened{}.EventType()}}), "Ignore", true},
	} {
		p := c.p.Program()
		if p.Fault == nil || !strings.Contains(p.Fault.Error(), c.want) || !errors.Is(p.Fault, store.ErrInvalid) {
			t.Errorf("%s: fault %v, want one about %q", c.name, p.Fault, c.want)
		}
		if (p.Broken == nil) != c.runs {
			t.Errorf("%s: broken %v", c.name, p.Broken)
		}
	}
}

func TestABrokenModelCannotBeRead(t *testing.T) {
	t.Parallel()
	st := setup(t)
	m := projection.NewModel[Balance]("m")
	_, get := m.Get(t.Context(), st, "a")
	_, load := m.Load(t.Context(), st, Accounts.Stream("a"))
	_, key := m.LoadKey(t.Context(), st, "a")
	var all error
	for _, err := range m.All(t.Context(), st, store.Range{}) {
		all = err
	}
	for i, err := range []error{get, load, key, all} {
		if !errors.Is(err, store.ErrInvalid) {
			t.Errorf("read %d: %v", i, err)
		}
	}
}

func TestWithReplacesOptionsAndChangesNothingElse(t *testing.T) {
	t.Parallel()
	first := balances().With(projection.Options{Revision: 1})
	second := first.With(projection.Options{PageSize: 7})
	if first.Program().Revision != 1 || first.Program().PageSize != store.DefaultPageSize {
		t.Error("With changed the model it was called on")
	}
	if second.Program().Revision != 0 || second.Program().PageSize != 7 {
		t.Error("With kept an old option")
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	m, e, s := balances().Program(), mailer(projection.Options{}).Program(), projection.NewSink("s", fakeTarget{}).Program()
	for _, p := range []*program.Program{m, e, s} {
		if p.PageSize != 500 || p.Concurrency != 1 || p.Retry != program.DefaultRetry || p.OnFailure != projection.FailPark ||
			p.OnChange != projection.ChangeRebuild || p.Delay != 0 || p.Strict || p.ParkUnkeyed || p.RoutingKey != nil {
			t.Errorf("%s: %+v", p.Name, p)
		}
	}
	if m.CommitEvery != 200*time.Millisecond || e.CommitEvery != 100*time.Millisecond {
		t.Error(m.CommitEvery, e.CommitEvery)
	}
	if s.Match != nil {
		t.Errorf("a sink without a match reads %v, not everything", s.Match)
	}
	if m.Kind != program.Model || e.Kind != program.Effect || s.Kind != program.Sink {
		t.Error(m.Kind, e.Kind, s.Kind)
	}
	if s.Sink.Resetter() != nil || projection.NewSink("s", resettable{}).Program().Sink.Resetter() == nil {
		t.Error("whether a target can be reset")
	}
}

func TestStatesMayBeMapsPointersAndMessages(t *testing.T) {
	t.Parallel()
	st := setup(t)
	ann := Accounts.Stream("ann")
	appendTo(t, st, ann, Deposited{3}, Deposited{4})
	counts := projection.NewModel("counts", projection.Fold(func(m *map[string]int64, e Deposited, _ event.Event) error {
		(*m)["sum"] += e.Cents
		return nil
	}))
	pointer := projection.NewModel("pointer", projection.Fold(func(b **Balance, e Deposited, _ event.Event) error {
		(*b).Cents += e.Cents
		return nil
	}))
	message := projection.NewModel("message", projection.Fold(func(v **wrapperspb.Int64Value, e Deposited, _ event.Event) error {
		(*v).Value += e.Cents
		return nil
	}))
	stamp := projection.NewModel("stamp", projection.Fold(func(v *timestamppb.Timestamp, e Deposited, _ event.Event) error {
		v.Seconds += e.Cents
		return nil
	}))
	build(t, st, counts, 0, 1)
	build(t, st, pointer, 0, 1)
	build(t, st, message, 0, 1)
	build(t, st, stamp, 0, 1)
	if s, err := counts.Load(t.Context(), st, ann); err != nil || s.Value["sum"] != 7 {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := pointer.Load(t.Context(), st, ann); err != nil || s.Value.Cents != 7 {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := message.Load(t.Context(), st, ann); err != nil || s.Value.Value != 7 {
		t.Errorf("%+v, %v", s, err)
	}
	sn, err := st.State(t.Context(), store.SnapshotKey{Projection: "stamp", Key: "ann"})
	if err != nil || sn.ContentType != event.Protobuf().ContentType() {
		t.Errorf("%+v, %v", sn, err)
	}
}
