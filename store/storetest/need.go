package storetest

import (
	"strings"
	"testing"

	"github.com/riffle-go/riffle/store"
)

// need is what a rule cannot be checked without: a promised trait, an optional interface,
// a function of the factory.
type need uint

const (
	needDense need = 1 << iota
	needOrdered
	needBackward
	needEmits
	needMonotone
	needDurable
	needWake
	needLeaser
	needCatalog
	needSeeker
	needSyncer
	needReopen
	needCrash
	needClock
)

var needNames = [...]string{
	"Traits.Dense", "Traits.Ordered", "Traits.Backward", "Traits.AtomicEmits", "Traits.MonotoneTime",
	"Traits.Durable", "Traits.ReliableWake",
	"store.Leaser", "store.Catalog", "store.TimeSeeker", "store.Syncer",
	"Factory.Reopen", "Factory.Crash", "Factory.Clock",
}

func (n need) String() string {
	var names []string
	for i, name := range needNames {
		if n&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// offered is what this driver, its traits and its factory have.
func offered(tb testing.TB, f Factory, tr store.Traits) need {
	tb.Helper()
	d := f.Open(tb)
	can := promised(tr) |
		given(is[store.Leaser](d), needLeaser) |
		given(is[store.Catalog](d), needCatalog) |
		given(is[store.TimeSeeker](d), needSeeker) |
		given(is[store.Syncer](d), needSyncer) |
		given(f.Reopen != nil, needReopen) |
		given(f.Crash != nil, needCrash) |
		given(f.Clock != nil, needClock)
	if described, ok := d.(store.Describer); ok {
		if tested := promised(tr) &^ promised(described.Traits()); tested != 0 {
			tb.Errorf("tested for %s, which the driver's Traits method does not promise", tested)
		}
	}
	return can
}

func promised(tr store.Traits) need {
	return given(tr.Dense, needDense) |
		given(tr.Ordered, needOrdered) |
		given(tr.Backward, needBackward) |
		given(tr.AtomicEmits, needEmits) |
		given(tr.MonotoneTime, needMonotone) |
		given(tr.Durable, needDurable) |
		given(tr.ReliableWake, needWake)
}

func given(ok bool, n need) need {
	if ok {
		return n
	}
	return 0
}

func is[T any](d store.Driver) bool {
	_, ok := d.(T)
	return ok
}
