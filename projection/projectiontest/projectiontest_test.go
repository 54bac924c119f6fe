package projectiontest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/projection/projectiontest"
	"github.com/riffle-go/riffle/store"
)

const accounts = event.Aggregate("bank/account")

type (
	opened    struct{ Owner string }
	deposited struct{ Cents int64 }
	paid      struct{ Cents int64 } // what deposited was called once
	closed    struct{}
)

func (opened) EventType() event.Type    { return accounts.Event("opened") }
func (deposited) EventType() event.Type { return accounts.Event("deposited") }
func (paid) EventType() event.Type      { return accounts.Event("paid") }
func (closed) EventType() event.Type    { return accounts.Event("closed") }

type balance struct{ Cents int64 }

func model() *projection.Model[balance] {
	return projection.NewModel("balances",
		projection.Fold(func(b *balance, e deposited, _ event.Event) error {
			if e.Cents == 0 {
				b.Cents = -1
				return projection.Skip(errors.New("nothing"))
			}
			b.Cents += e.Cents
			return nil
		}),
		projection.Fold(func(*balance, closed, event.Event) error { return projection.Delete() }))
}

func TestALogIsWhatAStoreWouldHave(t *testing.T) {
	t.Parallel()
	ann, bob := accounts.Stream("ann"), accounts.Stream("bob")
	at := time.Date(2026, 2, 3, 4, 5, 6, 7_999_999, time.UTC)
	l := projectiontest.NewLog(t).Append(ann, opened{"a"}).At(at).With(event.Metadata{}.With(event.RequestedBy, "me")).
		Key(bob, "eu").Append(bob, opened{"b"}, deposited{1}).Append(ann, deposited{2})
	var text strings.Builder
	for _, ev := range l.Events {
		fmt.Fprintf(&text, "%d %s/%d %s %q %q %s\n", ev.Position, ev.Stream.ID, ev.Version, ev.Name, ev.RoutingKey,
			ev.Metadata.Get(event.RequestedBy), ev.Time.Format("2006-01-02 15:04:05.000000"))
		if ev.ID.IsZero() {
			t.Error("an event without id")
		}
	}
	const want = `1 ann/1 opened "" "" 2000-01-01 00:00:00.000000
2 bob/1 opened "eu" "me" 2026-02-03 04:05:06.007000
3 bob/2 deposited "eu" "me" 2026-02-03 04:05:06.007000
4 ann/2 deposited "" "me" 2026-02-03 04:05:06.007000
`
	if text.String() != want {
		t.Fatal(text.String())
	}
}

func TestFoldSkipsAndDeletesLikeAnEngine(t *testing.T) {
	t.Parallel()
	l := projectiontest.NewLog(t).
		Append(accounts.Stream("a"), opened{"not folded"}, deposited{1}, deposited{0}, deposited{2}).
		Append(accounts.Stream("b"), deposited{1}, closed{}).
		Append(accounts.Stream("c"), deposited{1}, closed{}, deposited{5})
	if got := fmt.Sprint(projectiontest.Fold(t, model(), l)); got != "map[a:{3} c:{5}]" {
		t.Fatal(got)
	}
}

func TestTheSchemaOfALogApplies(t *testing.T) {
	t.Parallel()
	l := projectiontest.NewLog(t, event.Alias(paid{}.EventType(), deposited{}.EventType())).
		Append(accounts.Stream("a"), paid{1}, deposited{2})
	if got := fmt.Sprint(projectiontest.Fold(t, model(), l)); got != "map[a:{3}]" {
		t.Fatal(got)
	}
}

func TestStatesAreEncodedBetweenEvents(t *testing.T) {
	t.Parallel()
	type forgetful struct {
		Cents  int64
		hidden int64
	}
	m := projection.NewModel("m", projection.Fold(func(f *forgetful, e deposited, _ event.Event) error {
		f.Cents += e.Cents + f.hidden
		f.hidden = 1000 // lost at the next restart
		return nil
	}))
	l := projectiontest.NewLog(t).Append(accounts.Stream("a"), deposited{1}, deposited{2})
	if got := projectiontest.Fold(t, m, l)["a"].Cents; got != 3 {
		t.Fatalf("%d: the field that the codec does not see survived", got)
	}
}

// tester records how a test failed. It ends the goroutine like the real one.
type tester struct {
	testing.TB
	failed string
}

func (t *tester) Helper() {}

func (t *tester) Fatal(args ...any) {
	t.failed = fmt.Sprint(args...)
	panic(t)
}

func (t *tester) Fatalf(format string, args ...any) { t.Fatal(fmt.Sprintf(format, args...)) }

// failing returns how f fails the test it is given.
func failing(t *testing.T, f func(tb testing.TB)) (text string) {
	t.Helper()
	inner := &tester{TB: t}
	defer func() {
		if p := recover(); p != nil && p != any(inner) {
			panic(p)
		}
		text = inner.failed
	}()
	f(inner)
	return ""
}

