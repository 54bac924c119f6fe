package riffle_test

import (
	"context"
	"fmt"
	"log"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// An aggregate is a kind of thing that events happen to.
const Accounts = event.Aggregate("bank/account")

// An event says under which name it is stored.
type Deposited struct{ Cents int64 }

func (Deposited) EventType() event.Type { return Accounts.Event("deposited") }

// A model folds events into one state per key, here per account.
type Balance struct{ Cents int64 }

var Balances = projection.NewModel("balances",
	projection.Fold(func(b *Balance, e Deposited, _ event.Event) error {
		b.Cents += e.Cents
		return nil
	}),
)

// Three calls to first value: open, define, run.
func Example() {
	ctx, stop := context.WithCancel(context.Background())

	st, err := pebblestore.OpenMem(nil) // 1. open; pebblestore.Open("bank.db", nil) keeps the data
	check(err)
	eng, err := engine.New(engine.Config{Store: st, Projections: []projection.Projection{Balances}}) // 2. define
	check(err)
	ended := make(chan error, 1)
	go func() { ended <- eng.Run(ctx) }() // 3. run; the end of ctx drains it

	res, err := st.Append(ctx, store.Batch{
		Stream: Accounts.Stream("ann"), Expect: store.Any, Events: event.Of(Deposited{100}, Deposited{250}),
	})
	check(err)
	check(eng.Wait(ctx, Balances, res.Position)) // read your writes
	b, err := Balances.Get(ctx, st, "ann")
	check(err)
	fmt.Println(b.Value.Cents)

	stop()
	check(<-ended)
	check(st.Close())
	// Output: 350
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
