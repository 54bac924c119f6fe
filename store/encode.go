package store

import (
	"context"
	"fmt"

	"github.com/riffle-go/riffle/event"
)

// work is what one append is made of. Appends of one event, the most frequent ones, take a
// single allocation for all of it.
type work struct {
	txn          Txn
	oneAppending [1]Appending
	oneEvent     [1]event.Event
}

// encoder checks batches and turns them into what a driver writes.
type encoder struct {
	*core
	ctx         context.Context
	traceparent string // of the append's span; "" is none
	path        string // how errors name the batches
	repeats     bool   // a stream may come several times
}

// encode checks and encodes batches with so many events in all.
func (n *encoder) encode(batches []Batch, events int) (*work, error) {
	if len(batches) == 0 {
		return nil, &InvalidError{Field: n.path, Reason: "is missing; an append needs at least one batch"}
	}
	if err := checkLimit(n.path, events, n.limits.AppendEvents, "events", "AppendEvents"); err != nil {
		return nil, err
	}
	w := &work{}
	w.txn.Appends = w.oneAppending[:0]
	if len(batches) > 1 {
		w.txn.Appends = make([]Appending, 0, len(batches))
	}
	all := w.oneEvent[:0]
	if events > 1 {
		all = make([]event.Event, 0, events)
	}
	size := 0
	common := event.MetadataFrom(n.ctx)
	for i := range batches {
		first := len(all)
		var bytes int
		var err error
		if all, bytes, err = n.encodeBatch(all, &batches[i], common); err != nil {
			return nil, within(fmt.Sprintf("%s[%d]", n.path, i), err)
		}
		size += bytes
		b := &batches[i]
		w.txn.Appends = append(w.txn.Appends, Appending{
			Stream: b.Stream, Expect: b.Expect, RoutingKey: b.RoutingKey,
			Events: all[first:len(all):len(all)], Once: b.Once,
		})
	}
	if err := checkLimit(n.path, size, n.limits.AppendBytes, "bytes of events", "AppendBytes"); err != nil {
		return nil, err
	}
	if !n.repeats {
		if i, j, ok := sameTwice(batches, func(b *Batch) event.Stream { return b.Stream }); ok {
			return nil, &InvalidError{
				Field:  fmt.Sprintf("%s[%d].Stream", n.path, j),
				Reason: fmt.Sprintf("is that of %s[%d] too; put the events of a stream into one batch", n.path, i),
			}
		}
	}
	if i, j, ok := sameTwice(all, func(e *event.Event) event.ID { return e.ID }); ok {
		return nil, &InvalidError{
			Field:  n.path + ".Events",
			Reason: fmt.Sprintf("contains event id %s twice, as the %d. and the %d. event; give each event an id of its own", all[i].ID, i+1, j+1),
		}
	}
	return w, nil
}

// encodeBatch appends the events of a batch to all, and says how large they are.
func (n *encoder) encodeBatch(all []event.Event, b *Batch, common event.Metadata) ([]event.Event, int, error) {
	if err := b.Stream.Validate(); err != nil {
		return nil, 0, err
	}
	if b.Expect < Exists {
		return nil, 0, &InvalidError{Field: "Expect", Reason: "is none of NoStream, Exists, Any and Exact"}
	}
	if err := checkText("RoutingKey", b.RoutingKey, maxText); err != nil {
		return nil, 0, err
	}
	if len(b.Events) == 0 {
		return nil, 0, &InvalidError{Field: "Events", Reason: "is empty; a batch needs at least one event"}
	}
	md := common.Merge(b.Metadata)
	traced := md
	if n.traceparent != "" {
		traced = md.With(event.Traceparent, n.traceparent)
	}
	if err := traced.Validate(); err != nil {
		return nil, 0, err
	}
	size := 0
	for i, p := range b.Events {
		e, err := n.encodeEvent(p, b, md, traced)
		if err != nil {
			return nil, 0, within(fmt.Sprintf("Events[%d]", i), err)
		}
		size += eventSize(&e)
		all = append(all, e)
	}
	return all, size, nil
}

func (n *encoder) encodeEvent(p event.Payload, b *Batch, md, traced event.Metadata) (event.Event, error) {
	if b.Once && !hasID(p) {
		return event.Event{}, &InvalidError{Field: "ID", Reason: "is missing; Once needs events with ids, make them with event.Of"}
	}
	e, err := n.schema.Encode(p)
	if err != nil {
		return event.Event{}, err
	}
	if e.Stream.Aggregate != b.Stream.Aggregate {
		return event.Event{}, &InvalidError{
			Field:  "Aggregate",
			Reason: fmt.Sprintf("is %q, but the stream is of %q; a batch is of one aggregate", e.Stream.Aggregate, b.Stream.Aggregate),
		}
	}
	e.Stream.ID = b.Stream.ID
	if e.Metadata.IsZero() {
		e.Metadata = traced
	} else {
		// The append's own span wins: a draft may carry the metadata of the event it answers.
		e.Metadata = md.Merge(e.Metadata)
		if n.traceparent != "" {
			e.Metadata = e.Metadata.With(event.Traceparent, n.traceparent)
		}
		if err := e.Metadata.Validate(); err != nil {
			return event.Event{}, err
		}
	}
	if size := eventSize(&e); size > n.limits.EventBytes {
		return event.Event{}, checkLimit("Data", size, n.limits.EventBytes, "bytes with its metadata", "EventBytes")
	}
	return e, nil
}

// eventSize is what the limits count.
func eventSize(e *event.Event) int { return len(e.Data) + e.Metadata.Size() }

// hasID says whether a payload brings the id of its event along.
func hasID(p event.Payload) bool {
	switch d := p.(type) {
	case event.Draft:
		return !d.ID.IsZero() || hasID(d.Payload)
	case *event.Draft:
		return d != nil && (!d.ID.IsZero() || hasID(d.Payload))
	}
	return false
}

// sameTwice returns the first two elements with the same key. Few are compared with each
// other, which needs no memory.
func sameTwice[T any, K comparable](all []T, key func(*T) K) (i, j int, found bool) {
	const few = 24
	if len(all) <= few {
		for j := range all {
			for i := range j {
				if key(&all[i]) == key(&all[j]) {
					return i, j, true
				}
			}
		}
		return 0, 0, false
	}
	seen := make(map[K]int, len(all))
	for j := range all {
		if i, ok := seen[key(&all[j])]; ok {
			return i, j, true
		}
		seen[key(&all[j])] = j
	}
	return 0, 0, false
}
