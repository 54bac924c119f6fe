package projection_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// open returns a store with two accounts.
func open() *store.Store {
	st, err := pebblestore.OpenMem(nil)
	if err != nil {
		panic(err)
	}
	_, err = st.Append(context.Background(),
		store.Batch{Stream: Accounts.Stream("ann"), Events: event.Of(Opened{"o-1"}, Deposited{100}, Withdrawn{30})},
		store.Batch{Stream: Accounts.Stream("bob"), Events: event.Of(Opened{"o-2"}, Deposited{5})})
	if err != nil {
		panic(err)
	}
	return st
}

func ExampleNewModel() {
	st := open()
	defer st.Close()

	m := projection.NewModel("balances",
		projection.Fold(func(b *Balance, e Deposited, _ event.Event) error { b.Cents += e.Cents; return nil }),
		projection.Fold(func(b *Balance, e Withdrawn, _ event.Event) error { b.Cents -= e.Cents; return nil }),
	)
	s, err := m.Load(context.Background(), st, Accounts.Stream("ann"))
	fmt.Println(s.Value.Cents, s.Version, err)
	// Output: 70 3 <nil>
}

func ExampleModel_Decide() {
	st := open()
	defer st.Close()

	withdrawn, err := balances().Decide(context.Background(), st, Accounts.Stream("ann"),
		func(s projection.State[Balance]) ([]event.Payload, error) {
			if s.Value.Cents < 50 {
				return nil, errors.New("not enough")
			}
			return event.Of(Withdrawn{50}), nil
		})
	fmt.Println(withdrawn.Version, err)
	// Output: 4 <nil>
}

func ExampleModel_LoadAt() {
	st := open()
	defer st.Close()

	ann := Accounts.Stream("ann")
	s, err := balances().LoadAt(context.Background(), st, store.AtVersion(ann, 2), ann)
	fmt.Println(s.Value.Cents, err)
	// Output: 100 <nil>
}

func ExampleFoldBy() {
	st := open()
	defer st.Close()
	ctx := context.Background()

	// One event changes the states of two keys.
	m := projection.NewModel("flows",
		projection.FoldBy(func(e Completed, _ event.Event) []string { return []string{e.From} },
			func(f *Flow, e Completed, _ event.Event) error { f.Out += e.Cents; return nil }),
		projection.FoldBy(func(e Completed, _ event.Event) []string { return []string{e.To} },
			func(f *Flow, e Completed, _ event.Event) error { f.In += e.Cents; return nil }),
	)
	_, err := st.Append(ctx, store.Batch{Stream: Transfers.Stream("t"), Events: event.Of(Completed{"ann", "bob", 7})})
	if err != nil {
		panic(err)
	}
	for _, key := range []string{"ann", "bob"} {
		s, err := m.LoadKey(ctx, st, key)
		fmt.Println(key, s.Value, err)
	}
	// Output:
	// ann {0 7} <nil>
	// bob {7 0} <nil>
}

func ExampleFoldAny() {
	st := open()
	defer st.Close()

	m := projection.NewModel("history", projection.FoldAny(Accounts, func(names *[]string, ev event.Event) error {
		*names = append(*names, ev.Name)
		return nil
	}))
	s, err := m.Load(context.Background(), st, Accounts.Stream("ann"))
	fmt.Println(s.Value, err)
	// Output: [opened deposited withdrawn] <nil>
}

func ExampleDelete() {
	st := open()
	defer st.Close()
	ctx := context.Background()

	m := projection.NewModel("open-accounts",
		projection.Fold(func(b *Balance, e Deposited, _ event.Event) error { b.Cents += e.Cents; return nil }),
		projection.Fold(func(*Balance, Closed, event.Event) error { return projection.Delete() }),
	)
	_, err := st.Append(ctx, store.Batch{Stream: Accounts.Stream("ann"), Expect: store.Exists, Events: event.Of(Closed{})})
	if err != nil {
		panic(err)
	}
	s, err := m.Load(ctx, st, Accounts.Stream("ann"))
	fmt.Println(s.Value, err)
	// Output: {0} <nil>
}

func ExampleState_Batch() {
	st := open()
	defer st.Close()
	ctx := context.Background()

	s, err := balances().Load(ctx, st, Accounts.Stream("ann"))
	if err != nil {
		panic(err)
	}
	_, first := st.Append(ctx, s.Batch(Withdrawn{70}))
	_, second := st.Append(ctx, s.Batch(Withdrawn{70})) // decided on a balance that is gone
	fmt.Println(first, errors.Is(second, store.ErrConflict))
	// Output: <nil> true
}

func ExampleNewEffect() {
	mailer := projection.NewEffect("mailer",
		projection.On(func(ctx context.Context, e Opened, ev event.Event) error {
			if e.Owner == "" {
				return projection.Park(errors.New("nobody to write to"))
			}
			// ev.ID is the key of idempotence for the world outside
			return send(ctx, ev.ID.String(), e.Owner)
		}),
	).With(projection.Options{Start: store.AtHead()})

	fmt.Println(mailer.Name(), mailer.Program().Fault)
	// Output: mailer <nil>
}

func send(context.Context, string, string) error { return nil }

// table is a target that keeps its rows and its checkpoint together.
type table struct {
	fakeTarget
	rows int
}

func (t *table) Write(_ context.Context, _ projection.Session, _, _ event.Position, events []event.Event) error {
	t.rows += len(events)
	return nil
}

func ExampleNewSink() {
	opened := projection.NewSink("opened", &table{}, store.MatchTypes(Opened{}.EventType())...)
	everything := projection.NewSink("everything", &table{})

	fmt.Println(opened.Program().Match, everything.Program().Match == nil)
	// Output: [{bank/account  opened}] true
}

