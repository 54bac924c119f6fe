package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	bank "github.com/riffle-go/riffle/examples/bank/domain"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// api answers requests about the bank.
type api struct {
	store  *store.Store
	engine *engine.Engine
}

func (a *api) routes(mux *http.ServeMux) {
	mux.Handle("POST /owners", a.command(a.register))
	mux.Handle("POST /accounts", a.command(a.openAccount))
	mux.Handle("POST /accounts/{id}/deposits", a.command(a.deposit))
	mux.Handle("POST /accounts/{id}/withdrawals", a.command(a.withdraw))
	mux.Handle("POST /transfers", a.command(a.transfer))
	mux.Handle("GET /accounts", a.query(a.accounts))
	mux.Handle("GET /accounts/{id}", a.query(a.account))
	mux.Handle("GET /accounts/{id}/statements", a.query(a.statements))
	mux.Handle("GET /transfers/{id}", a.query(a.transferred))
}

// ask is the body of a command; each one has fields of its own in it.
type ask struct {
	ID      string `json:"id"`
	Owner   string `json:"owner"`
	Name    string `json:"name"`
	Address string `json:"address"`
	From    string `json:"from"`
	To      string `json:"to"`
	Cents   int64  `json:"cents"`
}

// done is the answer to a command. A client that reads with ?after=position sees what it
// has done.
type done struct {
	Position event.Position `json:"position"`
	Replayed bool           `json:"replayed"` // it was done by an earlier try of the same request
}

func (a *api) register(ctx context.Context, key event.ID, r *http.Request, in ask) (done, error) {
	if in.ID == "" {
		return done{}, invalid("id is missing")
	}
	return a.once(ctx, key, in, r.URL.Path, func() (store.Batch, error) {
		return store.Batch{Stream: bank.Owners.Stream(in.ID), Events: event.Of(bank.Registered{Name: in.Name, Address: in.Address})}, nil
	})
}

func (a *api) openAccount(ctx context.Context, key event.ID, r *http.Request, in ask) (done, error) {
	switch {
	case in.ID == "" || in.Owner == "":
		return done{}, invalid("id and owner are needed")
	case in.Cents < 0:
		return done{}, bank.ErrAmount
	}
	return a.once(ctx, key, in, r.URL.Path, func() (store.Batch, error) {
		owner, err := bank.Contacts.Load(ctx, a.store, bank.Owners.Stream(in.Owner))
		if err != nil {
			return store.Batch{}, err
		}
		if owner.Version == 0 {
			return store.Batch{}, bank.ErrNoOwner
		}
		return store.Batch{Stream: bank.Accounts.Stream(in.ID), Events: event.Of(
			bank.Opened{OwnerID: in.Owner, OwnerName: owner.Value.Name, Currency: "EUR", Cents: in.Cents})}, nil
	})
}

func (a *api) deposit(ctx context.Context, key event.ID, r *http.Request, in ask) (done, error) {
	return a.decide(ctx, key, r, in, func(acc bank.Account) ([]event.Payload, error) { return acc.Deposit(in.Cents) })
}

func (a *api) withdraw(ctx context.Context, key event.ID, r *http.Request, in ask) (done, error) {
	return a.decide(ctx, key, r, in, func(acc bank.Account) ([]event.Payload, error) { return acc.Withdraw(in.Cents) })
}

// decide lets the domain decide on an account as it is now.
func (a *api) decide(ctx context.Context, key event.ID, r *http.Request, in ask, f func(bank.Account) ([]event.Payload, error)) (done, error) {
	return a.once(ctx, key, in, r.URL.Path, func() (store.Batch, error) {
		acc, err := bank.State.Load(ctx, a.store, bank.Accounts.Stream(r.PathValue("id")))
		if err != nil {
			return store.Batch{}, err
		}
		events, err := f(acc.Value)
		return acc.Batch(events...), err
	})
}

// transfer needs nothing but the id: the request is the first event of a stream that is
// named after the key, so the same append again is answered by the store itself.
func (a *api) transfer(ctx context.Context, key event.ID, _ *http.Request, in ask) (done, error) {
	res, err := bank.Bank{Store: a.store}.Transfer(ctx, key, in.From, in.To, in.Cents)
	if errors.Is(err, store.ErrConflict) {
		return done{}, errReused // the stream is there, with another first event
	}
	if err == nil && res.Replayed { // the store compares ids, not what was asked for
		err = a.sameTransfer(ctx, res.First, in)
	}
	return done{Position: res.Position, Replayed: res.Replayed}, err
}

func (a *api) sameTransfer(ctx context.Context, at event.Position, in ask) error {
	ev, err := a.store.Event(ctx, at)
	if err != nil {
		return err
	}
	was, err := event.Decode[bank.Requested](ev)
	if err == nil && (was != bank.Requested{From: in.From, To: in.To, Cents: in.Cents}) {
		err = errReused
	}
	return err
}

// Transfer is what is known of a transfer.
type Transfer struct {
	From   string `json:"from"`
	To     string `json:"to"`
	Cents  int64  `json:"cents"`
	State  string `json:"state"` // requested, completed or rejected
	Reason string `json:"reason,omitempty"`
}

// transfers is a model of this service alone: how transfers stand.
var transfers = projection.NewModel("transfer-states",
	projection.Fold(func(t *Transfer, e bank.Requested, _ event.Event) error {
		*t = Transfer{From: e.From, To: e.To, Cents: e.Cents, State: "requested"}
		return nil
	}),
	projection.Fold(func(t *Transfer, _ bank.Completed, _ event.Event) error { t.State = "completed"; return nil }),
	projection.Fold(func(t *Transfer, e bank.Rejected, _ event.Event) error {
		t.State, t.Reason = "rejected", e.Reason
		return nil
	}),
)
