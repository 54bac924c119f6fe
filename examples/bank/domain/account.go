package bank

import (
	"errors"

	"github.com/riffle-go/riffle/event"
)

// Why the bank refuses a command.
var (
	ErrExists       = errors.New("bank: account exists")
	ErrNoAccount    = errors.New("bank: no such account")
	ErrNoOwner      = errors.New("bank: no such owner")
	ErrNotActive    = errors.New("bank: account is frozen or closed")
	ErrInsufficient = errors.New("bank: insufficient funds")
	ErrAmount       = errors.New("bank: the amount must be positive")
	ErrSameAccount  = errors.New("bank: a transfer needs two accounts")
)

// Account is the state that decisions need. Its folds and its rules are methods, so that
// they can be tested without a store.
type Account struct {
	Owner  string
	Cents  int64
	Frozen bool
	Closed bool
}

// Opened folds the event.
func (a *Account) Opened(e Opened, _ event.Event) error {
	a.Owner, a.Cents = e.OwnerID, e.Cents
	return nil
}

// Deposited folds the event.
func (a *Account) Deposited(e Deposited, _ event.Event) error { a.Cents += e.Cents; return nil }

// Withdrawn folds the event.
func (a *Account) Withdrawn(e Withdrawn, _ event.Event) error { a.Cents -= e.Cents; return nil }

// Sent folds the event.
func (a *Account) Sent(e Sent, _ event.Event) error { a.Cents -= e.Cents; return nil }

// Received folds the event.
func (a *Account) Received(e Received, _ event.Event) error { a.Cents += e.Cents; return nil }

// Returned folds the event.
func (a *Account) Returned(e Returned, _ event.Event) error { a.Cents += e.Cents; return nil }

// WasFrozen folds the event.
func (a *Account) WasFrozen(Frozen, event.Event) error { a.Frozen = true; return nil }

// WasThawed folds the event.
func (a *Account) WasThawed(Thawed, event.Event) error { a.Frozen = false; return nil }

// WasClosed folds the event.
func (a *Account) WasClosed(Closed, event.Event) error { a.Closed = true; return nil }

// exists says whether the account was ever opened.
func (a Account) exists() bool { return a.Owner != "" }

// Deposit decides on money that comes in: a frozen account takes it, a closed one does not.
func (a Account) Deposit(cents int64) ([]event.Payload, error) {
	switch {
	case !a.exists():
		return nil, ErrNoAccount
	case a.Closed:
		return nil, ErrNotActive
	case cents <= 0:
		return nil, ErrAmount
	}
	return event.Of(Deposited{cents}), nil
}

// Withdraw decides on money that goes out.
func (a Account) Withdraw(cents int64) ([]event.Payload, error) {
	if err := a.canPay(cents); err != nil {
		return nil, err
	}
	return event.Of(Withdrawn{cents}), nil
}

// canPay is the rule for all money that leaves the account.
func (a Account) canPay(cents int64) error {
	switch {
	case !a.exists():
		return ErrNoAccount
	case a.Frozen || a.Closed:
		return ErrNotActive
	case cents <= 0:
		return ErrAmount
	case cents > a.Cents:
		return ErrInsufficient
	}
	return nil
}

// Freeze decides to stop payments; freezing twice changes nothing.
func (a Account) Freeze(reason string) ([]event.Payload, error) {
	switch {
	case !a.exists():
		return nil, ErrNoAccount
	case a.Closed:
		return nil, ErrNotActive
	case a.Frozen:
		return nil, nil
	}
	return event.Of(Frozen{reason}), nil
}

// Thaw decides to allow payments again.
func (a Account) Thaw() ([]event.Payload, error) {
	switch {
	case !a.exists():
		return nil, ErrNoAccount
	case a.Closed:
		return nil, ErrNotActive
	case !a.Frozen:
		return nil, nil
	}
	return event.Of(Thawed{}), nil
}

// Close decides to end the account: what is on it is paid out in the same append.
func (a Account) Close(reason string) ([]event.Payload, error) {
	switch {
	case !a.exists():
		return nil, ErrNoAccount
	case a.Frozen || a.Closed:
		return nil, ErrNotActive
	case a.Cents > 0:
		return event.Of(Withdrawn{a.Cents}, Closed{reason}), nil
	}
	return event.Of(Closed{reason}), nil
}
