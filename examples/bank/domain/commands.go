package bank

import (
	"context"
	"errors"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// Bank takes commands. What it refuses is one of this package's errors; every other error is
// the store's. It is safe for concurrent use.
type Bank struct{ Store *store.Store }

// Register makes an owner known. Without an address, messages to the owner park.
func (b Bank) Register(ctx context.Context, id string, e Registered) (store.Result, error) {
	res, err := b.Store.Append(ctx, store.Batch{Stream: Owners.Stream(id), Events: event.Of(e)}) // no Expect: the stream must be new
	if errors.Is(err, store.ErrConflict) {
		err = ErrExists
	}
	return res, err
}

// Rename gives an owner another name.
func (b Bank) Rename(ctx context.Context, id, name string) (store.Result, error) {
	return b.owner(ctx, id, Renamed{name})
}

// Move gives an owner another address.
func (b Bank) Move(ctx context.Context, id, address string) (store.Result, error) {
	return b.owner(ctx, id, Moved{address})
}

func (b Bank) owner(ctx context.Context, id string, e event.Payload) (store.Result, error) {
	res, err := b.Store.Append(ctx, store.Batch{Stream: Owners.Stream(id), Expect: store.Exists, Events: event.Of(e)})
	if errors.Is(err, store.ErrConflict) {
		err = ErrNoOwner
	}
	return res, err
}

// Open opens an account.
func (b Bank) Open(ctx context.Context, id string, e Opened) (store.Result, error) {
	switch {
	case e.OwnerID == "":
		return store.Result{}, ErrNoOwner
	case e.Cents < 0:
		return store.Result{}, ErrAmount
	}
	res, err := b.Store.Append(ctx, store.Batch{Stream: Accounts.Stream(id), Events: event.Of(e)})
	if errors.Is(err, store.ErrConflict) {
		err = ErrExists
	}
	return res, err
}

// Deposit pays money in at the counter.
func (b Bank) Deposit(ctx context.Context, id string, cents int64) (store.Result, error) {
	return b.decide(ctx, id, func(a Account) ([]event.Payload, error) { return a.Deposit(cents) })
}

// Withdraw pays money out at the counter.
func (b Bank) Withdraw(ctx context.Context, id string, cents int64) (store.Result, error) {
	return b.decide(ctx, id, func(a Account) ([]event.Payload, error) { return a.Withdraw(cents) })
}

// Freeze stops payments from an account.
func (b Bank) Freeze(ctx context.Context, id, reason string) (store.Result, error) {
	return b.decide(ctx, id, func(a Account) ([]event.Payload, error) { return a.Freeze(reason) })
}

// Thaw allows payments again.
func (b Bank) Thaw(ctx context.Context, id string) (store.Result, error) {
	return b.decide(ctx, id, Account.Thaw)
}

// Close pays out what is left and ends the account. Money that was sent before and comes
// back later is booked on the closed account.
func (b Bank) Close(ctx context.Context, id, reason string) (store.Result, error) {
	return b.decide(ctx, id, func(a Account) ([]event.Payload, error) { return a.Close(reason) })
}

func (b Bank) decide(ctx context.Context, id string, f func(Account) ([]event.Payload, error)) (store.Result, error) {
	return State.Decide(ctx, b.Store, Accounts.Stream(id), func(a projection.State[Account]) ([]event.Payload, error) {
		return f(a.Value)
	})
}

// Transfer asks for money to be moved, and returns when that is durable; the effect of
// NewTransfers does it. The caller's id makes the request safe to repeat.
func (b Bank) Transfer(ctx context.Context, id event.ID, from, to string, cents int64) (store.Result, error) {
	switch {
	case cents <= 0:
		return store.Result{}, ErrAmount
	case from == to:
		return store.Result{}, ErrSameAccount
	}
	return b.Store.Append(ctx, store.Batch{
		Stream: Transfers.Stream(id.String()),
		Events: event.Of(event.Draft{Payload: Requested{from, to, cents}, ID: id}),
	})
}