func ExampleOptions_routingKey() {
	eu := balances().With(projection.Options{RoutingKey: new("eu-west-1")})
	none := balances().With(projection.Options{RoutingKey: new("")}) // streams without one
	all := balances()

	fmt.Printf("%q %q %v\n", *eu.Program().RoutingKey, *none.Program().RoutingKey, all.Program().RoutingKey)
	// Output: "eu-west-1" "" <nil>
}

func ExampleOptions_streams() {
	m := projection.NewModel("ann", projection.Fold(deposit)).
		With(projection.Options{Streams: []event.Stream{Accounts.Stream("ann")}})

	fmt.Println(m.Program().Match)
	// Output: [{bank/account ann deposited}]
}

func ExampleOptions_strict() {
	st := open()
	defer st.Close()

	ann := Accounts.Stream("ann")
	strict := balances().With(projection.Options{Strict: true})
	_, err := strict.Load(context.Background(), st, ann)
	fmt.Println(err)

	lenient := balances().With(projection.Options{Strict: true, Ignore: []event.Type{Opened{}.EventType()}})
	s, err := lenient.Load(context.Background(), st, ann)
	fmt.Println(s.Value.Cents, err)
	// Output:
	// projection: balances cannot fold bank/account.opened at position 1 into "ann": projection: balances has no handler of bank/account.opened (position 1); add one, or name the type in Options.Ignore
	// 70 <nil>
}

func ExampleOptions_start() {
	handler := projection.On(onDeposited)
	for _, e := range []*projection.Effect{
		projection.NewEffect("nowhere", handler),
		projection.NewEffect("from-now", handler).With(projection.Options{Start: store.AtHead()}),
		projection.NewEffect("all", handler).With(projection.Options{Start: store.AtPosition(1)}),
		projection.NewEffect("2026", handler).With(projection.Options{Start: store.AtTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))}),
	} {
		fmt.Println(e.Name(), e.Program().Fault == nil)
	}
	// Output:
	// nowhere false
	// from-now true
	// all true
	// 2026 true
}

func ExampleOptions_key() {
	st := open()
	defer st.Close()

	// A state for each account and month.
	month := func(ev event.Event) string { return event.Key(ev.Stream.ID, ev.Time.Format("2006-01")) }
	m := projection.NewModel("statements", projection.Fold(deposit)).With(projection.Options{Key: month})

	s, err := m.LoadKey(context.Background(), st, event.Key("ann", time.Now().UTC().Format("2006-01")))
	fmt.Println(s.Value.Cents, err)
	// Output: 100 <nil>
}

func ExampleOptions_pace() {
	e := projection.NewEffect("mailer", projection.On(onDeposited)).With(projection.Options{
		Start:       store.AtHead(),
		Delay:       10 * time.Second,
		PageSize:    100,
		Concurrency: 8,
		CommitEvery: time.Second,
	})
	p := e.Program()
	fmt.Println(p.Delay, p.PageSize, p.Concurrency, p.CommitEvery)
	// Output: 10s 100 8 1s
}

func ExampleOptions_retry() {
	e := projection.NewEffect("mailer", projection.On(onDeposited)).With(projection.Options{
		Start: store.AtHead(),
		Retry: projection.Retry{Attempts: 6, Initial: time.Minute, Max: 5 * time.Minute},
	})
	for failed := 1; ; failed++ {
		pause, inHand, more := e.Program().Retry.Next(failed)
		if !more {
			fmt.Println("then", e.Program().OnFailure)
			break
		}
		fmt.Println(pause, inHand)
	}
	// Output:
	// 200ms true
	// 800ms true
	// 1m0s false
	// 3m0s false
	// 5m0s false
	// then park
}

func ExampleOptions_onFailure() {
	m := balances().With(projection.Options{OnFailure: projection.FailHalt, ParkUnkeyed: true})
	fmt.Println(m.Program().OnFailure, m.Program().ParkUnkeyed)
	// Output: halt true
}

func ExampleOptions_revision() {
	m := balances().With(projection.Options{Revision: 2, OnChange: projection.ChangeHalt})
	fmt.Println(m.Program().Revision, m.Program().OnChange)
	// Output: 2 halt
}

func ExampleOptions_codec() {
	m := balances().With(projection.Options{Codec: event.JSON()})
	_, contentType, err := m.Program().Model.Encode(&Balance{Cents: 1})
	fmt.Println(contentType, err)
	// Output: application/json <nil>
}

func ExampleOptions_snapshotEvery() {
	st := open()
	defer st.Close()
	ctx, ann := context.Background(), Accounts.Stream("ann")

	often := balances().With(projection.Options{SnapshotEvery: 2})
	never := balances().With(projection.Options{SnapshotEvery: projection.SnapshotNever})
	for _, m := range []*projection.Model[Balance]{often, never} {
		s, err := m.Load(ctx, st, ann)
		fmt.Println(s.Value.Cents, err)
	}
	// Output:
	// 70 <nil>
	// 70 <nil>
}

func ExampleOptions_emits() {
	// Both are for effects whose emits may come in any order, or twice.
	e := projection.NewEffect("audit", projection.On(onDeposited)).
		With(projection.Options{Start: store.AtHead(), BatchEmits: true, Repeat: true})
	fmt.Println(e.Program().BatchEmits, e.Program().Repeat)
	// Output: true true
}

func ExampleOptions_renamedFrom() {
	m := projection.NewModel("account-balances", projection.Fold(deposit)).
		With(projection.Options{RenamedFrom: "balances"})
	fmt.Println(m.Name(), "takes over from", m.Program().RenamedFrom)
	// Output: account-balances takes over from balances
}
