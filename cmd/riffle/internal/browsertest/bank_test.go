package browsertest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

const (
	accounts  = event.Aggregate("bank/account")
	transfers = event.Aggregate("bank/transfer")
)

// What happens in the bank; amounts are in cents.
type (
	Opened    struct{ Owner, Currency, Note string }
	Deposited struct{ Cents int64 }
	Withdrawn struct{ Cents int64 }
	Sent      struct {
		Transfer, To string
		Cents        int64
	}
	Received struct {
		Transfer, From string
		Cents          int64
	}
	Requested struct {
		From, To string
		Cents    int64
	}
	Completed struct{ Cents int64 }
)

func (Opened) EventType() event.Type    { return accounts.Event("Opened") }
func (Deposited) EventType() event.Type { return accounts.Event("Deposited") }
func (Withdrawn) EventType() event.Type { return accounts.Event("Withdrawn") }
func (Sent) EventType() event.Type      { return accounts.Event("Sent") }
func (Received) EventType() event.Type  { return accounts.Event("Received") }
func (Requested) EventType() event.Type { return transfers.Event("Requested") }
func (Completed) EventType() event.Type { return transfers.Event("Completed") }

// Account is a state of the model "balances".
type Account struct {
	Owner    string `json:"owner"`
	Currency string `json:"currency"`
	Note     string `json:"note,omitempty"`
	Cents    int64  `json:"cents"`
	Bookings int    `json:"bookings"`
	Last     struct {
		Kind  string    `json:"kind"`
		Cents int64     `json:"cents"`
		At    time.Time `json:"at"`
	} `json:"last"`
}

func (a *Account) book(kind string, cents int64, ev event.Event) error {
	a.Cents += cents
	a.Bookings++
	a.Last.Kind, a.Last.Cents, a.Last.At = kind, cents, ev.Time
	return nil
}

// Day is a state of the model "daily", whose keys are no ids of streams.
type Day struct {
	In, Out  int64
	Bookings int
}

// bank is what runs, with what is broken about it.
type bank struct {
	mailbox atomic.Bool // the owner of the account below has one

	balances, daily      projection.Projection
	transfers, messages  projection.Projection
	scoring, searchIndex projection.Projection
}

const (
	// withoutMailbox is an account whose messages park.
	withoutMailbox = "acc-1007"
	// unscored is an account that the scoring service refuses, again and again.
	unscored = "acc-1003"
	// hostile are ids, names and errors that are script where a page forgets to escape them.
	hostile     = `"><img src=x onerror="alert('id')"><script>alert('id')</script>`
	hostileText = `</script><script>alert('text')</script><svg onload="alert('text')">`
)

var (
	errMailbox = errors.New("smtp: 550 5.1.1 <no-reply@example.org>: recipient rejected, mailbox unavailable")
	errScoring = errors.New("scoring: POST /v2/scores: 503 Service Unavailable: model \"risk-7\" is warming up")
)

func newBank(st *store.Store) *bank {
	b := &bank{}
	b.balances = projection.NewModel("balances",
		projection.Fold(func(a *Account, e Opened, ev event.Event) error {
			a.Owner, a.Currency, a.Note = e.Owner, e.Currency, e.Note
			return a.book("opened", 0, ev)
		}),
		projection.Fold(func(a *Account, e Deposited, ev event.Event) error { return a.book("deposit", e.Cents, ev) }),
		projection.Fold(func(a *Account, e Withdrawn, ev event.Event) error { return a.book("withdrawal", -e.Cents, ev) }),
		projection.Fold(func(a *Account, e Sent, ev event.Event) error { return a.book("sent", -e.Cents, ev) }),
		projection.Fold(func(a *Account, e Received, ev event.Event) error { return a.book("received", e.Cents, ev) }),
	)
	byDay := func(ev event.Event) []string {
		return []string{event.Key(ev.RoutingKey+" "+ev.Time.Format(time.DateOnly), ev.Time.Format("15h"))}
	}
	b.daily = projection.NewModel("daily",
		projection.FoldBy(func(_ Deposited, ev event.Event) []string { return byDay(ev) },
			func(d *Day, e Deposited, _ event.Event) error { d.In += e.Cents; d.Bookings++; return nil }),
		projection.FoldBy(func(_ Withdrawn, ev event.Event) []string { return byDay(ev) },
			func(d *Day, e Withdrawn, _ event.Event) error { d.Out += e.Cents; d.Bookings++; return nil }),
	)
	b.transfers = projection.NewEffect("transfers", projection.On(func(ctx context.Context, e Requested, ev event.Event) error {
		return projection.Emit(ctx,
			store.Batch{Stream: accounts.Stream(e.From), Expect: store.Any, Events: event.Of(Sent{ev.Stream.ID, e.To, e.Cents})},
			store.Batch{Stream: accounts.Stream(e.To), Expect: store.Any, Events: event.Of(Received{ev.Stream.ID, e.From, e.Cents})},
			store.Batch{Stream: ev.Stream, Expect: store.Any, Events: event.Of(Completed{e.Cents})},
		)
	})).With(projection.Options{Start: store.AtPosition(1), BatchEmits: true})
	send := func(ev event.Event) error {
		switch {
		case ev.Stream.ID == withoutMailbox && !b.mailbox.Load():
			return projection.Park(errMailbox)
		case ev.Stream.ID == hostile:
			return projection.Park(errors.New(hostileText))
		}
		return nil
	}
	b.messages = projection.NewEffect("notifications",
		projection.On(func(_ context.Context, _ Opened, ev event.Event) error { return send(ev) }),
		projection.On(func(_ context.Context, _ Received, ev event.Event) error { return send(ev) }),
	).With(projection.Options{Start: store.AtPosition(1), Concurrency: 4, Repeat: true})
	b.scoring = projection.NewEffect("fraud-scoring", projection.On(func(_ context.Context, e Requested, ev event.Event) error {
		if e.From == unscored {
			return fmt.Errorf("score transfer %s: %w", ev.Stream.ID, errScoring)
		}
		return nil
	})).With(projection.Options{Start: store.AtPosition(1), Repeat: true, Concurrency: 8})
	b.searchIndex = projection.NewEffect("search-index", projection.OnAny(accounts, func(context.Context, event.Event) error { return nil })).
		With(projection.Options{Start: store.AtPosition(1)})
	return b
}

func (b *bank) projections() []projection.Projection {
	return []projection.Projection{b.balances, b.daily, b.transfers, b.messages, b.scoring, b.searchIndex}
}
