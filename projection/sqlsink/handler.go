package sqlsink

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/riffle-go/riffle/event"
)

// Handler is a part of a sink: what it writes for certain events, or how it goes back. Make
// it with [On], [OnAny], [OnPage] or [Reset].
//
// tx is the page's transaction; a handler must not end it, nor use it after it returned. ctx
// ends, and the transaction is rolled back, when the worker has lost its lease or is told to
// stop. A page is handled again, in a new transaction, after every failure.
//
// The handlers of a page run one after the other: those of On and OnAny for each event, in
// the order of their definition, then those of OnPage.
type Handler struct {
	kind  kind
	takes []event.Type // with Name "": all of the aggregate. None in OnPage: every event
	fault error

	one   func(ctx context.Context, tx *sql.Tx, ev event.Event) error
	page  func(ctx context.Context, tx *sql.Tx, page []event.Event) error
	reset func(ctx context.Context, tx *sql.Tx, to event.Position) error
}

type kind uint8

const (
	undefined kind = iota
	perEvent
	perPage
	goingBack
)

// On handles events with payload E, one by one.
func On[E event.Payload](f func(ctx context.Context, tx *sql.Tx, e E, ev event.Event) error) Handler {
	t, fault := typeOf[E]()
	if f == nil {
		fault = errNil
	}
	return Handler{
		kind: perEvent, takes: []event.Type{t}, fault: fault,
		one: func(ctx context.Context, tx *sql.Tx, ev event.Event) error {
			e, err := event.Decode[E](ev)
			if err != nil {
				return err
			}
			return f(ctx, tx, e, ev)
		},
	}
}

// OnAny handles all events of an aggregate as they are stored, one by one, also those that
// have a handler of their own. ev.Data must not be modified.
func OnAny(a event.Aggregate, f func(ctx context.Context, tx *sql.Tx, ev event.Event) error) Handler {
	fault := a.Validate()
	if f == nil {
		fault = errNil
	}
	return Handler{kind: perEvent, takes: []event.Type{{Aggregate: a}}, fault: fault, one: f}
}

// OnPage handles the events of these types, as many of a page as there are, as they are stored
// and in order: for writing many rows with one statement. Without types it gets every event
// of the store, or of what Options.Streams and Options.RoutingKey leave. The slice belongs to
// the handler for the time of the call; the events' Data must not be modified.
//
// When it fails, nobody knows because of which event: the worker finds out by writing
// smaller pages.
func OnPage(f func(ctx context.Context, tx *sql.Tx, page []event.Event) error, types ...event.Type) Handler {
	var fault error
	for _, t := range types {
		if err := t.Validate(); err != nil {
			fault = err
		}
	}
	if f == nil {
		fault = errNil
	}
	return Handler{kind: perPage, takes: slices.Clone(types), fault: fault, page: f}
}

// Reset makes a sink able to go back, which Rewind and Rebuild of an engine need: f removes
// from the tables what the events after a position have written; position 0 is everything. The
// sink moves its own position in the same transaction. f may be called when there is nothing
// to remove. A sink has one Reset at most.
func Reset(f func(ctx context.Context, tx *sql.Tx, to event.Position) error) Handler {
	var fault error
	if f == nil {
		fault = errNil
	}
	return Handler{kind: goingBack, fault: fault, reset: f}
}

var errNil = errors.New("has no function")

// typeOf asks the payload type E for its event type.
func typeOf[E event.Payload]() (t event.Type, fault error) {
	goType := reflect.TypeFor[E]()
	if goType.Kind() == reflect.Interface {
		return t, fmt.Errorf("takes %s, an interface; take a concrete payload, or use OnAny for all events of an aggregate", goType)
	}
	defer func() {
		if p := recover(); p != nil {
			fault = fmt.Errorf("takes %s, whose EventType panics on an empty value: %v", goType, p)
		}
	}()
	var payload E
	if goType.Kind() == reflect.Pointer {
		payload = reflect.New(goType.Elem()).Interface().(E)
	}
	t = payload.EventType()
	return t, t.Validate()
}
