package main

import (
	"testing"

	bank "github.com/riffle-go/riffle/examples/bank/domain"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// A town that goes on remembering closed accounts would have only these after some minutes.
func TestTheTownReplacesClosedAccounts(t *testing.T) {
	t.Parallel()
	st, err := pebblestore.OpenMem(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	town, err := newTown(t.Context(), bank.Bank{Store: st})
	if err != nil {
		t.Fatal(err)
	}
	commands := 0
	for ; len(town.former) < 8; commands++ {
		if commands == 100_000 {
			t.Fatalf("only %d accounts closed", len(town.former))
		}
		if err := town.command(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(town.accounts); n < openAccounts-1 {
		t.Errorf("the town has %d accounts left after %d commands", n, commands)
	}
	for _, id := range town.accounts {
		a, err := bank.State.Load(t.Context(), st, bank.Accounts.Stream(id))
		if err != nil {
			t.Fatal(err)
		}
		if a.Value.Closed {
			t.Errorf("account %s is closed, and used all the same", id)
		}
	}
	for _, id := range town.former {
		a, err := bank.State.Load(t.Context(), st, bank.Accounts.Stream(id))
		if err != nil {
			t.Fatal(err)
		}
		if !a.Value.Closed {
			t.Errorf("account %s is not closed, but not used either", id)
		}
	}
}
