package sqlsink

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// New defines a sink that writes into a SQL database. The database is not asked before an
// engine runs the sink, and never closed; one sink uses one connection at a time. Faults of
// the definition keep the sink from running.
//
// The sink is reset-able, that is engine.Rewind and engine.Rebuild work, when one of the
// handlers is a [Reset].
func New(name string, db *sql.DB, d Dialect, handlers ...Handler) *projection.Sink {
	t := newTarget(name, db, d, handlers)
	var to projection.Target = t
	if t.reset != nil {
		to = resetter{t}
	}
	match, everything := t.matches(handlers)
	if everything {
		return projection.NewSink(name, to)
	}
	return projection.NewSink(name, to, match...)
}

// newTarget sorts the handlers, and collects what is wrong with them.
func newTarget(name string, db *sql.DB, d Dialect, handlers []Handler) *target {
	language, known := languages[d]
	t := &target{
		name: name, db: db, dialect: d, language: language,
		byType: make(map[event.Type][]Handler), rest: make(map[event.Aggregate][]Handler),
	}
	var faults []error
	fault := func(field, format string, args ...any) {
		faults = append(faults, &store.InvalidError{Field: fmt.Sprintf("%s of projection %q", field, name), Reason: fmt.Sprintf(format, args...)})
	}
	if db == nil {
		fault("DB", "is nil; open the database first")
	}
	if !known {
		fault("Dialect", "is %q; use SQLite or PostgreSQL", string(d))
	}
	for i, h := range handlers {
		field := fmt.Sprintf("Handler %d", i+1)
		switch {
		case h.fault != nil:
			fault(field, "%v", h.fault)
		case h.kind == undefined:
			fault(field, "is empty; make it with On, OnAny, OnPage or Reset")
		case h.kind == goingBack && t.reset != nil:
			fault(field, "is another Reset; a sink has one")
		case h.kind == goingBack:
			t.reset = h.reset
		case h.kind == perPage:
			t.pages = append(t.pages, h)
		default:
			t.add(h.takes[0], handlers)
		}
	}
	t.fault = errors.Join(faults...)
	return t
}

// add finds all handlers of a type in the order of their definition, or, with Name "", those
// of the types of an aggregate that have no handler of their own.
func (t *target) add(of event.Type, handlers []Handler) {
	var takers []Handler
	for _, h := range handlers {
		if h.kind != perEvent || h.fault != nil {
			continue
		}
		if takes := h.takes[0]; takes == of || takes.Name == "" && takes.Aggregate == of.Aggregate {
			takers = append(takers, h)
		}
	}
	if of.Name == "" {
		t.rest[of.Aggregate] = takers
	} else {
		t.byType[of] = takers
	}
}

// matches returns what the handlers take; everything says that one of them takes any event.
func (t *target) matches(handlers []Handler) (match []store.Match, everything bool) {
	match = []store.Match{} // not nil: a sink without handlers is a fault, and not one of every event
	for _, h := range handlers {
		if h.fault != nil || h.kind == undefined || h.kind == goingBack {
			continue
		}
		if len(h.takes) == 0 {
			return nil, true
		}
		for _, of := range h.takes {
			match = append(match, store.Match{Aggregate: of.Aggregate, Name: of.Name})
		}
	}
	return match, false
}

// takers returns the handlers of an event.
func (t *target) takers(ev event.Event) []Handler {
	of := ev.Type()
	if hs, ok := t.byType[of]; ok {
		return hs
	}
	return t.rest[of.Aggregate]
}

// part returns the events of a page that a handler of pages takes, in a slice of its own.
func (h Handler) part(page []event.Event) []event.Event {
	if len(h.takes) == 0 {
		return slices.Clone(page)
	}
	var out []event.Event
	for _, ev := range page {
		if slices.Contains(h.takes, ev.Type()) {
			out = append(out, ev)
		}
	}
	return out
}
