package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// storeSettings are the settings that the store gives to Pebble, so that a yardstick on
// Pebble differs in nothing but the code above it.
func storeSettings() (*pebble.Options, error) {
	var seen *pebble.Options
	st, err := openRiffle("settings", func(o *pebblestore.Options) {
		o.FS, o.FreeSpace = vfs.NewMem(), pebblestore.NoFreeSpaceCheck
		o.Tune = func(p *pebble.Options) { seen = p }
	})
	if err != nil {
		return nil, fmt.Errorf("bench: settings of the store: %w", err)
	}
	// the store completes the options after Tune, so they are looked at when it is open
	settings := seen.Clone()
	settings.FS, settings.Lock, settings.EventListener, settings.Cache = nil, nil, nil, nil
	settings.Logger = silent{}
	return settings, st.Close()
}

// silent is a logger of Pebble that lets what is fatal be fatal.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf("bench: yardstick: pebble: "+format, args...))
}

const defaultCache = 256 << 20 // the store's

// openPebble opens Pebble with the store's settings.
func openPebble(settings *pebble.Options, dir string, fs vfs.FS, cache int64) (*pebble.DB, error) {
	o := settings.Clone()
	o.FS = fs
	o.Cache = pebble.NewCache(cache)
	defer o.Cache.Unref() // the DB has its own reference
	db, err := pebble.Open(dir, o)
	if err != nil {
		return nil, fmt.Errorf("yardstick: open pebble: %w", err)
	}
	return db, nil
}

// raw appends by a Pebble batch of its own for each event: the keys and bytes that the
// store writes, without its order, its checks and its committer.
type raw struct {
	db        *pebble.DB
	write     *pebble.WriteOptions
	streams   []stream
	envelopes [][]byte // per stream; whoever appends to the stream fills in the header
	position  atomic.Uint64
}

// newRaw makes a yardstick and appends one event to each stream. It owns db.
func newRaw(db *pebble.DB, write *pebble.WriteOptions, streams []stream) (*raw, error) {
	r := &raw{db: db, write: write, streams: streams, envelopes: make([][]byte, len(streams))}
	for i := range streams {
		data, err := json.Marshal(streams[i].body)
		if err != nil {
			return nil, errors.Join(err, db.Close())
		}
		r.envelopes[i] = appendEnvelope(nil, event.NewID(), &streams[i], data)
	}
	for i := range streams {
		if err := r.commit(i, 0, pebble.NoSync); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	if err := db.LogData(nil, pebble.Sync); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return r, nil
}

// nameID is what the dictionary of a store gives out when names come in this order.
func nameID(aggregate, name int) uint32 { return uint32(aggregate*namesPerAggregate + name + 1) }

func (r *raw) append(_ context.Context, i int, version uint64) error {
	return r.commit(i, version, r.write)
}

func (r *raw) commit(i int, version uint64, write *pebble.WriteOptions) error {
	s, envelope := &r.streams[i], r.envelopes[i]
	version++
	position := r.position.Add(1)
	name := nameID(s.aggregate, name(version))
	fillHeader(envelope, name, version, time.Now().UnixMilli())

	batch := r.db.NewBatch()
	defer batch.Close()

	op := batch.SetDeferred(9, len(envelope))
	op.Key[0] = 'e'
	binary.BigEndian.PutUint64(op.Key[1:], position)
	copy(op.Value, envelope)
	err := op.Finish()

	op = batch.SetDeferred(15+len(s.id), 13)
	op.Key[0] = 'a'
	binary.BigEndian.PutUint32(op.Key[1:], uint32(s.aggregate+1))
	n := 5 + copy(op.Key[5:], s.id)
	op.Key[n], op.Key[n+1] = 0, 1 // ids of the workload have nothing to escape
	binary.BigEndian.PutUint64(op.Key[n+2:], version)
	binary.BigEndian.PutUint64(op.Value, position)
	binary.BigEndian.PutUint32(op.Value[8:], name)
	op.Value[12] = envelope[headerFlags]
	err = errors.Join(err, op.Finish())

	op = batch.SetDeferred(13, 0)
	op.Key[0] = 't'
	binary.BigEndian.PutUint32(op.Key[1:], name)
	binary.BigEndian.PutUint64(op.Key[5:], position)
	err = errors.Join(err, op.Finish())

	if s.routingKey != "" {
		op = batch.SetDeferred(11+len(s.routingKey), 4)
		op.Key[0] = 'r'
		n := 1 + copy(op.Key[1:], s.routingKey)
		op.Key[n], op.Key[n+1] = 0, 1
		binary.BigEndian.PutUint64(op.Key[n+2:], position)
		binary.BigEndian.PutUint32(op.Value, name)
		err = errors.Join(err, op.Finish())
	}
	if err != nil {
		return err
	}
	return batch.Commit(write)
}

func (r *raw) close() error { return r.db.Close() }
