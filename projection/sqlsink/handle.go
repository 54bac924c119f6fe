package sqlsink

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
)

// handle runs the handlers of a page.
func (t *target) handle(ctx context.Context, tx *sql.Tx, events []event.Event) error {
	for _, ev := range events {
		for _, h := range t.takers(ev) {
			if err := h.one(ctx, tx, ev); err != nil {
				return t.refused(ctx, err, ev)
			}
		}
	}
	for _, h := range t.pages {
		part := h.part(events)
		if len(part) == 0 {
			continue
		}
		switch err := h.page(ctx, tx, part); {
		case err == nil:
		case len(part) == 1:
			return t.refused(ctx, err, part[0])
		default:
			first, last := part[0].Position, part[len(part)-1].Position
			return t.ended(ctx, err, fmt.Sprintf("write a page of %d events from position %d to %d", len(part), first, last))
		}
	}
	return nil
}

// refused blames an event for an error, if nothing else is to blame.
func (t *target) refused(ctx context.Context, err error, ev event.Event) error {
	if ctx.Err() != nil || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrTxDone) {
		return t.ended(ctx, err, fmt.Sprintf("write %s at position %d", ev.Type(), ev.Position))
	}
	return &EventError{Projection: t.name, Position: ev.Position, Type: ev.Type(), Err: err}
}

// ended says what could not be done in a transaction. One that is over although nobody
// told the sink to stop was ended by a handler, and what was written until then may be
// committed: that must not happen again and again.
func (t *target) ended(ctx context.Context, err error, what string) error {
	if errors.Is(err, sql.ErrTxDone) && ctx.Err() == nil {
		return projection.Halt(fmt.Errorf("sqlsink: a handler of %s has ended the transaction of its page; that is the sink's to do, and what it has written until then may be in twice: %w", t.name, err))
	}
	return t.failed(what, err)
}
