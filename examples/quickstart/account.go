package main

import "github.com/riffle-go/riffle/event"

// Accounts is the kind of streams: one per bank account.
const Accounts = event.Aggregate("bank/account")

// Opened is the first event of an account.
type Opened struct {
	Owner string `json:"owner"`
}

// EventType names the event in the store; the Go type may be renamed.
func (Opened) EventType() event.Type { return Accounts.Event("opened") }

// Deposited says that money came in.
type Deposited struct {
	Cents int64 `json:"cents"`
}

// EventType names the event in the store.
func (Deposited) EventType() event.Type { return Accounts.Event("deposited") }

// Withdrawn says that money went out.
type Withdrawn struct {
	Cents int64 `json:"cents"`
}

// EventType names the event in the store.
func (Withdrawn) EventType() event.Type { return Accounts.Event("withdrawn") }

// Account is what a program knows when it has read the events of an account.
type Account struct {
	Owner   string
	Cents   int64
	Version uint64 // of the last event that was applied
}

// Apply takes an event into account.
func (a *Account) Apply(ev event.Event) error {
	a.Version = ev.Version
	switch ev.Type() {
	case Opened{}.EventType():
		e, err := event.Decode[Opened](ev)
		a.Owner = e.Owner
		return err
	case Deposited{}.EventType():
		e, err := event.Decode[Deposited](ev)
		a.Cents += e.Cents
		return err
	case Withdrawn{}.EventType():
		e, err := event.Decode[Withdrawn](ev)
		a.Cents -= e.Cents
		return err
	}
	return nil
}
