package cli_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/riffle-go/riffle/cmd/riffle/cli"
	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

const accounts = event.Aggregate("bank/account")

type deposited struct{ Cents int64 }

func (deposited) EventType() event.Type { return accounts.Event("deposited") }

type balance struct{ Cents int64 }

var balances = projection.NewModel("balances",
	projection.Fold(func(b *balance, e deposited, _ event.Event) error { b.Cents += e.Cents; return nil }),
)

// A service that is called as "myservice riffle rebuild balances" does it with its own
// handlers.
func ExampleOpen() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "riffle-cli-")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	// the service's own way to open what it needs
	open := func(ctx context.Context) (*engine.Engine, func() error, error) {
		st, err := pebblestore.Open(dir+"/bank.db", nil)
		if err != nil {
			return nil, nil, err
		}
		eng, err := engine.New(engine.Config{Store: st, Projections: []projection.Projection{balances}})
		if err != nil {
			return nil, nil, err
		}
		return eng, st.Close, nil
	}
	if err := serveOnce(ctx, open); err != nil {
		log.Fatal(err)
	}

	for _, args := range [][]string{ // what stands behind "myservice riffle"
		{"rebuild", "balances", "--confirm", "balances"},
		{"events", "--type", "bank/account.deposited", "--output", "json"},
	} {
		cmd := cli.Open(open, nil)
		cmd.SetArgs(args)
		cmd.SetOut(discardIDs{})
		if err := cmd.ExecuteContext(ctx); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// balances is rebuilt: generation 1 at position 1
	// an event, masked
}

// serveOnce is a run of the service.
func serveOnce(ctx context.Context, open func(context.Context) (*engine.Engine, func() error, error)) error {
	eng, closing, err := open(ctx)
	if err != nil {
		return err
	}
	if _, err := eng.Store().Append(ctx, store.Batch{Stream: accounts.Stream("ann"), Events: event.Of(deposited{100})}); err != nil {
		return err
	}
	if err := eng.CatchUp(ctx); err != nil {
		return err
	}
	return closing()
}

// discardIDs prints what is the same in every run.
type discardIDs struct{}

func (discardIDs) Write(b []byte) (int, error) {
	if b[0] == '{' {
		fmt.Println("an event, masked")
		return len(b), nil
	}
	return os.Stdout.Write(b)
}