func TestWhatFailsATest(t *testing.T) {
	t.Parallel()
	log := func() *projectiontest.Log {
		return projectiontest.NewLog(t).Append(accounts.Stream("a"), deposited{1})
	}
	bad := projection.NewModel("bad", projection.Fold(func(*balance, deposited, event.Event) error { return errors.New("no, thanks") }))
	for want, f := range map[string]func(tb testing.TB){
		"no, thanks":    func(tb testing.TB) { projectiontest.Fold(tb, bad, log()) },
		"nothing to do": func(tb testing.TB) { projectiontest.Fold(tb, projection.NewModel[balance]("m"), log()) },
		"Handler 1": func(tb testing.TB) {
			projectiontest.React(tb, projection.NewEffect("e", projection.On[opened](nil)), log())
		},
		"does not belong": func(tb testing.TB) { projectiontest.NewLog(tb).Append(event.Aggregate("x").Stream("1"), deposited{1}) },
		"is empty":        func(tb testing.TB) { projectiontest.NewLog(tb).Append(accounts.Stream(""), deposited{1}) },
		"is nil":          func(tb testing.TB) { projectiontest.NewLog(tb).Append(accounts.Stream("a"), nil) },
		"alias":           func(tb testing.TB) { projectiontest.NewLog(tb, event.Alias(event.Type{}, event.Type{})) },
		"cannot be decoded": func(tb testing.TB) {
			l := log()
			l.Events[0].Data = []byte("{")
			projectiontest.Fold(tb, model(), l)
		},
	} {
		got := failing(t, f)
		if want == "cannot be decoded" {
			want = "decode"
		}
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
}

func TestReactShowsWhatAnEffectDoes(t *testing.T) {
	t.Parallel()
	cause := errors.New("no owner")
	e := projection.NewEffect("welcome",
		projection.On(func(ctx context.Context, e opened, ev event.Event) error {
			d := projection.DeliveryFrom(ctx)
			if d.Projection != "welcome" || d.Attempt != 1 || d.Key != ev.Stream.ID || d.Term == 0 {
				t.Errorf("%+v", d)
			}
			gift := store.Batch{Stream: ev.Stream, Expect: store.Exact(ev.Version), Events: event.Of(deposited{1})}
			if err := projection.Emit(ctx, gift); err != nil {
				return err
			}
			if e.Owner == "" {
				return projection.Park(cause)
			}
			return nil
		}))
	l := projectiontest.NewLog(t).Append(accounts.Stream("a"), opened{"ann"}, deposited{5}).Append(accounts.Stream("b"), opened{""})
	out := projectiontest.React(t, e, l)
	if len(out) != 2 {
		t.Fatalf("%+v", out)
	}
	if o := out[0]; o.Err != nil || o.Steered() != "" || len(o.Emitted) != 1 || o.Emitted[0].Metadata.Get(event.CausationID) != o.Event.ID.String() {
		t.Errorf("%+v", o)
	}
	if o := out[1]; !errors.Is(o.Err, cause) || o.Steered() != "park" || len(o.Emitted) != 0 || o.Event.Stream.ID != "b" {
		t.Errorf("%+v", o)
	}
}

func TestReactReportsEventsWithoutAKey(t *testing.T) {
	t.Parallel()
	e := projection.NewEffect("e", projection.On(func(context.Context, opened, event.Event) error { return nil })).
		With(projection.Options{Key: func(event.Event) string { return "" }})
	out := projectiontest.React(t, e, projectiontest.NewLog(t).Append(accounts.Stream("a"), opened{}))
	if len(out) != 1 {
		t.Fatalf("%+v", out)
	}
	if _, ok := errors.AsType[*projection.KeyError](out[0].Err); !ok {
		t.Fatal(out[0].Err)
	}
}

func ExampleFold() {
	tb := &testing.T{} // in a test: its t
	log := projectiontest.NewLog(tb).
		Append(accounts.Stream("ann"), deposited{5}, deposited{7}).
		Append(accounts.Stream("bob"), deposited{1})

	fmt.Println(projectiontest.Fold(tb, model(), log))
	// Output: map[ann:{12} bob:{1}]
}

func ExampleReact() {
	tb := &testing.T{} // in a test: its t
	mailer := projection.NewEffect("mailer", projection.On(func(_ context.Context, e opened, _ event.Event) error {
		if e.Owner == "" {
			return projection.Skip(errors.New("nobody to write to"))
		}
		return nil
	}))
	log := projectiontest.NewLog(tb).Append(accounts.Stream("a"), opened{"ann"}, opened{""})

	for _, o := range projectiontest.React(tb, mailer, log) {
		fmt.Println(o.Event.Position, o.Steered(), o.Err)
	}
	// Output:
	// 1  <nil>
	// 2 skip nobody to write to
}
