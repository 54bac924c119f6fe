package bank_test

import (
	"time"

	bank "github.com/riffle-go/riffle/examples/bank/domain"
	"github.com/riffle-go/riffle/store"
)

// opened returns when the first event of an account was stored.
func opened(w *world, account string) time.Time {
	w.Helper()
	for ev, err := range w.Store.Events(w.Context(), store.Query{Match: store.MatchStreams(bank.Accounts.Stream(account)), Limit: 1}) {
		w.must(err)
		return ev.Time
	}
	w.Fatalf("no account %s", account)
	return time.Time{}
}
