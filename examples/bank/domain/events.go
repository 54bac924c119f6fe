package bank

import "github.com/riffle-go/riffle/event"

// The kinds of streams.
const (
	Accounts  = event.Aggregate("bank/account")
	Owners    = event.Aggregate("bank/owner")
	Transfers = event.Aggregate("bank/transfer")
)

// What happens to an account. Amounts are in cents.
type (
	// Opened is the first event of an account; Cents are paid in at the counter.
	Opened struct {
		OwnerID, OwnerName, Currency string
		Cents                        int64
	}
	// Deposited is money that came in at the counter.
	Deposited struct{ Cents int64 }
	// Withdrawn is money that went out at the counter.
	Withdrawn struct{ Cents int64 }
	// Sent is money on its way to another account.
	Sent struct {
		Transfer, To string
		Cents        int64
	}
	// Received is money that came from another account.
	Received struct {
		Transfer, From string
		Cents          int64
	}
	// Returned is money that was sent and could not be received.
	Returned struct {
		Transfer string
		Cents    int64
	}
	// Frozen stops withdrawals and transfers out of an account.
	Frozen struct{ Reason string }
	// Thawed ends Frozen.
	Thawed struct{}
	// Closed is the end of an account, which was empty by then.
	Closed struct{ Reason string }
)

// What happens to an owner.
type (
	// Registered is the first event of an owner. Without an address, nobody can write to them.
	Registered struct{ Name, Address string }
	// Renamed is a new name.
	Renamed struct{ Name string }
	// Moved is a new address.
	Moved struct{ Address string }
)

// What happens to a transfer.
type (
	// Requested is the first event of a transfer.
	Requested struct {
		From, To string
		Cents    int64
	}
	// Completed says that the receiver has the money.
	Completed struct {
		From, To string
		Cents    int64
	}
	// Rejected says that the sender has it, still or again.
	Rejected struct{ Reason string }
)

// EventType names the event in the store.
func (Opened) EventType() event.Type { return Accounts.Event("opened") }

// EventType names the event in the store.
func (Deposited) EventType() event.Type { return Accounts.Event("deposited") }

// EventType names the event in the store.
func (Withdrawn) EventType() event.Type { return Accounts.Event("withdrawn") }

// EventType names the event in the store.
func (Sent) EventType() event.Type { return Accounts.Event("sent") }

// EventType names the event in the store.
func (Received) EventType() event.Type { return Accounts.Event("received") }

// EventType names the event in the store.
func (Returned) EventType() event.Type { return Accounts.Event("returned") }

// EventType names the event in the store.
func (Frozen) EventType() event.Type { return Accounts.Event("frozen") }

// EventType names the event in the store.
func (Thawed) EventType() event.Type { return Accounts.Event("thawed") }

// EventType names the event in the store.
func (Closed) EventType() event.Type { return Accounts.Event("closed") }

// EventType names the event in the store.
func (Registered) EventType() event.Type { return Owners.Event("registered") }

// EventType names the event in the store.
func (Renamed) EventType() event.Type { return Owners.Event("renamed") }

// EventType names the event in the store.
func (Moved) EventType() event.Type { return Owners.Event("moved") }

// EventType names the event in the store.
func (Requested) EventType() event.Type { return Transfers.Event("requested") }

// EventType names the event in the store.
func (Completed) EventType() event.Type { return Transfers.Event("completed") }

// EventType names the event in the store.
func (Rejected) EventType() event.Type { return Transfers.Event("rejected") }
