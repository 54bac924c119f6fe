package pebblestore

import (
	"context"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// Stream implements store.Driver.
func (d *driver) Stream(ctx context.Context, s event.Stream) (store.StreamInfo, error) {
	head := d.head.Load().position
	state, err := d.lookupCtx(ctx, s, head)
	if err != nil || state.version == 0 {
		return store.StreamInfo{}, err
	}
	if err := d.enter(ctx); err != nil {
		return store.StreamInfo{}, err
	}
	defer d.leave()
	aggregate := d.dict.Load().aggregates[s.Aggregate]
	key := appendStreamKey(nil, aggregate, s.ID, 1)
	v, closer, err := d.db.Get(key)
	if err != nil {
		return store.StreamInfo{}, d.readError("index", key, err)
	}
	defer closer.Close()
	first, ok := parseStreamEntry(v)
	if !ok {
		return store.StreamInfo{}, &store.CorruptError{What: "index entry", Key: d.dict.Load().place(key), Err: errShort}
	}
	return store.StreamInfo{
		Version:    state.version,
		RoutingKey: state.routingKey,
		First:      event.Position(first.position),
		Last:       event.Position(state.last),
	}, nil
}

func (d *driver) lookupCtx(ctx context.Context, s event.Stream, head uint64) (streamState, error) {
	if err := d.enter(ctx); err != nil {
		return streamState{}, err
	}
	defer d.leave()
	return d.lookupLocked(d.db, s, head)
}

// lookup finds the state of a stream at a head.
func (d *driver) lookup(r pebble.Reader, s event.Stream, head uint64) (streamState, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return streamState{}, store.ErrClosed
	}
	return d.lookupLocked(r, s, head)
}

func (d *driver) lookupLocked(r pebble.Reader, s event.Stream, head uint64) (streamState, error) {
	// A stream is at head 0 in the dictionary of a later head at the worst: then its entries
	// lie above head, and are left out below.
	aggregate, ok := d.dict.Load().aggregates[s.Aggregate]
	if !ok {
		return streamState{}, nil
	}
	prefix := appendStreamPrefix(nil, aggregate, s.ID)
	iter, err := r.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: successor(prefix)})
	if err != nil {
		return streamState{}, d.readError("index", prefix, err)
	}
	var state streamState
	for ok := iter.Last(); ok; ok = iter.Prev() {
		v, err := iter.ValueAndErr()
		if err != nil {
			return state, closing(iter, d.readError("index", iter.Key(), err))
		}
		e, ok := parseStreamEntry(v)
		if !ok {
			return state, closing(iter, indexError(iter.Key()))
		}
		if e.position > head { // visible, not yet durable
			continue
		}
		state.version = binary.BigEndian.Uint64(iter.Key()[len(prefix):])
		state.last = e.position
		if e.flags&flagKeyed != 0 {
			if state.routingKey, err = d.routingKeyAt(r, e.position); err != nil {
				return state, closing(iter, err)
			}
		}
		break
	}
	if err := iter.Error(); err != nil {
		return state, closing(iter, d.readError("index", prefix, err))
	}
	return state, iter.Close()
}

// routingKeyAt reads the routing key of a keyed event.
func (d *driver) routingKeyAt(r pebble.Reader, pos uint64) (string, error) {
	v, closer, err := r.Get(logKey(pos))
	if err != nil {
		return "", d.readError("event", logKey(pos), err)
	}
	defer closer.Close()
	var ev event.Event
	if err := decodeEnvelope(append([]byte(nil), v...), pos, d.dict.Load(), &ev); err != nil {
		return "", err
	}
	return ev.RoutingKey, nil
}
