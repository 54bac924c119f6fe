package store

import (
	"context"
	"fmt"

	"github.com/riffle-go/riffle/event"
)

// Import appends events as another store had them: with their ids, versions, times, schema
// versions, routing keys and encoded data. It is for restoring and moving stores, while
// nothing else appends. All events of a call are written or none; it may be repeated.
//
// The events continue the log: the first one's Position is the one after the head, or all
// Positions are 0 and are assigned. In each stream the versions continue the stream, and
// times do not fall, also not below that of the head, nor below 1970. Anything else is ErrInvalid, a stream
// at another version *ConflictError. The number and size of the events are limited as in
// an append: import large logs in several calls. Who appends at the same time, against the
// rule, can shift the positions of an import: Result.First tells.
func (s *Store) Import(ctx context.Context, events ...event.Event) (Result, error) {
	if err := s.ready(ctx); err != nil {
		return Result{}, err
	}
	txn, err := s.importTxn(events)
	if err != nil {
		return Result{}, err
	}
	head, err := s.head(ctx, s.driver)
	if err != nil {
		return Result{}, err
	}
	if err := continues(head, events[0]); err != nil {
		return s.imported(ctx, txn, err)
	}
	return s.write(ctx, txn)
}

// imported returns the first result of an import that was done before, else the refusal.
func (s *Store) imported(ctx context.Context, txn *Txn, refusal error) (Result, error) {
	r := replay{core: s.core, appends: txn.Appends, runs: make([][]event.Event, len(txn.Appends))}
	res, found, err := r.find(ctx, nil)
	if err == nil && !found {
		err = refusal
	}
	return res, err
}

func continues(head Head, first event.Event) error {
	switch {
	case first.Position != 0 && first.Position != head.Position+1:
		return &InvalidError{
			Field:  "events[0].Position",
			Reason: fmt.Sprintf("is %d, but the next one of this store is %d", first.Position, head.Position+1),
		}
	case first.Time.Before(head.Time):
		return &InvalidError{
			Field:  "events[0].Time",
			Reason: fmt.Sprintf("is %v, before %v of the head", first.Time, head.Time),
		}
	}
	return nil
}

// importTxn checks events and groups neighbours of one stream.
func (c *core) importTxn(events []event.Event) (*Txn, error) {
	if len(events) == 0 {
		return nil, &InvalidError{Field: "events", Reason: "is missing; an import needs at least one event"}
	}
	if err := checkLimit("events", len(events), c.limits.AppendEvents, "events", "AppendEvents"); err != nil {
		return nil, err
	}
	txn := &Txn{Import: true}
	size := 0
	for i := range events {
		e := events[i] // a copy: the caller's stays as it is
		if err := c.checkImport(events, i); err != nil {
			return nil, within(fmt.Sprintf("events[%d]", i), err)
		}
		size += eventSize(&e)
		e.Time, e.SchemaVersion = wholeMillis(e.Time), max(e.SchemaVersion, 1)
		if a := lastOf(txn.Appends); a != nil && a.Stream == e.Stream {
			a.Events = append(a.Events, e)
			continue
		}
		txn.Appends = append(txn.Appends, Appending{
			Stream: e.Stream, Expect: Exact(e.Version - 1), RoutingKey: e.RoutingKey, Events: []event.Event{e},
		})
	}
	if i, j, ok := sameTwice(events, func(e *event.Event) event.ID { return e.ID }); ok {
		return nil, &InvalidError{Field: fmt.Sprintf("events[%d].ID", j), Reason: fmt.Sprintf("is that of events[%d] too", i)}
	}
	return txn, checkLimit("events", size, c.limits.AppendBytes, "bytes", "AppendBytes")
}

func lastOf[T any](s []T) *T {
	if len(s) == 0 {
		return nil
	}
	return &s[len(s)-1]
}

// checkImport checks an event by itself and against the one before it.
func (c *core) checkImport(events []event.Event, i int) error {
	e := &events[i]
	if err := e.Stream.Validate(); err != nil {
		return err
	}
	if err := checkName("Name", e.Name); err != nil {
		return err
	}
	if err := checkText("RoutingKey", e.RoutingKey, maxText); err != nil {
		return err
	}
	if e.ContentType != "" {
		if err := checkName("ContentType", e.ContentType); err != nil {
			return err
		}
	}
	if err := e.Metadata.Validate(); err != nil {
		return err
	}
	if err := checkLimit("Data", eventSize(e), c.limits.EventBytes, "bytes with its metadata", "EventBytes"); err != nil {
		return err
	}
	switch {
	case e.ID.IsZero():
		return &InvalidError{Field: "ID", Reason: "is zero; an imported event brings its id along"}
	case e.Version == 0:
		return &InvalidError{Field: "Version", Reason: "is 0; versions begin at 1"}
	case e.SchemaVersion < 0:
		return &InvalidError{Field: "SchemaVersion", Reason: "is negative"}
	case e.Time.IsZero():
		return &InvalidError{Field: "Time", Reason: "is zero; an imported event brings its time along"}
	}
	if i == 0 {
		return nil
	}
	before := &events[i-1]
	switch {
	case e.Time.Before(before.Time):
		return &InvalidError{Field: "Time", Reason: "is before that of the event before it"}
	case e.Position != nextPosition(before.Position):
		return &InvalidError{Field: "Position", Reason: fmt.Sprintf("is %d after %d; positions of an import have no gaps", e.Position, before.Position)}
	case e.Stream == before.Stream && e.Version != before.Version+1:
		return &InvalidError{Field: "Version", Reason: fmt.Sprintf("is %d after %d; versions of a stream have no gaps", e.Version, before.Version)}
	case e.Stream == before.Stream && e.RoutingKey != before.RoutingKey:
		return &InvalidError{Field: "RoutingKey", Reason: "differs from that of the event before it in the stream"}
	}
	return nil
}

// nextPosition keeps 0, which leaves positions to the store.
func nextPosition(p event.Position) event.Position {
	if p == 0 {
		return 0
	}
	return p + 1
}
