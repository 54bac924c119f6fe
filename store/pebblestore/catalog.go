package pebblestore

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"sort"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/escape"
	"github.com/riffle-go/riffle/store"
)

// Head implements store.Driver.
func (d *driver) Head(ctx context.Context) (store.Head, error) {
	if ctx.Err() != nil {
		return store.Head{}, context.Cause(ctx)
	}
	h := d.head.Load()
	head := store.Head{Position: event.Position(h.position), History: d.history}
	if h.position > 0 {
		head.Time = time.UnixMilli(h.millis).UTC()
	}
	return head, nil
}

// Types implements store.Catalog. The dictionary is published with its first event, so
// no type is listed before it can be read.
func (d *driver) Types(ctx context.Context) ([]event.Type, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	dict := d.dict.Load()
	types := make([]event.Type, 0, len(dict.names))
	for t := range dict.names {
		types = append(types, t)
	}
	slices.SortFunc(types, func(a, b event.Type) int {
		return cmp.Or(cmp.Compare(a.Aggregate, b.Aggregate), cmp.Compare(a.Name, b.Name))
	})
	return types, nil
}

// Streams implements store.Catalog: it seeks from stream to stream, so a long stream
// costs what a short one does.
func (d *driver) Streams(ctx context.Context, a event.Aggregate, rng store.Range) ([]event.Stream, error) {
	if err := d.enter(ctx); err != nil {
		return nil, err
	}
	defer d.leave()
	head := d.head.Load().position
	aggregate, ok := d.dict.Load().aggregates[a]
	if !ok {
		return nil, nil
	}
	base := binary.BigEndian.AppendUint32([]byte{spaceStream}, aggregate)
	lower := escape.AppendPrefix(slices.Clone(base), rng.Prefix)
	upper := successor(lower)
	if after := escape.Append(slices.Clone(base), rng.After); rng.After != "" && string(after) > string(lower) {
		lower = successor(after)
	}
	iter, err := d.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, d.readError("index", lower, err)
	}
	var out []event.Stream
	for ok := iter.First(); ok && (rng.Limit <= 0 || len(out) < rng.Limit); {
		id, rest, valid := escape.Decode(iter.Key()[len(base):])
		e, parsed := parseStreamEntry(iter.Value())
		if !valid || !parsed || len(rest) != 8 {
			return nil, closing(iter, indexError(iter.Key()))
		}
		if e.position <= head {
			out = append(out, event.Stream{Aggregate: a, ID: id})
		}
		if ctx.Err() != nil {
			return nil, closing(iter, context.Cause(ctx))
		}
		ok = iter.SeekGE(successor(escape.Append(slices.Clone(base), id)))
	}
	if err := iter.Close(); err != nil {
		return nil, d.readError("index", lower, err)
	}
	return out, nil
}

// PositionAt implements store.TimeSeeker by binary search: positions are dense and times
// do not fall.
func (d *driver) PositionAt(ctx context.Context, t time.Time) (event.Position, error) {
	if err := d.enter(ctx); err != nil {
		return 0, err
	}
	defer d.leave()
	head, ms := d.head.Load().position, t.UnixMilli()
	if t.After(time.UnixMilli(ms)) {
		ms++ // times are stored in milliseconds: the first event at or after t has a later one
	}
	var fault error
	n := sort.Search(int(head), func(i int) bool {
		if fault != nil {
			return true
		}
		v, closer, err := d.db.Get(logKey(uint64(i) + 1))
		if err != nil {
			fault = d.readError("event", logKey(uint64(i)+1), err)
			return true
		}
		defer closer.Close()
		if err := checkHeader(v); err != nil {
			fault = envelopeError(uint64(i)+1, err)
			return true
		}
		return envelopeMillis(v) >= ms
	})
	if fault != nil {
		return 0, fault
	}
	return event.Position(n + 1), nil
}

// Limits implements store.Limiter.
func (*driver) Limits() store.Limits { return limits() }

// Traits implements store.Describer.
func (d *driver) Traits() store.Traits {
	return store.Traits{
		Dense: true, Ordered: true, Backward: true, AtomicEmits: true, MonotoneTime: true,
		Durable: d.opts.Sync == SyncAlways, ReliableWake: true, Sole: true,
	}
}

// Sync implements store.Syncer.
func (d *driver) Sync(ctx context.Context) error {
	if err := d.writable(); err != nil {
		return err
	}
	done := make(chan error, 1)
	select {
	case d.syncs <- done:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-d.fuse.Failed():
		return d.failure()
	case <-d.committed:
		return store.ErrClosed
	}
	select {
	case err := <-done:
		return err
	case <-d.fuse.Failed():
		return d.failure()
	}
}
