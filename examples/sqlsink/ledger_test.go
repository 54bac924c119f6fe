package main

import (
	"context"
	"database/sql"
	"maps"
	"sync"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection/sqlsink"
)

// The tests' sink: a journal of what was applied, in which an event that is applied twice
// is seen, and totals, which are wrong then.

const Accounts = event.Aggregate("ledger/account")

type (
	Added struct{ N int64 }
	Noted struct{ Text string }
)

func (Added) EventType() event.Type { return Accounts.Event("added") }
func (Noted) EventType() event.Type { return Accounts.Event("noted") }

func journalTables(d sqlsink.Dialect) string {
	id := "integer PRIMARY KEY AUTOINCREMENT"
	if d == sqlsink.PostgreSQL {
		id = "bigserial PRIMARY KEY"
	}
	return `CREATE TABLE journal (id ` + id + `, position bigint NOT NULL, account text NOT NULL, n bigint NOT NULL);
		CREATE TABLE totals (account text PRIMARY KEY, n bigint NOT NULL);`
}

// ledger writes the journal and the totals.
type ledger struct {
	mu sync.Mutex
	// inside is called in the transaction of an event that is written; its error is the
	// handler's.
	inside func(ctx context.Context, tx *sql.Tx, ev event.Event) error
}

func (l *ledger) set(inside func(ctx context.Context, tx *sql.Tx, ev event.Event) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inside = inside
}

func (l *ledger) add(ctx context.Context, tx *sql.Tx, e Added, ev event.Event) error {
	// It reads first: beside other writers that is what fails in a transaction that is not a
	// writer's from its beginning.
	var n int64
	err := tx.QueryRowContext(ctx, `SELECT n FROM totals WHERE account = $1`, ev.Stream.ID).Scan(&n)
	switch err {
	case nil:
		_, err = tx.ExecContext(ctx, `UPDATE totals SET n = n + $1 WHERE account = $2`, e.N, ev.Stream.ID)
	case sql.ErrNoRows:
		_, err = tx.ExecContext(ctx, `INSERT INTO totals (account, n) VALUES ($1, $2)`, ev.Stream.ID, e.N)
	}
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO journal (position, account, n) VALUES ($1, $2, $3)`, int64(ev.Position), ev.Stream.ID, e.N)
	if err != nil {
		return err
	}
	l.mu.Lock()
	inside := l.inside
	l.mu.Unlock()
	if inside == nil {
		return nil
	}
	return inside(ctx, tx, ev)
}

func (l *ledger) back(ctx context.Context, tx *sql.Tx, to event.Position) error {
	for _, s := range []string{
		`DELETE FROM journal WHERE position > $1`,
		`DELETE FROM totals WHERE $1 >= 0`,
		`INSERT INTO totals (account, n) SELECT account, sum(n) FROM journal WHERE position <= $1 GROUP BY account`,
	} {
		if _, err := tx.ExecContext(ctx, s, int64(to)); err != nil {
			return err
		}
	}
	return nil
}

func (l *ledger) handlers() []sqlsink.Handler {
	return []sqlsink.Handler{sqlsink.On(l.add), sqlsink.Reset(l.back)}
}

// entry is a line of the journal.
type entry struct {
	position event.Position
	account  string
	n        int64
}

// journal returns what was applied, in the order in which it was.
func (db *database) journal(t testing.TB) (all []entry) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `SELECT position, account, n FROM journal ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var e entry
		var at int64
		if err := rows.Scan(&at, &e.account, &e.n); err != nil {
			t.Fatal(err)
		}
		e.position = event.Position(at)
		all = append(all, e)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func (db *database) totals(t testing.TB) map[string]int64 {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `SELECT account, n FROM totals`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	all := map[string]int64{}
	for rows.Next() {
		var account string
		var n int64
		if err := rows.Scan(&account, &n); err != nil {
			t.Fatal(err)
		}
		all[account] = n
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// check compares the tables with the events that they must have, each once.
func (db *database) check(t testing.TB, want []entry) {
	t.Helper()
	sums, open := map[string]int64{}, map[event.Position]entry{}
	for _, e := range want {
		sums[e.account] += e.n
		open[e.position] = e
	}
	for _, got := range db.journal(t) {
		e, ok := open[got.position]
		switch {
		case !ok:
			t.Errorf("position %d was applied twice, or must not be there", got.position)
		case e != got:
			t.Errorf("applied %v, want %v", got, e)
		}
		delete(open, got.position)
	}
	for at := range open {
		t.Errorf("position %d is missing", at)
	}
	if got := db.totals(t); !maps.Equal(got, sums) {
		t.Errorf("totals are %v, want %v", got, sums)
	}
}

// checkOrder checks that the events of an account were applied in order.
func (db *database) checkOrder(t testing.TB) {
	t.Helper()
	last := map[string]event.Position{}
	for _, e := range db.journal(t) {
		if e.position < last[e.account] {
			t.Errorf("position %d of %s was applied after %d", e.position, e.account, last[e.account])
		}
		last[e.account] = e.position
	}
}
