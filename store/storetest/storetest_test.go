package storetest

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

// factory makes in-memory drivers that break rules. 0 is a right driver.
func factory(naive memdriver.Naive) Factory {
	closing := func(tb testing.TB, d *memdriver.Driver) store.Driver {
		tb.Cleanup(func() {
			if err := d.Close(); err != nil {
				tb.Errorf("close: %v", err)
			}
		})
		return d
	}
	options := memdriver.Options{Naive: naive, Durable: true, Faults: memdriver.Faults{BeforeCommit: likeAStore}}
	return Factory{
		Open: func(tb testing.TB) store.Driver {
			return closing(tb, memdriver.New(options))
		},
		Clock: func(tb testing.TB, now func() time.Time) store.Driver {
			o := options
			o.Clock = now
			return closing(tb, memdriver.New(o))
		},
		Reopen: func(tb testing.TB, d store.Driver) store.Driver {
			return closing(tb, d.(*memdriver.Driver).Reopen())
		},
		Crash: func(tb testing.TB, d store.Driver) store.Driver {
			return closing(tb, d.(*memdriver.Driver).Crash())
		},
	}
}

// likeAStore refuses what a Store never asks for: the suite must not either, since drivers
// may rely on it.
func likeAStore(txn *store.Txn) error {
	var keys []string
	for _, g := range txn.Guards {
		keys = append(keys, g.Key)
	}
	for _, r := range txn.Puts {
		keys = append(keys, r.Key)
	}
	for _, key := range slices.Concat(keys, txn.Deletes, txn.Fence) {
		if key == "" || !slices.Contains(spaces[:], key[:1]) || len(key) > store.PortableLimits().KeyBytes {
			return fmt.Errorf("the suite uses the record key %q, which no Store makes", key)
		}
	}
	for _, a := range txn.Appends {
		if err := a.Stream.Validate(); err != nil {
			return err
		}
		if len(a.Events) == 0 {
			return fmt.Errorf("the suite appends no events to %q, which no Store does", a.Stream)
		}
		for _, ev := range a.Events {
			if err := a.Stream.Aggregate.Event(ev.Name).Validate(); err != nil {
				return err
			}
		}
	}
	return nil
}

func allTraits() store.Traits {
	return memdriver.New(memdriver.Options{Durable: true}).Traits()
}

func TestReferenceDriverKeepsTheContract(t *testing.T) {
	Run(t, factory(0), allTraits())
}

func TestSuiteLeavesOutWhatIsNotPromised(t *testing.T) {
	t.Parallel()
	f := Factory{Open: factory(0).Open}
	can := offered(t, f, store.Traits{Dense: true})
	for _, c := range []struct {
		needs need
		left  string
	}{
		{0, ""},
		{needDense, ""},
		{needLeaser | needSyncer, ""},
		{needDense | needBackward, "Traits.Backward"},
		{needDurable | needCrash, "Traits.Durable, Factory.Crash"},
	} {
		if got := (c.needs &^ can).String(); got != c.left {
			t.Errorf("a rule that needs %q is left out for %q, want %q", c.needs, got, c.left)
		}
	}
}

func TestSuiteRefusesTraitsThatTheDriverDoesNotPromise(t *testing.T) {
	t.Parallel()
	f := Factory{Open: func(testing.TB) store.Driver { return memdriver.New(memdriver.Options{}) }}
	r := record(t, func(tb testing.TB) { offered(tb, f, store.Traits{Durable: true, Dense: true}) })
	if !r.Failed() || !strings.Contains(r.log(), "tested for Traits.Durable,") {
		t.Errorf("the suite took a trait that the driver does not promise: %s", r.log())
	}
}

func TestEveryRuleHasItsOwnName(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, g := range groups() {
		if len(g.rules) == 0 {
			t.Errorf("group %q has no rules", g.name)
		}
		for _, r := range g.rules {
			if name := g.name + "/" + r.name; seen[name] || strings.Contains(r.name, "/") {
				t.Errorf("rule %q is there twice, or its name has a slash", name)
			} else {
				seen[name] = true
			}
		}
	}
}

func BenchmarkReferenceDriver(b *testing.B) { Bench(b, factory(0)) }

// The benchmarks are code that somebody else depends on: each runs once as a test.
func TestBenchRuns(t *testing.T) {
	benchtime := flag.Lookup("test.benchtime")
	before := benchtime.Value.String()
	if err := benchtime.Value.Set("1x"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := benchtime.Value.Set(before); err != nil {
			t.Error(err)
		}
	}()
	ran, failed := false, false
	testing.Benchmark(func(b *testing.B) {
		Bench(b, factory(0))
		ran, failed = true, failed || b.Failed()
	})
	if !ran || failed {
		t.Errorf("whether the benchmarks ran is %t, and whether one failed is %t", ran, failed)
	}
}
