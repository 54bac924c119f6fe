package bank

import (
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
)

// State has the accounts as commands need them. An engine keeps them in the store; Load and
// Decide start from there and work without an engine, too.
var State = projection.NewModel("accounts",
	projection.Fold((*Account).Opened),
	projection.Fold((*Account).Deposited),
	projection.Fold((*Account).Withdrawn),
	projection.Fold((*Account).Sent),
	projection.Fold((*Account).Received),
	projection.Fold((*Account).Returned),
	projection.Fold((*Account).WasFrozen),
	projection.Fold((*Account).WasThawed),
	projection.Fold((*Account).WasClosed),
)

// Details is an account with the name its owner has now.
type Details struct {
	OwnerName string
	Account
}

// AccountDetails is folded when it is read, from streams of two aggregates that the caller
// names: AccountDetails.Load(ctx, st, Accounts.Stream(a), Owners.Stream(o)).
var AccountDetails = projection.NewModel("details",
	projection.Fold(func(d *Details, e Opened, ev event.Event) error {
		d.OwnerName = e.OwnerName
		return d.Account.Opened(e, ev)
	}),
	projection.Fold((*Details).Deposited),
	projection.Fold((*Details).Withdrawn),
	projection.Fold((*Details).Sent),
	projection.Fold((*Details).Received),
	projection.Fold((*Details).Returned),
	projection.Fold((*Details).WasFrozen),
	projection.Fold((*Details).WasThawed),
	projection.Fold((*Details).WasClosed),
	projection.Fold(func(d *Details, e Registered, _ event.Event) error { d.OwnerName = e.Name; return nil }),
	projection.Fold(func(d *Details, e Renamed, _ event.Event) error { d.OwnerName = e.Name; return nil }),
)

// Contact is how the bank reaches an owner.
type Contact struct{ Name, Address string }

// Contacts is folded when it is read, from the stream of an owner.
var Contacts = projection.NewModel("contacts",
	projection.Fold(func(c *Contact, e Registered, _ event.Event) error {
		*c = Contact(e)
		return nil
	}),
	projection.Fold(func(c *Contact, e Renamed, _ event.Event) error { c.Name = e.Name; return nil }),
	projection.Fold(func(c *Contact, e Moved, _ event.Event) error { c.Address = e.Address; return nil }),
)

// OwnerView is an owner with the ids of all accounts.
type OwnerView struct {
	Name     string
	Accounts []string
}

// OwnerViews lives in the store, keyed by owner: events of accounts are folded in by a key
// from their payload.
var OwnerViews = projection.NewModel("owners",
	projection.FoldBy(byOwner, func(o *OwnerView, e Registered, _ event.Event) error { o.Name = e.Name; return nil }),
	projection.FoldBy(byOwner, func(o *OwnerView, e Renamed, _ event.Event) error { o.Name = e.Name; return nil }),
	projection.FoldBy(func(e Opened, _ event.Event) []string { return []string{e.OwnerID} },
		func(o *OwnerView, _ Opened, ev event.Event) error {
			o.Accounts = append(o.Accounts, ev.Stream.ID)
			return nil
		}),
)

func byOwner[E any](_ E, ev event.Event) []string { return []string{ev.Stream.ID} }

// Statement is one month of one account, in cents.
type Statement struct {
	In, Out  int64
	Bookings int
}

func (s *Statement) book(cents int64) error {
	s.In += max(cents, 0)
	s.Out += max(-cents, 0)
	s.Bookings++
	return nil
}

// StatementKey is the key of an account's month in Statements, in UTC.
func StatementKey(account string, month time.Time) string {
	return event.Key(account, month.UTC().Format("2006-01"))
}

// Statements has a state for each month of each account. event.KeyPrefix(account) is the
// prefix of all its months.
var Statements = projection.NewModel("statements",
	projection.Fold(func(s *Statement, e Opened, _ event.Event) error { return s.book(e.Cents) }),
	projection.Fold(func(s *Statement, e Deposited, _ event.Event) error { return s.book(e.Cents) }),
	projection.Fold(func(s *Statement, e Withdrawn, _ event.Event) error { return s.book(-e.Cents) }),
	projection.Fold(func(s *Statement, e Sent, _ event.Event) error { return s.book(-e.Cents) }),
	projection.Fold(func(s *Statement, e Received, _ event.Event) error { return s.book(e.Cents) }),
	projection.Fold(func(s *Statement, e Returned, _ event.Event) error { return s.book(e.Cents) }),
).With(projection.Options{Key: func(ev event.Event) string { return StatementKey(ev.Stream.ID, ev.Time) }})

// Flow is what an account sent to and got from other accounts, in cents.
type Flow struct{ In, Out int64 }

// Flows changes two states by one event, each in its own way.
var Flows = projection.NewModel("flows",
	projection.FoldBy(func(e Completed, _ event.Event) []string { return []string{e.From} },
		func(f *Flow, e Completed, _ event.Event) error { f.Out += e.Cents; return nil }),
	projection.FoldBy(func(e Completed, _ event.Event) []string { return []string{e.To} },
		func(f *Flow, e Completed, _ event.Event) error { f.In += e.Cents; return nil }),
)
