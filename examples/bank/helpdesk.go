package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/riffle-go/riffle/engine"
	bank "github.com/riffle-go/riffle/examples/bank/domain"
	"github.com/riffle-go/riffle/store"
)

// helpdesk plays the operator: it looks for messages that were parked, removes the cause,
// and has them tried again.
type helpdesk struct {
	bank     bank.Bank
	eng      *engine.Engine
	patience time.Duration // how long a message is left parked, so that it can be seen
	helped   *atomic.Int64 // accounts
}

// help deals with all accounts whose messages have been parked for long enough.
func (h helpdesk) help(ctx context.Context) error {
	accounts := map[string]bool{}
	rows := h.bank.Store.Subscriber(store.SubscriberKey{Projection: "notifications"}).Rows(ctx, store.Range{})
	for row, err := range rows {
		if err != nil {
			return err
		}
		if row.State == store.Parked && time.Since(row.Since) >= h.patience {
			accounts[row.Key] = true
		}
	}
	for account := range accounts {
		if err := h.askForAddress(ctx, account); err != nil {
			return err
		}
		if err := h.eng.Retry(ctx, "notifications", account); err != nil {
			return err
		}
		h.helped.Add(1)
	}
	return nil
}

func (h helpdesk) askForAddress(ctx context.Context, account string) error {
	acc, err := bank.State.Load(ctx, h.bank.Store, bank.Accounts.Stream(account))
	if err != nil {
		return err
	}
	owner, err := bank.Contacts.Load(ctx, h.bank.Store, bank.Owners.Stream(acc.Value.Owner))
	if err != nil {
		return err
	}
	if owner.Value.Address != "" {
		return nil // known since another account's message was parked
	}
	_, err = h.bank.Move(ctx, acc.Value.Owner, fmt.Sprintf("%s@example.net", owner.Value.Name))
	if errors.Is(err, bank.ErrNoOwner) {
		return fmt.Errorf("account %s: %w", account, err)
	}
	return err
}
