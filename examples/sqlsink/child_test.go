package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/projection/sqlsink"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// childEnv makes this test binary another process, that of a sink of the dialect it names.
const childEnv = "RIFFLE_SQLSINK_CHILD"

// keepLedger opens a store on the real disk, and an engine with the ledger in db.
func keepLedger(dir string, db *sql.DB, d sqlsink.Dialect, l *ledger) (*store.Store, *engine.Engine, error) {
	st, err := pebblestore.Open(dir, quiet())
	if err != nil {
		return nil, nil, err
	}
	sink := sqlsink.New("ledger", db, d, l.handlers()...).With(projection.Options{
		PageSize: 6, Retry: projection.Retry{Initial: time.Millisecond, Max: 2 * time.Millisecond},
	})
	e, err := engine.New(engine.Config{Store: st, Projections: []projection.Projection{sink}, LeaseTTL: ttl})
	return st, e, err
}

// workUntilKilled appends while an engine writes the tables, and reports every answer in a
// line: what a line tells was promised before the process died.
func workUntilKilled(d sqlsink.Dialect, source, dir string) error {
	driver := map[sqlsink.Dialect]string{sqlsink.SQLite: "sqlite", sqlsink.PostgreSQL: "pgx"}[d]
	db, err := sql.Open(driver, source)
	if err != nil {
		return err
	}
	l := &ledger{}
	l.set(func(context.Context, *sql.Tx, event.Event) error {
		if rand.IntN(100) == 0 {
			return projection.Park(errPoison)
		}
		return nil
	})
	st, e, err := keepLedger(dir, db, d, l)
	if err != nil {
		return err
	}
	ctx := context.Background()
	errs := make(chan error)
	go func() { errs <- e.Run(ctx) }()
	var mu sync.Mutex
	for i := range 3 {
		go func() {
			for {
				res, err := st.Append(ctx, store.Batch{
					Stream: Accounts.Stream(fmt.Sprint("s", i)), Expect: store.Any, Events: event.Of(Added{rand.Int64N(9)}, Noted{"of no interest"}),
				})
				if err == nil {
					mu.Lock()
					_, err = fmt.Fprintf(os.Stdout, "acked %d\n", res.Position) // unbuffered
					mu.Unlock()
				}
				if err != nil {
					errs <- err
					return
				}
				<-time.After(time.Duration(rand.IntN(1000)) * time.Microsecond)
			}
		}()
	}
	go func() {
		for {
			<-time.After(time.Duration(rand.IntN(50)) * time.Millisecond)
			err := e.ReleaseLease(ctx, "ledger")
			if rand.IntN(2) == 0 {
				err = errors.Join(err, e.Retry(ctx, "ledger", ""))
			}
			if err != nil {
				errs <- err
				return
			}
		}
	}()
	return <-errs
}
