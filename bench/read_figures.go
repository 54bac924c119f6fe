package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// smallCache is a block cache in which a store of a million events does not fit by far.
const smallCache = 8 << 20

func readFigures() []figure {
	return []figure{
		{
			group: "store", name: "read.all.cached", unit: "events/s",
			yardstick: "loop: Pebble iterator, copy, decode", bound: atLeast(0.75, 0.9),
			run: func(ctx context.Context, b *bench) ([]pair, error) {
				return b.reads(ctx, reading{
					fixture: b.middle,
					raw:     func(l *rawLog) (int, error) { return l.all() },
				})
			},
		},
		{
			group: "store", name: "read.all.uncached", unit: "events/s",
			yardstick: "Pebble iterator that copies nothing", bound: atLeast(0.55, 0.75),
			run: func(ctx context.Context, b *bench) ([]pair, error) {
				return b.reads(ctx, reading{
					fixture: b.big, cache: smallCache,
					raw: func(l *rawLog) (int, error) {
						n, _, err := l.scan()
						return n, err
					},
				})
			},
		},
		{
			group: "store", name: "read.page100.deep", unit: "µs", yardstick: againstSmaller, bound: atMost(2, 1.3),
			run: deepPages,
		},
		{
			group: "store", name: "read.filter5", unit: "events/s",
			yardstick: "scan of the log with a header check", bound: atLeast(0.9, 1.1),
			run: func(ctx context.Context, b *bench) ([]pair, error) {
				some := aggregateName(someAggregate)
				return b.reads(ctx, reading{
					fixture: b.big,
					query:   store.Query{Match: []store.Match{{Aggregate: some}}},
					raw: func(l *rawLog) (int, error) {
						return l.filtered(func(t event.Type) bool { return t.Aggregate == some })
					},
				})
			},
		},
	}
}

// reading is a catch-up over a whole store.
type reading struct {
	fixture func(context.Context) (*fixture, error)
	cache   int64 // 0 is the default
	query   store.Query
	raw     func(*rawLog) (hits int, err error)
}

// reads measures a catch-up against a loop over the same files. The rate counts the events
// of the store, whether they match or not.
func (b *bench) reads(ctx context.Context, r reading) (_ []pair, err error) {
	f, err := r.fixture(ctx)
	if err != nil {
		return nil, err
	}
	st, err := f.open(r.cache)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	raw, err := f.openRaw(b, r.cache)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, raw.close()) }()
	ours := func(ctx context.Context) (int, error) { return readAll(ctx, st, r.query) }
	theirs := func(context.Context) (int, error) { return r.raw(raw) }
	if err := sameHits(ctx, ours, theirs); err != nil { // and warms both
		return nil, err
	}
	return b.pairs(ctx, b.again(f.events, ours), b.again(f.events, theirs))
}

// pass reads everything once and returns how much it found.
type pass func(context.Context) (hits int, err error)

// readAll reads what a query selects, and looks at it.
func readAll(ctx context.Context, st *store.Store, q store.Query) (hits int, err error) {
	bytes := 0
	for ev, err := range st.Events(ctx, q) {
		if err != nil {
			return 0, err
		}
		hits++
		bytes += len(ev.Data)
	}
	if hits > 0 && bytes == 0 {
		return 0, errors.New("events without data")
	}
	return hits, nil
}

func sameHits(ctx context.Context, ours, theirs pass) error {
	a, err := ours(ctx)
	if err != nil {
		return err
	}
	b, err := theirs(ctx)
	if err != nil {
		return err
	}
	if a != b || a == 0 {
		return fmt.Errorf("the store gives %d events, the yardstick %d", a, b)
	}
	return nil
}

// again repeats a pass over so many events and returns the events passed per second.
func (b *bench) again(events int, p pass) side {
	return func(ctx context.Context) (float64, error) {
		start := time.Now()
		for passes := 1; ; passes++ {
			if _, err := p(ctx); err != nil {
				return 0, err
			}
			if took := time.Since(start); took >= b.time {
				return float64(passes*events) / took.Seconds(), nil
			}
		}
	}
}

// deepPages compares the time of a page of rare events somewhere in a large store with that
// in a small one.
func deepPages(ctx context.Context, b *bench) (_ []pair, err error) {
	var stores [2]*store.Store
	var sides [2]side
	for i, of := range []func(context.Context) (*fixture, error){b.big, b.small} {
		var f *fixture
		if f, err = of(ctx); err != nil {
			return nil, err
		}
		if stores[i], err = f.open(0); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, stores[i].Close()) }()
		sides[i] = b.pages(stores[i], f.events)
		if _, err = sides[i](ctx); err != nil { // warms it
			return nil, err
		}
	}
	return b.pairs(ctx, sides[0], sides[1])
}

// pages reads pages of rare events and returns the median of their times in microseconds.
// They begin in the first 85 % of the store: behind that are too few of them to fill one.
func (b *bench) pages(st *store.Store, events int) side {
	return func(ctx context.Context) (float64, error) {
		rng := rand.New(rand.NewPCG(5, uint64(events)))
		var took []time.Duration
		found := 0
		for start := time.Now(); len(took) == 0 || time.Since(start) < b.time; {
			from := event.Position(1 + rng.IntN(events*85/100))
			began := time.Now()
			page, err := st.Read(ctx, store.Query{
				Match: []store.Match{{Aggregate: aggregateName(rareAggregate)}},
				From:  store.AtPosition(from), Limit: 100,
			})
			if err != nil {
				return 0, err
			}
			took = append(took, time.Since(began))
			found += len(page.Items)
		}
		if found == 0 {
			return 0, errors.New("the pages are empty")
		}
		slices.Sort(took)
		return float64(took[len(took)/2]) / float64(time.Microsecond), nil
	}
}

// withCache returns a change of options for a block cache of this size; 0 is the default.
func withCache(size int64) func(*pebblestore.Options) {
	return func(o *pebblestore.Options) { o.CacheSize = size }
}
