// Command sqlsink keeps a table of orders in a SQL database, exactly in step with the events
// of a store: in SQLite, or with -postgres in PostgreSQL. See README.md.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/projection/sqlsink"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// config is what the flags say.
type config struct {
	dir      string
	postgres string
	orders   int
}

func run(ctx context.Context, out io.Writer, args []string) (err error) {
	var c config
	flags := flag.NewFlagSet("sqlsink", flag.ContinueOnError)
	flags.StringVar(&c.dir, "dir", "shop-data", "directory of the events, and of the SQLite database")
	flags.StringVar(&c.postgres, "postgres", "", "URL of a PostgreSQL database to write to instead")
	flags.IntVar(&c.orders, "orders", 1000, "how many orders to place")
	ci := flags.Bool("ci", false, "a short run in a temporary directory")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *ci {
		c.orders = min(c.orders, 200)
		if c.dir, err = os.MkdirTemp("", "sqlsink"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(c.dir)) }()
	}
	return c.run(ctx, out)
}

func (c config) run(ctx context.Context, out io.Writer) (err error) {
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	st, err := pebblestore.Open(filepath.Join(c.dir, "events"), &pebblestore.Options{Store: store.Options{Logger: logger}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	db, dialect, err := c.database(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	rows := NewRows(db, dialect)
	eng, err := engine.New(engine.Config{Store: st, Projections: []projection.Projection{rows}})
	if err != nil {
		return err
	}
	running, drain := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- eng.Run(running) }()
	err = c.trade(ctx, out, st, db, eng, rows)
	drain()
	return errors.Join(err, <-ended)
}

// database opens the database and makes the shop's tables.
func (c config) database(ctx context.Context) (*sql.DB, sqlsink.Dialect, error) {
	name, source, dialect := "sqlite", filepath.Join(c.dir, "shop.db")+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)", sqlsink.SQLite
	if c.postgres != "" {
		name, source, dialect = "pgx", c.postgres, sqlsink.PostgreSQL
	}
	db, err := sql.Open(name, source)
	if err != nil {
		return nil, "", err
	}
	for _, statement := range tables {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return nil, "", errors.Join(err, db.Close())
		}
	}
	return db, dialect, nil
}

// trade appends events, waits for their rows, and shows that the rows can be built anew.
func (c config) trade(ctx context.Context, out io.Writer, st *store.Store, db *sql.DB, eng *engine.Engine, rows *projection.Sink) error {
	last, err := place(ctx, st, c.orders)
	if err != nil {
		return err
	}
	if err := eng.Wait(ctx, rows, last); err != nil {
		return err
	}
	before, err := revenue(ctx, db)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "the table of orders has every event up to position %d:\n\n", last)
	if err := printRevenue(out, before); err != nil {
		return err
	}
	if err := eng.Rewind(ctx, rows.Name(), store.AtPosition(last/2+1)); err != nil {
		return err
	}
	if err := eng.Wait(ctx, rows, last); err != nil {
		return err
	}
	after, err := revenue(ctx, db)
	if err != nil {
		return err
	}
	if !slices.Equal(before, after) {
		return fmt.Errorf("after a rewind the table differs: %v, before %v", after, before)
	}
	_, err = fmt.Fprintf(out, "\nthe rows of the second half were written again: no difference\n")
	return err
}

// place appends orders of which most are paid, and returns the last position.
func place(ctx context.Context, st *store.Store, orders int) (last event.Position, err error) {
	customers := []string{"ann", "bob", "eve", "joe"}
	for range orders {
		events := event.Of(Placed{Customer: customers[rand.IntN(len(customers))], Cents: 100 + rand.Int64N(10_000)})
		switch rand.IntN(10) {
		case 0:
			events = append(events, event.Of(Cancelled{Reason: "changed my mind"})...)
		case 1: // still open
		default:
			events = append(events, event.Of(Paid{})...)
		}
		res, err := st.Append(ctx, store.Batch{Stream: Orders.Stream(event.NewID().String()), Events: events})
		if err != nil {
			return 0, err
		}
		last = res.Position
	}
	if last == 0 {
		head, err := st.Head(ctx)
		return head.Position, err
	}
	return last, nil
}
