package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// fixture is a store that was loaded, came to rest and is closed, with what loading it
// cost.
type fixture struct {
	dir   string       // for the store
	raw   string       // the same files, for a yardstick on Pebble
	copy  string       // the same files, for who changes them
	types []event.Type // by name id

	events  int
	payload int64 // bytes of the encoded envelopes
	wal     int64 // bytes written to the write-ahead log
	tables  int64 // bytes written by flushes and compactions
	size    int64 // of the files that are left
}

// fixtures are made when the first figure asks for them, and shared by all that follow.
type fixtures struct {
	big, small, middle *fixture
	history            *history
	idle               []idleCost // per run; three figures share them
}

// big has as many events as -n says.
func (b *bench) big(ctx context.Context) (*fixture, error) {
	return b.fixture(ctx, &b.shared.big, "big", b.events, rareShare)
}

// small has 1/20 of that, but as many events of the rare aggregate, so that a page of them
// is a page in both stores.
func (b *bench) small(ctx context.Context) (*fixture, error) {
	return b.fixture(ctx, &b.shared.small, "small", b.events/20, 20*rareShare)
}

// middle has 1/10: it fits into the block cache, and other databases load it in seconds.
func (b *bench) middle(ctx context.Context) (*fixture, error) {
	return b.fixture(ctx, &b.shared.middle, "middle", b.events/10, rareShare)
}

func (b *bench) fixture(ctx context.Context, f **fixture, name string, events int, rare float64) (*fixture, error) {
	if *f != nil {
		return *f, nil
	}
	made, err := b.makeFixture(ctx, filepath.Join(b.root, name), events, rare)
	if err != nil {
		return nil, fmt.Errorf("load the %s store: %w", name, err)
	}
	*f = made
	return made, nil
}

func (b *bench) makeFixture(ctx context.Context, dir string, events int, rare float64) (*fixture, error) {
	f := &fixture{dir: dir, raw: dir + "-raw", copy: dir + "-copy", events: events}
	d := newDisk(0)
	st, err := openRiffle(dir, on(d))
	if err != nil {
		return nil, err
	}
	r := &riffle{st: st, streams: newStreams(3, max(1000, events/10), rare)}
	err = r.fill(ctx, make([]uint64, len(r.streams)), events, 4)
	if err := errors.Join(err, st.Close()); err != nil {
		return nil, err
	}
	// Opening it flushes what the load left in the log, so that all of it is counted.
	if st, err = openRiffle(dir, on(d)); err != nil {
		return nil, err
	}
	err = b.rest(ctx, d)
	f.wal, f.tables = d.wal.Load(), d.tables.Load()
	if err == nil {
		f.size, err = diskUsage(dir)
	}
	err = errors.Join(err, st.Backup(ctx, f.raw), st.Backup(ctx, f.copy), st.Close())
	if err != nil {
		return nil, err
	}
	return f, b.inspect(f)
}

// rest waits until nothing was written for a while: flushes and compactions have ended.
func (b *bench) rest(ctx context.Context, d *disk) error {
	quietFor := max(2*b.pause, 50*time.Millisecond)
	for {
		before := d.written()
		select {
		case <-time.After(quietFor):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if d.written() == before {
			return nil
		}
	}
}

// diskUsage adds up the files below dir.
func diskUsage(dir string) (int64, error) {
	var total int64
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, os.ErrNotExist) { // a log that was just recycled
			return nil
		}
		if err != nil {
			return err
		}
		total += info.Size()
		return nil
	})
	return total, err
}

// inspect reads the dictionary and counts the payload.
func (b *bench) inspect(f *fixture) (err error) {
	db, err := openPebble(b.settings, f.raw, vfs.Default, defaultCache)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if f.types, err = readDictionary(db); err != nil {
		return err
	}
	l := rawLog{db: db, types: f.types}
	n, bytes, err := l.scan()
	if err != nil {
		return err
	}
	if n != f.events {
		return fmt.Errorf("the log has %d events, %d were appended", n, f.events)
	}
	f.payload = bytes
	return nil
}

// readDictionary returns the event types of a store by name id.
func readDictionary(db *pebble.DB) (types []event.Type, err error) {
	iter, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{'d'}, UpperBound: []byte{'d' + 1}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, iter.Close()) }()
	const kindAggregate, kindName = 1, 2
	aggregates := map[uint32]event.Aggregate{}
	for iter.First(); iter.Valid(); iter.Next() {
		key := iter.Key()
		parent, id, text := binary.BigEndian.Uint32(key[2:]), binary.BigEndian.Uint32(iter.Value()), string(key[6:])
		switch key[1] {
		case kindAggregate:
			aggregates[id] = event.Aggregate(text)
		case kindName:
			for len(types) <= int(id) {
				types = append(types, event.Type{})
			}
			types[id] = aggregates[parent].Event(text)
		}
	}
	return types, iter.Error()
}

// open opens the store of a fixture. cache 0 is the default.
func (f *fixture) open(cache int64) (*store.Store, error) {
	return openRiffle(f.dir, withCache(cache))
}

// openRaw opens Pebble on the same files.
func (f *fixture) openRaw(b *bench, cache int64) (*rawLog, error) {
	if cache == 0 {
		cache = defaultCache
	}
	db, err := openPebble(b.settings, f.raw, vfs.Default, cache)
	if err != nil {
		return nil, err
	}
	return &rawLog{db: db, types: f.types}, nil
}

func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}
