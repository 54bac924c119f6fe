package sqlsink

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// target is the database of a sink. It has no state of its own: the row has.
type target struct {
	name     string
	db       *sql.DB
	dialect  Dialect
	language language
	fault    error

	byType map[event.Type][]Handler
	rest   map[event.Aggregate][]Handler
	pages  []Handler
	reset  func(ctx context.Context, tx *sql.Tx, to event.Position) error
}

// Fault returns what is wrong with the definition.
func (t *target) Fault() error { return t.fault }

// Begin implements [projection.Target].
func (t *target) Begin(ctx context.Context, s projection.Session, from, head event.Position) (event.Position, error) {
	if t.fault != nil {
		return 0, projection.Halt(t.fault)
	}
	if err := t.prepare(ctx); err != nil {
		return 0, err
	}
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, t.failed("begin", err)
	}
	defer func() { _ = tx.Rollback() }()
	at, err := t.claim(ctx, tx, s, from)
	if err != nil {
		return 0, t.failed("take over", err)
	}
	if at > head {
		return 0, &HistoryError{Projection: s.Key.Projection, History: s.History, Found: s.History, Position: at, Head: head}
	}
	if err := tx.Commit(); err != nil {
		return 0, t.failed("commit the take-over", err)
	}
	return at, nil
}

// claim raises the term of the row, or makes the row.
func (t *target) claim(ctx context.Context, tx *sql.Tx, s projection.Session, from event.Position) (event.Position, error) {
	for {
		var at int64
		err := tx.QueryRowContext(ctx, t.language.text(claim), s.History.String(), s.Key.Projection, int64(s.Term)).Scan(&at)
		if !errors.Is(err, sql.ErrNoRows) {
			return event.Position(at), err
		}
		if err := t.foreign(ctx, tx, s); err != nil {
			return 0, err
		}
		made, err := t.exec(ctx, tx, create, s.History.String(), s.Key.Projection, int64(s.Term), int64(from))
		if err != nil || made == 1 {
			return from, err
		}
		// Another worker made the row meanwhile.
	}
}

// foreign returns why the row of this history can neither be taken nor made.
func (t *target) foreign(ctx context.Context, tx *sql.Tx, s projection.Session) error {
	found, err := tx.QueryContext(ctx, t.language.text(rows), s.Key.Projection)
	if err != nil {
		return err
	}
	defer func() { _ = found.Close() }()
	var other *HistoryError
	for found.Next() {
		var history string
		var term, at int64
		if err := found.Scan(&history, &term, &at); err != nil {
			return err
		}
		switch own := history == s.History.String(); {
		case own && uint64(term) > s.Term:
			return t.lost()
		case own:
			return nil // another worker made it between the two statements
		}
		id, err := event.ParseID(history)
		if err != nil {
			return fmt.Errorf("riffle_sinks has the history %q: %w", history, err)
		}
		if other == nil {
			other = &HistoryError{Projection: s.Key.Projection, History: s.History, Found: id, Position: event.Position(at)}
		}
	}
	if err := found.Err(); err != nil {
		return err
	}
	if other != nil {
		return other
	}
	return nil
}

// prepare makes the tables, unless they are there.
func (t *target) prepare(ctx context.Context) error {
	there, err := t.exists(ctx)
	if err != nil || there {
		return t.failed("look for the tables", err)
	}
	failed := t.createTables(ctx)
	if failed == nil || ctx.Err() != nil {
		return t.failed("create the tables", failed)
	}
	if there, err := t.exists(ctx); err == nil && there {
		return nil // somebody else made them at the same time, which PostgreSQL takes for an error
	}
	return &SchemaError{Dialect: t.dialect, Err: failed}
}

func (t *target) exists(ctx context.Context) (there bool, err error) {
	err = t.db.QueryRowContext(ctx, t.language.exists).Scan(&there)
	return there, err
}

func (t *target) createTables(ctx context.Context) error {
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, s := range t.language.schema {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// exec returns how many rows a statement changed.
func (t *target) exec(ctx context.Context, tx *sql.Tx, statement string, args ...any) (int64, error) {
	res, err := tx.ExecContext(ctx, t.language.text(statement), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// failed says what could not be done. Errors of this package say it themselves.
func (t *target) failed(what string, err error) error {
	if err == nil || errors.Is(err, store.ErrLeaseLost) || errors.Is(err, store.ErrHistory) {
		return err
	}
	return fmt.Errorf("sqlsink: %s could not %s: %w", t.name, what, err)
}

func (t *target) lost() error {
	return fmt.Errorf("sqlsink: another worker writes the rows of %s, or they were moved: %w", t.name, store.ErrLeaseLost)
}
