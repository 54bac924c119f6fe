package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// peer is another database with a table of events.
type peer interface {
	// append appends one event to stream i of those that the peer was opened with, durably,
	// and refuses when the stream does not have the version.
	appender
	// load appends events in bulk.
	load(ctx context.Context, events []event.Event) error
	// read reads all events in order and returns how many there were.
	read(ctx context.Context) (int, error)
}

// openPeer opens a new peer in a directory that exists.
type openPeer func(ctx context.Context, dir string, streams []stream) (peer, error)

func peerFigures() []figure {
	figures := []figure{}
	figures = append(figures, peerPair("sqlite", "", "SQLite (modernc), WAL, synchronous=FULL, a transaction per event", openModernc, atLeast(12, 25), atLeast(3, 8))...)
	figures = append(figures, mattnFigures()...)
	figures = append(figures, peerPair("bbolt", "", "bbolt, JSON events in buckets, a transaction per event", openBoltJSON, atLeast(25, 50), atLeast(5, 15))...)
	return append(figures, peerPair("bbolt", ".binary", "bbolt, Riffle's encoding, callers grouped by DB.Batch", openBoltBinary, nil, nil)...)
}

// peerPair are the figures of appending to a peer and of reading it.
func peerPair(name, suffix, yardstick string, open openPeer, appends, reads *bound) []figure {
	return []figure{
		{
			group: "store", name: name + ".append.g64" + suffix, unit: "events/s", yardstick: yardstick, bound: appends,
			run: func(ctx context.Context, b *bench) ([]pair, error) { return b.appendsAgainst(ctx, open) },
		},
		{
			group: "store", name: name + ".read" + suffix, unit: "events/s", yardstick: yardstick, bound: reads,
			run: func(ctx context.Context, b *bench) ([]pair, error) { return b.readsAgainst(ctx, open) },
		},
	}
}

// appendsAgainst compares appends of 64 goroutines, one event each.
func (b *bench) appendsAgainst(ctx context.Context, open openPeer) (_ []pair, err error) {
	ours, err := b.openLoad(ctx, 64, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ours.to.close()) }()
	streams := b.appendStreams()
	p, err := b.openPeer(ctx, open, streams)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	first := make([]event.Event, len(streams))
	for i := range streams {
		if first[i], err = streams[i].event(1); err != nil {
			return nil, err
		}
	}
	if err := p.load(ctx, first); err != nil {
		return nil, err
	}
	theirs := &load{to: p, versions: make([]uint64, len(streams)), goroutines: 64}
	for i := range theirs.versions {
		theirs.versions[i] = 1
	}
	return b.pairs(ctx,
		func(ctx context.Context) (float64, error) { return ours.run(ctx, b.time) },
		func(ctx context.Context) (float64, error) { return theirs.run(ctx, b.time) })
}

// readsAgainst compares a catch-up over the same events, all of them in the caches.
func (b *bench) readsAgainst(ctx context.Context, open openPeer) (_ []pair, err error) {
	f, err := b.middle(ctx)
	if err != nil {
		return nil, err
	}
	st, err := f.open(0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	p, err := b.openPeer(ctx, open, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := copyTo(ctx, p, st); err != nil {
		return nil, err
	}
	ours := func(ctx context.Context) (int, error) { return readAll(ctx, st, store.Query{}) }
	if err := sameHits(ctx, ours, p.read); err != nil {
		return nil, err
	}
	return b.pairs(ctx, b.again(f.events, ours), b.again(f.events, p.read))
}

func (b *bench) openPeer(ctx context.Context, open openPeer, streams []stream) (peer, error) {
	dir := b.dir("peer")
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	p, err := open(ctx, dir, streams)
	if err != nil {
		return nil, fmt.Errorf("yardstick: %w", err)
	}
	return p, nil
}

func copyTo(ctx context.Context, p peer, st *store.Store) error {
	var events []event.Event
	for ev, err := range st.Events(ctx, store.Query{}) {
		if err != nil {
			return err
		}
		if events = append(events, ev); len(events) == appendMany {
			if err := p.load(ctx, events); err != nil {
				return fmt.Errorf("yardstick: %w", err)
			}
			events = events[:0]
		}
	}
	return p.load(ctx, events)
}

// event is what a peer stores for an append: encoded as the store does it, with the same
// codec.
func (s *stream) event(version uint64) (event.Event, error) {
	ev, err := (*event.Schema)(nil).Encode(s.payload(version))
	ev.Stream, ev.Version, ev.RoutingKey, ev.Metadata = s.key, version, s.routingKey, s.metadata
	ev.Time = time.Now().UTC().Truncate(time.Millisecond)
	return ev, err
}
