package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/riffle-go/riffle/event"
	bank "github.com/riffle-go/riffle/examples/bank/domain"
	"github.com/riffle-go/riffle/store"
)

const (
	clients      = 4
	pause        = 10 * time.Millisecond // of a client between two commands
	openAccounts = 24                    // what the town's people want to have
)

// town is the people who use the bank. What they know of it, they have read from it, so
// that a new process goes on with the accounts of the one before.
type town struct {
	bank                    bank.Bank
	obeyed, refused, helped atomic.Int64

	mu       sync.Mutex
	owners   []string
	accounts []string // that are not closed
	former   []string // closed lately: some still send money to them, and get it back
	numbers  int      // given out so far
}

func newTown(ctx context.Context, b bank.Bank) (*town, error) {
	t := &town{bank: b}
	for acc, err := range bank.State.All(ctx, b.Store, store.Range{}) {
		if err != nil {
			return nil, err
		}
		t.numbers++
		if !acc.Value.Closed {
			t.accounts = append(t.accounts, acc.Key)
		}
	}
	for o, err := range bank.OwnerViews.All(ctx, b.Store, store.Range{}) {
		if err != nil {
			return nil, err
		}
		t.owners = append(t.owners, o.Key)
	}
	return t, nil
}

// live runs the clients and the help desk until ctx ends, or until one of them meets an
// error that is not a refusal.
func (t *town) live(ctx context.Context, desk helpdesk) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if err := t.visit(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	errs := make(chan error, clients+1)
	var all sync.WaitGroup
	run := func(every time.Duration, f func(context.Context) error) {
		all.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for {
				if err := f(ctx); err != nil && ctx.Err() == nil {
					errs <- err
					stop()
				}
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		})
	}
	for range clients {
		run(pause, t.command)
	}
	run(desk.patience/2, desk.help)
	all.Wait()
	close(errs)
	return <-errs // the first one; nil when there is none
}

// visit brings somebody new to the bank, who forgets to leave an address: the bank's letter
// to them cannot be delivered until the help desk has asked.
func (t *town) visit(ctx context.Context) error {
	owner, err := t.settle(ctx, "")
	if err != nil {
		return err
	}
	return t.open(ctx, owner)
}

// settle registers a new owner.
func (t *town) settle(ctx context.Context, address string) (string, error) {
	id := "o-" + event.NewID().String()
	name := firstNames[rand.IntN(len(firstNames))]
	if address != "" {
		address = fmt.Sprintf("%s-%s@example.org", name, id[len(id)-4:])
	}
	_, err := t.bank.Register(ctx, id, bank.Registered{Name: name, Address: address})
	if err != nil {
		return "", err
	}
	t.mu.Lock()
	t.owners = append(t.owners, id)
	t.mu.Unlock()
	return id, nil
}

var firstNames = []string{"Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gina", "Hugo", "Ines", "Jon", "Kim", "Lea"}

// open opens an account under the next free number.
func (t *town) open(ctx context.Context, owner string) error {
	view, err := bank.Contacts.Load(ctx, t.bank.Store, bank.Owners.Stream(owner))
	if err != nil {
		return err
	}
	for {
		t.mu.Lock()
		t.numbers++
		id := fmt.Sprintf("a-%05d", t.numbers)
		t.mu.Unlock()
		_, err := t.bank.Open(ctx, id, bank.Opened{
			OwnerID: owner, OwnerName: view.Value.Name, Currency: "EUR", Cents: 100_00 + rand.Int64N(900_00),
		})
		if errors.Is(err, bank.ErrExists) {
			continue
		}
		if err != nil {
			return err
		}
		t.mu.Lock()
		t.accounts = append(t.accounts, id)
		t.mu.Unlock()
		return nil
	}
}

// command gives the bank one command, and takes a refusal for an answer.
func (t *town) command(ctx context.Context) error {
	err := t.choose(ctx)
	for _, no := range []error{bank.ErrNotActive, bank.ErrInsufficient, bank.ErrSameAccount} {
		if errors.Is(err, no) {
			t.refused.Add(1)
			return nil
		}
	}
	if errors.Is(err, store.ErrConflict) { // the account was busier than the client is patient
		t.refused.Add(1)
		return nil
	}
	if err == nil {
		t.obeyed.Add(1)
	}
	return err
}

func (t *town) choose(ctx context.Context) error {
	account, other, owner := t.somebody()
	if account == "" || other == "" {
		newcomer, err := t.settle(ctx, "by mail")
		if err != nil {
			return err
		}
		return t.open(ctx, newcomer)
	}
	cents := 1 + rand.Int64N(150_00)
	var err error
	switch n := rand.IntN(1000); {
	case n < 300:
		_, err = t.bank.Deposit(ctx, account, cents)
	case n < 550:
		_, err = t.bank.Withdraw(ctx, account, cents)
	case n < 950:
		_, err = t.bank.Transfer(ctx, event.NewID(), account, other, cents)
	case n < 960:
		_, err = t.bank.Freeze(ctx, account, "a card was lost")
	case n < 990:
		_, err = t.bank.Thaw(ctx, account)
	case n < 995:
		_, err = t.bank.Rename(ctx, owner, firstNames[rand.IntN(len(firstNames))]+" Smith")
	default:
		if _, err = t.bank.Close(ctx, account, "moved to another bank"); err == nil {
			t.closed(account)
		}
	}
	return err
}

// somebody picks two accounts and an owner; it returns no account when the town wants to
// have more.
func (t *town) somebody() (account, other, owner string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.accounts) < openAccounts {
		return "", "", ""
	}
	pick := func(from []string) string { return from[rand.IntN(len(from))] }
	account, other, owner = pick(t.accounts), pick(t.accounts), pick(t.owners)
	if len(t.former) > 0 && rand.IntN(50) == 0 {
		other = pick(t.former)
	}
	return account, other, owner
}

// closed takes an account off the list, so that somebody opens another one.
func (t *town) closed(account string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.accounts = slices.DeleteFunc(t.accounts, func(id string) bool { return id == account })
	t.former = append(t.former, account)
	t.former = t.former[max(0, len(t.former)-8):]
}
