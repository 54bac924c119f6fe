package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	bank "github.com/riffle-go/riffle/examples/bank/domain"
	"github.com/riffle-go/riffle/store"
)

const (
	customers = 12
	clients   = 6
	pause     = 20 * time.Millisecond // of a client between two commands, on average
)

// traffic is what the customers of the bank do. They share few accounts, so that their
// commands conflict at times, and one of them has left no address, so that the letters to
// this one park.
type traffic struct {
	bank         bank.Bank
	eng          *engine.Engine
	rebuildEvery time.Duration
}

// run works until ctx ends, or returns what is no refusal of the bank.
func (t *traffic) run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if err := t.open(ctx); err != nil {
		return ended(ctx, err)
	}
	var all sync.WaitGroup
	loop := func(every time.Duration, f func(context.Context) error) {
		all.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-time.After(every/2 + rand.N(every)):
				}
				if err := f(ctx); err != nil && ctx.Err() == nil {
					stop(err)
				}
			}
		})
	}
	for range clients {
		loop(pause, t.command)
	}
	loop(t.rebuildEvery, t.rebuild)
	all.Wait()
	return ended(ctx, context.Cause(ctx))
}

// ended is nil when the end of the context was not an error.
func ended(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) {
		return nil
	}
	return err
}

func account(i int) string { return fmt.Sprintf("a-%02d", i) }

// open makes the accounts, unless an earlier run has.
func (t *traffic) open(ctx context.Context) error {
	for i := range customers {
		owner := fmt.Sprintf("o-%02d", i)
		who := bank.Registered{Name: fmt.Sprintf("Customer %d", i), Address: owner + "@example.org"}
		if i == 0 {
			who.Address = ""
		}
		if _, err := t.bank.Register(ctx, owner, who); err != nil && !errors.Is(err, bank.ErrExists) {
			return err
		}
		_, err := t.bank.Open(ctx, account(i), bank.Opened{OwnerID: owner, OwnerName: who.Name, Currency: "EUR", Cents: 1_000_00})
		if err != nil && !errors.Is(err, bank.ErrExists) {
			return err
		}
	}
	return nil
}

// command does something with one of the accounts. Most of it happens to a few of them.
func (t *traffic) command(ctx context.Context) error {
	from, to := account(rand.IntN(1+rand.IntN(customers))), account(rand.IntN(customers))
	cents := 1 + rand.Int64N(100_00)
	var err error
	switch n := rand.IntN(10); {
	case n < 5:
		_, err = t.bank.Deposit(ctx, from, cents)
	case n < 7:
		_, err = t.bank.Withdraw(ctx, from, cents)
	default:
		_, err = t.bank.Transfer(ctx, event.NewID(), from, to, cents)
	}
	for _, refusal := range []error{bank.ErrNotActive, bank.ErrInsufficient, bank.ErrSameAccount, store.ErrConflict} {
		if errors.Is(err, refusal) {
			return nil
		}
	}
	return err
}

// rebuild has a model built anew, beside the one in use, as after a change of its code.
func (t *traffic) rebuild(ctx context.Context) error {
	err := t.eng.Rebuild(ctx, bank.Statements.Name())
	if errors.Is(err, engine.ErrUnavailable) || errors.Is(err, engine.ErrUnknown) {
		return nil // one is under way, or the model has not begun
	}
	return err
}

// post delivers letters, and fails now and then.
type post struct{}

var errPost = errors.New("the post office is closed")

// Send implements the sender of the bank.
func (post) Send(context.Context, string, string, string) error {
	if rand.IntN(20) == 0 {
		return errPost
	}
	return nil
}
