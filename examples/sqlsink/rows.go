package main

import (
	"context"
	"database/sql"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/projection/sqlsink"
)

// tables are the shop's own; those of the sink are made by the sink. Each row remembers the
// events that wrote it, so that it can be taken back to any of them.
var tables = []string{
	`CREATE TABLE IF NOT EXISTS orders (
		id       text PRIMARY KEY,
		customer text NOT NULL,
		cents    bigint NOT NULL,
		state    text NOT NULL,
		placed   bigint NOT NULL,
		settled  bigint
	)`,
	`CREATE INDEX IF NOT EXISTS orders_customer ON orders (customer)`,
}

// NewRows defines the sink that keeps the table of orders.
func NewRows(db *sql.DB, d sqlsink.Dialect) *projection.Sink {
	settle := func(ctx context.Context, tx *sql.Tx, state string, ev event.Event) error {
		_, err := tx.ExecContext(ctx, `UPDATE orders SET state = $1, settled = $2 WHERE id = $3`,
			state, int64(ev.Position), ev.Stream.ID)
		return err
	}
	return sqlsink.New("orders", db, d,
		sqlsink.On(func(ctx context.Context, tx *sql.Tx, e Placed, ev event.Event) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO orders (id, customer, cents, state, placed) VALUES ($1, $2, $3, 'open', $4)`,
				ev.Stream.ID, e.Customer, e.Cents, int64(ev.Position))
			return err
		}),
		sqlsink.On(func(ctx context.Context, tx *sql.Tx, _ Paid, ev event.Event) error {
			return settle(ctx, tx, "paid", ev)
		}),
		sqlsink.On(func(ctx context.Context, tx *sql.Tx, _ Cancelled, ev event.Event) error {
			return settle(ctx, tx, "cancelled", ev)
		}),
		sqlsink.Reset(func(ctx context.Context, tx *sql.Tx, to event.Position) error {
			if _, err := tx.ExecContext(ctx, `DELETE FROM orders WHERE placed > $1`, int64(to)); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, `UPDATE orders SET state = 'open', settled = NULL WHERE settled > $1`, int64(to))
			return err
		}),
	)
}
