package projection_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/projection/projectiontest"
	"github.com/riffle-go/riffle/store"
)

// stored makes the event of a payload as a store would give it out.
func stored(t *testing.T, s event.Stream, p event.Payload) event.Event {
	t.Helper()
	return projectiontest.NewLog(t).Append(s, p).Events[0]
}

func TestKeysOfAModel(t *testing.T) {
	t.Parallel()
	keyed := func(keys ...string) *projection.Model[Flow] {
		return projection.NewModel("m", projection.FoldBy(func(Completed, event.Event) []string { return keys },
			func(*Flow, Completed, event.Event) error { return nil }))
	}
	many := make([]string, program.MaxKeys+1)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	tr := stored(t, Transfers.Stream("1"), Completed{"ann", "bob", 5})
	dep := stored(t, Accounts.Stream("ann"), Deposited{5})
	byTime := balances().With(projection.Options{Key: func(ev event.Event) string { return ev.Time.Format("2006") }})
	for _, c := range []struct {
		name string
		p    projection.Projection
		ev   event.Event
		want []string // nil with fails: a KeyError
		bad  bool
	}{
		{"the stream's id", balances(), dep, []string{"ann"}, false},
		{"by option", byTime, dep, []string{"2000"}, false},
		{"nobody's event", balances(), tr, nil, false},
		{"two folds", flows(), tr, []string{"ann", "bob"}, false},
		{"without duplicates", keyed("b", "a", "b", "a"), tr, []string{"b", "a"}, false},
		{"none", keyed(), tr, nil, false},
		{"an empty key", keyed("a", ""), tr, nil, true},
		{"a long key", keyed(strings.Repeat("x", 385)), tr, nil, true},
		{"as many as allowed", keyed(many[1:]...), tr, many[1:], false},
		{"too many", keyed(many...), tr, nil, true},
		{"as many with duplicates", keyed(append(slices.Clone(many[1:]), "1", "2")...), tr, many[1:], false},
		{"effects have one", mailer(projection.Options{}), dep, []string{"ann"}, false},
		{"nobody's event of an effect", mailer(projection.Options{}), tr, nil, false},
		{"bad key of an effect", mailer(projection.Options{Key: func(event.Event) string { return "" }}), dep, nil, true},
		{"a sink of everything", projection.NewSink("s", fakeTarget{}), tr, []string{"1"}, false},
		{"a sink of something", projection.NewSink("s", fakeTarget{}, store.MatchTypes(Deposited{}.EventType())...), tr, nil, false},
	} {
		got, err := c.p.Program().Keys(c.ev)
		_, isKeyError := errors.AsType[*projection.KeyError](err)
		if !slices.Equal(got, c.want) || isKeyError != c.bad || (err != nil) != c.bad {
			t.Errorf("%s: %d keys, %v", c.name, len(got), err)
		}
	}
}

func TestAPayloadThatCannotBeDecodedHasNoKeys(t *testing.T) {
	t.Parallel()
	ev := stored(t, Transfers.Stream("1"), Completed{})
	ev.Data = []byte("{")
	_, err := flows().Program().Keys(ev)
	ke, ok := errors.AsType[*projection.KeyError](err)
	if _, decode := errors.AsType[*event.DecodeError](err); !ok || !decode || ke.Position != 1 || ke.ErrorType() != "key" {
		t.Fatal(err)
	}
}

func TestEveryFoldOfAnEventRunsInOrderForItsKeys(t *testing.T) {
	t.Parallel()
	type trace struct{ Steps string }
	step := func(name string) func(*trace, Completed, event.Event) error {
		return func(tr *trace, _ Completed, _ event.Event) error { tr.Steps += name; return nil }
	}
	m := projection.NewModel("m",
		projection.FoldBy(func(e Completed, _ event.Event) []string { return []string{e.From} }, step("a")),
		projection.Fold(step("b")),
		projection.FoldAny(Transfers, func(tr *trace, ev event.Event) error { tr.Steps += "c"; return nil }),
		projection.FoldBy(func(e Completed, _ event.Event) []string { return []string{e.To, e.From, e.To} }, step("d")),
	)
	l := projectiontest.NewLog(t).Append(Transfers.Stream("1"), Completed{From: "ann", To: "bob"}, Completed{From: "1", To: "1"})
	got := projectiontest.Fold(t, m, l)
	want := map[string]trace{"ann": {"ad"}, "bob": {"d"}, "1": {"bcabcd"}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%v, want %v", got, want)
	}
}

func TestTwoStatesNeverShareTheMemoryOfAPayload(t *testing.T) {
	t.Parallel()
	type holder struct{ Names []string }
	keep := func(h *holder, e Listed, _ event.Event) error { h.Names = e.Names; h.Names[0] += "!"; return nil }
	m := projection.NewModel("m", projection.FoldBy(func(e Listed, _ event.Event) []string { return e.Names }, keep))
	p := m.Program()
	ev := stored(t, Transfers.Stream("1"), Listed{[]string{"a", "b"}})
	for _, key := range []string{"a", "b"} {
		s := p.Model.New().(*holder)
		if _, err := p.Model.Fold(s, key, ev); err != nil || s.Names[0] != "a!" {
			t.Fatalf("%s: %v, %v", key, s, err)
		}
	}
}

type Listed struct{ Names []string }

func (Listed) EventType() event.Type { return Transfers.Event("listed") }

