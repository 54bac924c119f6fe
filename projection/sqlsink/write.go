package sqlsink

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// page is one transaction of a session.
type page struct {
	*target
	session  projection.Session
	from, to event.Position
	late     []event.Position // events out of turn that it applies
}

// Write implements [projection.Target].
func (t *target) Write(ctx context.Context, s projection.Session, from, to event.Position, events []event.Event) error {
	p := page{target: t, session: s, from: from, to: to}
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return t.failed("begin", err)
	}
	defer func() { _ = tx.Rollback() }()
	ahead, err := p.enter(ctx, tx)
	if err != nil {
		return err
	}
	events, err = p.new(ctx, tx, events, ahead)
	if err != nil {
		return t.failed("see what is in already", err)
	}
	if err := t.handle(ctx, tx, events); err != nil {
		return err
	}
	return p.finish(ctx, tx)
}

// enter finds the row of the session at the page's beginning. ahead says that some events
// behind it are in already.
func (p *page) enter(ctx context.Context, tx *sql.Tx) (ahead bool, err error) {
	at, late, err := p.row(ctx, tx)
	switch {
	case err != nil:
		return false, err
	case at != p.from:
		return false, p.lost()
	}
	return late > 0, nil
}

// row begins a transaction: it returns the session's position, and how many events behind
// it are in already.
func (p *page) row(ctx context.Context, tx *sql.Tx) (at event.Position, late int64, err error) {
	var position int64
	err = tx.QueryRowContext(ctx, p.language.text(p.language.enter), p.session.History.String(), p.session.Key.Projection, int64(p.session.Term)).Scan(&position, &late)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, 0, p.lost()
	}
	return event.Position(position), late, p.failed("begin", err)
}

// new returns the events that are not in already. An event is out of turn when the page does
// not move over it: it failed before, and is tried again. The store learns of its success
// after the database did, and may forget that in a crash; so such events are written down,
// and applied once.
func (p *page) new(ctx context.Context, tx *sql.Tx, events []event.Event, ahead bool) ([]event.Event, error) {
	for _, ev := range events {
		if ev.Position <= p.from || ev.Position > p.to {
			p.late = append(p.late, ev.Position)
		}
	}
	if len(events) == 0 || !ahead && len(p.late) == 0 {
		return events, nil
	}
	by := func(a, b event.Event) int { return cmp.Compare(a.Position, b.Position) }
	known, err := p.lateBetween(ctx, tx, slices.MinFunc(events, by).Position, slices.MaxFunc(events, by).Position)
	if err != nil || len(known) == 0 {
		return events, err
	}
	p.late = slices.DeleteFunc(p.late, func(at event.Position) bool { return known[at] })
	return slices.DeleteFunc(slices.Clone(events), func(ev event.Event) bool { return known[ev.Position] }), nil
}

// querier is a *sql.Tx or a *sql.DB.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// lateBetween returns which events out of turn are in, from one position to another.
func (p *page) lateBetween(ctx context.Context, q querier, first, last event.Position) (map[event.Position]bool, error) {
	found, err := q.QueryContext(ctx, p.language.text(lateBetween), p.session.History.String(), p.session.Key.Projection, int64(first), int64(last))
	if err != nil {
		return nil, err
	}
	defer func() { _ = found.Close() }()
	known := make(map[event.Position]bool)
	for found.Next() {
		var at int64
		if err := found.Scan(&at); err != nil {
			return nil, err
		}
		known[event.Position(at)] = true
	}
	return known, found.Err()
}

// finish moves the row and commits.
func (p *page) finish(ctx context.Context, tx *sql.Tx) error {
	history, name := p.session.History.String(), p.session.Key.Projection
	for _, at := range p.late {
		if _, err := p.exec(ctx, tx, addLate, history, name, int64(at)); err != nil {
			return p.ended(ctx, err, "write down what came late")
		}
	}
	moved, err := p.exec(ctx, tx, move, history, name, int64(p.session.Term), int64(p.from), int64(p.to))
	if err != nil {
		return p.ended(ctx, err, "move its position")
	}
	if moved == 0 {
		return p.lost()
	}
	if err := tx.Commit(); err != nil {
		return p.outcome(ctx, err)
	}
	return nil
}

// patience is how long the database may take to tell how a COMMIT ended.
const patience = 5 * time.Second

// outcome finds out what happened in a COMMIT that failed, also after the end of ctx: with a
// lost connection it may have been carried out all the same.
func (p *page) outcome(ctx context.Context, failed error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	var term, at int64
	err := p.db.QueryRowContext(ctx, p.language.text(p.language.settled), p.session.History.String(), p.session.Key.Projection).Scan(&term, &at)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return p.lost() // somebody deleted the row
	case err != nil:
		return p.unknown(failed, err)
	case uint64(term) != p.session.Term:
		return p.lost() // whoever took over goes on from what there is
	case event.Position(at) == p.to && p.from != p.to:
		return nil
	case event.Position(at) != p.from:
		return p.lost()
	case p.from != p.to || len(p.late) == 0:
		return p.failed("commit", failed)
	}
	known, err := p.lateBetween(ctx, p.db, slices.Min(p.late), slices.Max(p.late))
	switch {
	case err != nil:
		return p.unknown(failed, err)
	case slices.ContainsFunc(p.late, func(at event.Position) bool { return !known[at] }):
		return p.failed("commit", failed)
	}
	return nil
}

// unknown is the answer when nothing can be found out. It is safe to write the page again:
// a page that was committed is refused.
func (p *page) unknown(failed, asked error) error {
	return p.failed("commit, nor find out what happened", errors.Join(store.ErrUnknown, failed, asked))
}
