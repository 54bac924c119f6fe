package bank

import (
	"context"
	"errors"
	"fmt"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// NewTransfers is the process behind a transfer. It decides on accounts as they are now;
// when somebody changes one of them before the commit, the handler runs again.
func NewTransfers(st *store.Store) *projection.Effect {
	return projection.NewEffect("transfers",
		projection.On(func(ctx context.Context, e Requested, ev event.Event) error {
			from, err := State.Load(ctx, st, Accounts.Stream(e.From))
			if err != nil {
				return err
			}
			if err := from.Value.canPay(e.Cents); err != nil {
				return projection.Emit(ctx, store.Batch{
					Stream: ev.Stream, Expect: store.Exact(ev.Version), Events: event.Of(Rejected{err.Error()}),
				})
			}
			return projection.Emit(ctx, from.Batch(event.Of(Sent{Transfer: ev.Stream.ID, To: e.To, Cents: e.Cents})...))
		}),
		projection.On(func(ctx context.Context, e Sent, ev event.Event) error {
			to, err := State.Load(ctx, st, Accounts.Stream(e.To))
			if err != nil {
				return err
			}
			transfer := store.Batch{Stream: Transfers.Stream(e.Transfer), Expect: store.Exists}
			if !to.Value.exists() || to.Value.Closed {
				// The sender may be frozen or closed by now; the money is theirs nevertheless.
				transfer.Events = event.Of(Rejected{"the receiver has no open account"})
				return projection.Emit(ctx, transfer, store.Batch{
					Stream: ev.Stream, Expect: store.Exists, Events: event.Of(Returned{e.Transfer, e.Cents}),
				})
			}
			transfer.Events = event.Of(Completed{From: ev.Stream.ID, To: e.To, Cents: e.Cents})
			return projection.Emit(ctx, transfer, to.Batch(event.Of(Received{Transfer: e.Transfer, From: ev.Stream.ID, Cents: e.Cents})...))
		}),
	).With(projection.Options{Start: store.AtPosition(1)}) // requests made before the first start count, too
}

// Sender delivers messages. An id may come again, after a crash or a failure: a sender that
// knows its ids delivers each once.
type Sender interface {
	Send(ctx context.Context, id, to, text string) error
}

// ErrNoAddress parks the messages of an account until its owner has an address.
var ErrNoAddress = errors.New("bank: the owner has no address: register one, then retry")

// Notified are the types of events of which NewNotifications tells the owner.
var Notified = []event.Type{Opened{}.EventType(), Received{}.EventType(), Frozen{}.EventType(), Closed{}.EventType()}

// NewNotifications tells owners what happens to their accounts. The messages of one account
// keep their order; those of different accounts go out at the same time. Trying again does
// not give anybody an address, so such a message parks at once, and later ones of its
// account wait behind it.
func NewNotifications(st *store.Store, s Sender) *projection.Effect {
	send := func(ctx context.Context, ev event.Event, text string) error {
		account, err := State.Load(ctx, st, ev.Stream)
		if err != nil {
			return err
		}
		owner, err := Contacts.Load(ctx, st, Owners.Stream(account.Value.Owner))
		if err != nil {
			return err
		}
		if owner.Value.Address == "" {
			return projection.Park(ErrNoAddress)
		}
		return s.Send(ctx, ev.ID.String(), owner.Value.Address, fmt.Sprintf("Dear %s, your account %s %s", owner.Value.Name, ev.Stream.ID, text))
	}
	return projection.NewEffect("notifications",
		projection.On(func(ctx context.Context, e Opened, ev event.Event) error {
			return send(ctx, ev, "is open")
		}),
		projection.On(func(ctx context.Context, e Received, ev event.Event) error {
			return send(ctx, ev, fmt.Sprintf("got %s from %s", Amount(e.Cents), e.From))
		}),
		projection.On(func(ctx context.Context, e Frozen, ev event.Event) error {
			return send(ctx, ev, "is frozen: "+e.Reason)
		}),
		projection.On(func(ctx context.Context, e Closed, ev event.Event) error {
			return send(ctx, ev, "is closed: "+e.Reason)
		}),
	).With(projection.Options{Start: store.AtPosition(1), Concurrency: 8})
}

// Amount writes cents as people do.
func Amount(cents int64) string {
	sign := ""
	if cents < 0 {
		sign, cents = "-", -cents
	}
	return fmt.Sprintf("%s%d.%02d", sign, cents/100, cents%100)
}
