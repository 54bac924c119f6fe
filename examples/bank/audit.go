package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/riffle-go/riffle/event"
	bank "github.com/riffle-go/riffle/examples/bank/domain"
	"github.com/riffle-go/riffle/store"
)

// books is what an audit found in order.
type books struct {
	head                                event.Position
	accounts, transfers, messages, held int
	paidIn, paidOut, balance            int64 // in cents
}

func (b books) String() string {
	return fmt.Sprintf("the books balance at position %d: %s in - %s out = %s on %d accounts; %d transfers, %d messages, %d held back",
		b.head, bank.Amount(b.paidIn), bank.Amount(b.paidOut), bank.Amount(b.balance), b.accounts, b.transfers, b.messages, b.held)
}

// errBooks is in every error of an audit that found something wrong.
var errBooks = errors.New("bank: the books do not balance")

// audit goes through the whole log, with arithmetic of its own, and compares with it
// everything that was derived: no cent was made or lost, every transfer ended once, the
// models say what the log says, every message was delivered once. The projections must have
// caught up, and nobody may write meanwhile.
func audit(ctx context.Context, st *store.Store, sent *outbox) (books, error) {
	l, err := readLedger(ctx, st)
	if err != nil {
		return books{}, err
	}
	b := books{head: l.head, accounts: len(l.accounts), transfers: len(l.transfers), paidIn: l.paidIn, paidOut: l.paidOut}
	var faults []error
	fault := func(format string, args ...any) {
		if len(faults) < 20 { // what is wrong everywhere need not be said everywhere
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	for id, cents := range l.accounts {
		if b.balance += cents; cents < 0 {
			fault("account %s has %s", id, bank.Amount(cents))
		}
	}
	if b.paidIn-b.paidOut != b.balance {
		fault("%s should be there, %s are", bank.Amount(b.paidIn-b.paidOut), bank.Amount(b.balance))
	}
	for id, t := range l.transfers {
		if !t.settled() {
			fault("transfer %s: %+v", id, *t)
		}
	}
	if err := checkModels(ctx, st, l, fault); err != nil {
		return books{}, err
	}
	if err := checkMessages(ctx, st, l, sent, &b, fault); err != nil {
		return books{}, err
	}
	if len(faults) > 0 {
		return books{}, errors.Join(append([]error{errBooks}, faults...)...)
	}
	return b, nil
}

// checkModels compares the stored states with the log.
func checkModels(ctx context.Context, st *store.Store, l *ledger, fault func(string, ...any)) error {
	stored := 0
	for acc, err := range bank.State.All(ctx, st, store.Range{}) {
		if err != nil {
			return err
		}
		stored++
		if cents, ok := l.accounts[acc.Key]; !ok || acc.Value.Cents != cents {
			fault("account %s has %s in the model, %s in the log", acc.Key, bank.Amount(acc.Value.Cents), bank.Amount(cents))
		}
		var months int64
		for month, err := range bank.Statements.All(ctx, st, store.Range{Prefix: event.KeyPrefix(acc.Key)}) {
			if err != nil {
				return err
			}
			months += month.Value.In - month.Value.Out
		}
		if months != acc.Value.Cents {
			fault("account %s has %s, its statements add up to %s", acc.Key, bank.Amount(acc.Value.Cents), bank.Amount(months))
		}
	}
	if stored != len(l.accounts) {
		fault("the model has %d accounts, the log %d", stored, len(l.accounts))
	}
	var in, out int64
	for flow, err := range bank.Flows.All(ctx, st, store.Range{}) {
		if err != nil {
			return err
		}
		in, out = in+flow.Value.In, out+flow.Value.Out
	}
	if in != l.moved || out != l.moved {
		fault("%s were moved between accounts; the model has %s in and %s out", bank.Amount(l.moved), bank.Amount(in), bank.Amount(out))
	}
	owners := 0
	for owner, err := range bank.OwnerViews.All(ctx, st, store.Range{}) {
		if err != nil {
			return err
		}
		owners += len(owner.Value.Accounts)
	}
	if owners != len(l.accounts) {
		fault("owners have %d accounts, the log %d", owners, len(l.accounts))
	}
	return nil
}

// checkMessages looks for each message in the outbox, but for those that are held back.
func checkMessages(ctx context.Context, st *store.Store, l *ledger, sent *outbox, b *books, fault func(string, ...any)) error {
	held := map[event.Position]bool{}
	for row, err := range st.Subscriber(store.SubscriberKey{Projection: "notifications"}).Rows(ctx, store.Range{}) {
		if err != nil {
			return err
		}
		held[row.Position] = true
	}
	b.held = len(held)
	for position, id := range l.notified {
		switch n := sent.times(id); {
		case n == 1:
			b.messages++
		case n == 0 && held[position]:
		default:
			fault("the message of the event at position %d was delivered %d times (held back: %t)", position, n, held[position])
		}
	}
	return nil
}
