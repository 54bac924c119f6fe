package main

import (
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/stdlib"
	"go.uber.org/goleak"
	"modernc.org/sqlite"

	"github.com/riffle-go/riffle/projection/sqlsink"
)

var long = flag.Bool("long", os.Getenv("RIFFLE_LONG") != "", "run the long forms of the tests; also RIFFLE_LONG=1")

func TestMain(m *testing.M) {
	if dialect := os.Getenv(childEnv); dialect != "" {
		if err := workUntilKilled(sqlsink.Dialect(dialect), os.Args[1], os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, dialect, err)
			os.Exit(1)
		}
		return
	}
	server := goleak.IgnoreAnyFunction("github.com/riffle-go/riffle/examples/sqlsink.(*server).wait")
	goleak.VerifyTestMain(m, server, goleak.Cleanup(func(code int) {
		if started != nil {
			if err := started.stop(); err != nil {
				fmt.Fprintln(os.Stderr, "stop PostgreSQL:", err)
				code = max(code, 1)
			}
		}
		os.Exit(code)
	}))
}

// database is an empty one of its own for each test.
type database struct {
	*sql.DB
	dialect sqlsink.Dialect
	faults  *faults
	source  string
	server  *server // nil: SQLite
	schema  string
}

// each runs a test on both databases.
func each(t *testing.T, test func(t *testing.T, db *database)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		test(t, onSQLite(t))
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		test(t, onPostgreSQL(t))
	})
}

func onSQLite(t *testing.T) *database {
	t.Helper()
	db := &database{
		dialect: sqlsink.SQLite, faults: &faults{real: &sqlite.Driver{}},
		source: "file:" + t.TempDir() + "/rows.db?_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_pragma=busy_timeout(20000)",
	}
	db.open(t)
	return db
}

var schemas atomic.Int64

// onPostgreSQL skips the test when PostgreSQL is not installed, except in CI.
func onPostgreSQL(t *testing.T) *database {
	t.Helper()
	s, err := postgres()
	switch {
	case errors.Is(err, errNoPostgreSQL) && os.Getenv("RIFFLE_CI") == "":
		fmt.Fprintf(os.Stderr, "SKIPPED, so nothing is shown of PostgreSQL: %s: %v\n", t.Name(), err)
		t.Skip("SKIPPED: ", err)
	case err != nil:
		t.Fatal(err)
	}
	schema := fmt.Sprintf("test_%d", schemas.Add(1))
	db := &database{
		dialect: sqlsink.PostgreSQL, faults: &faults{real: stdlib.GetDefaultDriver()},
		source: s.source(schema, "riffle"), server: s, schema: schema,
	}
	db.open(t)
	db.must(t, "CREATE SCHEMA "+schema)
	return db
}

func (db *database) open(t *testing.T) {
	t.Helper()
	db.faults.source = db.source
	db.DB = sql.OpenDB(db.faults)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
}

// must runs statements, which end with ";".
func (db *database) must(t testing.TB, statements string) {
	t.Helper()
	for s := range strings.SplitSeq(statements, ";") {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// number asks for one number.
func (db *database) number(t testing.TB, query string, args ...any) (n int64) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}