func TestStrictReadsWholeAggregatesAndFailsOnTheUnhandled(t *testing.T) {
	t.Parallel()
	strict := projection.Options{Strict: true, Ignore: []event.Type{Closed{}.EventType()}}
	effect := strict
	effect.Start = store.AtHead()
	only := projection.Fold(deposit)
	for _, p := range []projection.Projection{
		projection.NewModel("m", only).With(strict),
		mailer(effect),
		projection.NewSink("s", fakeTarget{}, store.MatchTypes(Deposited{}.EventType())...).With(strict),
	} {
		prog := p.Program()
		if !slices.Equal(prog.Match, []store.Match{{Aggregate: Accounts}}) || len(prog.Handled) != 1 || prog.Handled[0].Name == "" {
			t.Errorf("%s reads %v, handles %v", p.Name(), prog.Match, prog.Handled)
		}
		for _, c := range []struct {
			payload event.Payload
			keys    int
			fails   bool
		}{{Deposited{1}, 1, false}, {Closed{}, 0, false}, {Opened{}, 1, true}} {
			ev := stored(t, Accounts.Stream("ann"), c.payload)
			keys, err := prog.Keys(ev)
			if err != nil || len(keys) != c.keys {
				t.Errorf("%s: keys of %T: %v, %v", p.Name(), c.payload, keys, err)
			}
			if _, unhandled := errors.AsType[*projection.UnhandledError](prog.Check(ev)); unhandled != c.fails {
				t.Errorf("%s: check of %T: %v", p.Name(), c.payload, prog.Check(ev))
			}
			if err := call(t, prog, ev); (err != nil) != c.fails {
				t.Errorf("%s: %T: %v", p.Name(), c.payload, err)
			}
		}
	}
}

// call runs the handlers of a program, if it has any of its own.
func call(t *testing.T, p *program.Program, ev event.Event) error {
	t.Helper()
	switch p.Kind {
	case program.Model:
		_, err := p.Model.Fold(p.Model.New(), "ann", ev)
		return err
	case program.Effect:
		return p.Effect.Handle(program.NewContext(t.Context(), p, nil, ev, program.Delivery{}), ev)
	default:
		return p.Check(ev)
	}
}

func TestStrictMattersInLoadToo(t *testing.T) {
	t.Parallel()
	st := setup(t)
	m := projection.NewModel("m", projection.Fold(deposit)).With(projection.Options{Strict: true})
	ann := Accounts.Stream("ann")
	appendTo(t, st, ann, Deposited{1}, Opened{"x"})
	_, err := m.Load(t.Context(), st, ann)
	if _, ok := errors.AsType[*projection.UnhandledError](err); !ok {
		t.Fatal(err)
	}
}

func TestRestrictionToStreamsAndRoutingKey(t *testing.T) {
	t.Parallel()
	a, b := Accounts.Stream("a"), Accounts.Stream("b")
	l := projectiontest.NewLog(t).Key(a, "eu").Append(a, Deposited{1}).Append(b, Deposited{2})
	for want, o := range map[string]projection.Options{
		"map[a:{1} b:{2}]": {},
		"map[a:{1}]":       {Streams: []event.Stream{a}},
		"map[a:{1} ]":      {RoutingKey: new("eu")},
		"map[b:{2}]":       {RoutingKey: new("")},
		"map[]":            {RoutingKey: new("us")},
	} {
		got := fmt.Sprint(projectiontest.Fold(t, balances().With(o), l))
		if got != strings.ReplaceAll(want, " ]", "]") {
			t.Errorf("%+v: %s, want %s", o, got, want)
		}
	}
}

func TestHandlersOfOneEventRunInOrderUntilOneFails(t *testing.T) {
	t.Parallel()
	var steps []string
	step := func(name string, err error) projection.Handler {
		return projection.On(func(context.Context, Deposited, event.Event) error { steps = append(steps, name); return err })
	}
	e := projection.NewEffect("e", step("a", nil),
		projection.OnAny(Accounts, func(_ context.Context, ev event.Event) error { steps = append(steps, "any "+ev.Name); return nil }),
		step("b", errOverdrawn), step("c", nil))
	out := projectiontest.React(t, e, projectiontest.NewLog(t).Append(Accounts.Stream("ann"), Deposited{1}, Closed{}))
	if got := strings.Join(steps, ","); got != "a,any deposited,b,any closed" {
		t.Fatal(got)
	}
	if len(out) != 2 || out[0].Err != errOverdrawn || out[1].Err != nil {
		t.Fatalf("%+v", out)
	}
}

func TestUpcastersAndAliasesApply(t *testing.T) {
	t.Parallel()
	schema := event.NewSchema(
		event.Alias(Accounts.Event("paid-in"), Deposited{}.EventType()),
		event.UpcastRaw(Accounts.Event("closed"), 1, func(data []byte) ([]byte, error) { return data, nil }),
	)
	ev := stored(t, Accounts.Stream("ann"), Deposited{5})
	ev.Name = "paid-in"
	schema.Bind(&ev)
	p := balances().Program()
	keys, err := p.Keys(ev)
	s := p.Model.New().(*Balance)
	if _, foldErr := p.Model.Fold(s, "ann", ev); err != nil || foldErr != nil || len(keys) != 1 || s.Cents != 5 {
		t.Fatal(keys, err, foldErr, s)
	}
	if p.Filter(schema) == p.Filter(nil) {
		t.Error("an old name that is read now does not change the filter")
	}
}
