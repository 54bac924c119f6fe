package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/store/pebblestore"
)

// maxAppendStreams is how many streams the appends go to, in a run of full size.
const maxAppendStreams = 10_000

// slowSync is how long a sync of a slow disk takes.
const slowSync = 2 * time.Millisecond

func appendFigures() []figure {
	sync := func(name string, goroutines int, bound *bound) figure {
		return figure{
			group: "store", name: name, unit: "events/s", yardstick: againstRaw, bound: bound,
			run: func(ctx context.Context, b *bench) ([]pair, error) {
				return b.appends(ctx, appends{goroutines: goroutines})
			},
		}
	}
	return []figure{
		sync("append.sync.g1", 1, atLeast(0.90, 1.0)),
		sync("append.sync.g8", 8, atLeast(1.3, 1.7)),
		sync("append.sync.g64", 64, atLeast(0.95, 1.1)),
		sync("append.sync.g256", 256, atLeast(1.0, 1.2)),
		{
			group: "store", name: "append.sync.g64.slowdisk", unit: "events/s",
			yardstick: againstRaw + ", 2 ms more for every sync",
			run: func(ctx context.Context, b *bench) ([]pair, error) {
				return b.appends(ctx, appends{goroutines: 64, syncDelay: slowSync})
			},
		},
		{
			group: "store", name: "append.p99.g64", unit: "ms", yardstick: againstRaw, bound: atMost(1.2, 0.9),
			run: func(ctx context.Context, b *bench) ([]pair, error) {
				return b.appends(ctx, appends{goroutines: 64, p99: true})
			},
		},
		{
			group: "store", name: "append.nosync.g64", unit: "events/s", yardstick: againstRaw + ", without sync", bound: atLeast(0.75, 0.95),
			run: func(ctx context.Context, b *bench) ([]pair, error) {
				return b.appends(ctx, appends{goroutines: 64, noSync: true})
			},
		},
		{
			group: "store", name: "append.g64.readers2", unit: "events/s", yardstick: againstItself, bound: atLeast(0.5, 0.75),
			run: appendsWithReaders,
		},
		{
			group: "store", name: "append.g8.idle1000", unit: "events/s", yardstick: againstItself, bound: atLeast(0.9, 1.0),
			run: appendsWithIdle,
		},
	}
}

// appends says how to append.
type appends struct {
	goroutines int
	syncDelay  time.Duration
	noSync     bool
	p99        bool // measure that, not the rate
}

// appends measures appends to a store against raw Pebble.
func (b *bench) appends(ctx context.Context, a appends) (_ []pair, err error) {
	var fs vfs.FS = vfs.Default
	if a.syncDelay > 0 {
		fs = newDisk(a.syncDelay)
	}
	mode, write := pebblestore.SyncAlways, pebble.Sync
	if a.noSync {
		mode, write = pebblestore.SyncOff, pebble.NoSync
	}
	ours, err := b.openLoad(ctx, a.goroutines, func(o *pebblestore.Options) { o.FS, o.Sync = fs, mode })
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ours.to.close()) }()
	theirs, err := b.openRawLoad(a.goroutines, fs, write)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, theirs.to.close()) }()
	measure := func(l *load) side {
		return func(ctx context.Context) (float64, error) {
			if a.p99 {
				return l.p99(ctx, b.time)
			}
			return l.run(ctx, b.time)
		}
	}
	return b.pairs(ctx, measure(ours), measure(theirs))
}

func (b *bench) appendStreams() []stream {
	return newStreams(1, min(maxAppendStreams, b.events), rareShare)
}

// openLoad opens a new store with one event in each stream.
func (b *bench) openLoad(ctx context.Context, goroutines int, change func(*pebblestore.Options)) (*load, error) {
	st, err := openRiffle(b.dir("store"), change)
	if err != nil {
		return nil, err
	}
	r := &riffle{st: st, streams: b.appendStreams()}
	l := &load{to: r, versions: make([]uint64, len(r.streams)), goroutines: goroutines}
	if err := r.fill(ctx, l.versions, 0, 1); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return l, nil
}

// openRawLoad does the same with raw Pebble.
func (b *bench) openRawLoad(goroutines int, fs vfs.FS, write *pebble.WriteOptions) (*load, error) {
	db, err := openPebble(b.settings, b.dir("raw"), fs, defaultCache)
	if err != nil {
		return nil, err
	}
	r, err := newRaw(db, write, b.appendStreams())
	if err != nil {
		return nil, fmt.Errorf("yardstick: %w", err)
	}
	l := &load{to: r, versions: make([]uint64, len(r.streams)), goroutines: goroutines}
	for i := range l.versions {
		l.versions[i] = 1
	}
	return l, nil
}
