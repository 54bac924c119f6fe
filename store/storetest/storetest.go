package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/riffle-go/riffle/store"
)

// Factory makes the drivers that a run tests. Open is required. Every driver is closed
// by its maker in tb.Cleanup; a rule may have closed it before. All functions are called
// from several tests at the same time.
type Factory struct {
	// Open returns a new driver on an empty store.
	Open func(tb testing.TB) store.Driver

	// Reopen closes a driver and opens its data again.
	Reopen func(tb testing.TB, d store.Driver) store.Driver

	// Crash returns a driver on what is left when the machine of d loses its power at the
	// moment of the call. Calls on d may be in flight; what becomes of them, and of later
	// ones, does not matter, as long as they return.
	Crash func(tb testing.TB, d store.Driver) store.Driver

	// Clock returns a new driver on an empty store that stamps events with now. now is safe
	// for concurrent use.
	Clock func(tb testing.TB, now func() time.Time) store.Driver

	// Seed of everything random. 0 takes a new one for each rule; each logs its own.
	Seed uint64

	_ struct{}
}

// Run tests a driver against the contract: the part that every driver has to keep, and
// what the traits promise. Rules run in parallel, each on a driver of its own.
func Run(t *testing.T, f Factory, tr store.Traits) {
	t.Helper()
	if f.Open == nil {
		t.Fatal("storetest: Factory.Open is nil; it has to open a new, empty driver")
	}
	can := offered(t, f, tr)
	for _, g := range groups() {
		var left []string
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			for _, r := range g.rules {
				if missing := r.needs &^ can; missing != 0 {
					left = append(left, r.name+": needs "+missing.String())
					continue
				}
				t.Run(r.name, func(t *testing.T) {
					t.Parallel()
					r.check(newEnv(t, f, tr))
				})
			}
			if len(left) > 0 {
				t.Logf("left out of %q:\n\t%s", g.name, strings.Join(left, "\n\t"))
			}
		})
	}
}

// group is a promise, or a part of the contract without which the promises mean nothing.
type group struct {
	name  string
	rules []rule
}

// rule is one sentence of the contract and the check that it is true.
type rule struct {
	name  string
	needs need
	check func(*env)
}

// groups is the contract. Names are sentences, since they are what a failing run prints.
func groups() []group {
	return []group{
		{"order", orderRules()},
		{"envelope", envelopeRules()},
		{"live readers", liveRules()},
		{"durable before visible", durableRules()},
		{"optimistic concurrency", concurrencyRules()},
		{"routing key", routingRules()},
		{"retry", retryRules()},
		{"a page costs a page", pageRules()},
		{"head and wait", waitRules()},
		{"time", timeRules()},
		{"catalog", catalogRules()},
		{"records", recordRules()},
		{"guards", guardRules()},
		{"leases", leaseRules()},
		{"terms", termRules()},
		{"fenced commits", fencingRules()},
		{"atomic emits", emitRules()},
		{"hostile ids", hostileRules()},
		{"portable limits", limitRules()},
		{"close", closeRules()},
	}
}
