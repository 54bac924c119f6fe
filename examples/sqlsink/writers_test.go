package main

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection/sqlsink"
)

// The handler of the ledger reads before it writes. A transaction that is not a writer's
// from its beginning is refused then, in its middle and whatever the busy timeout, when
// somebody else wrote meanwhile.
func TestHandlersAreNotRefusedBecauseOthersWrite(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		s := setup(t, db)
		db.must(t, "CREATE TABLE others (n bigint NOT NULL); INSERT INTO others VALUES (0)")
		s.begin(1)
		stop, wrote, ended := make(chan struct{}), make(chan struct{}, 1), make(chan error, 1)
		go func() {
			ended <- func() error {
				for {
					select {
					case <-stop:
						return nil
					default:
					}
					if _, err := db.ExecContext(context.Background(), "UPDATE others SET n = n + 1"); err != nil {
						return err
					}
					select {
					case wrote <- struct{}{}:
					default:
					}
				}
			}()
		}()
		for round := range event.Position(5) {
			for at := range event.Position(12) {
				<-wrote // it is at work
				s.must(s.write(1, at, at+1))
			}
			s.has([2]event.Position{1, 12})
			if round < 4 {
				s.must(s.target.Reset(t.Context(), s.term(1), 0))
			}
		}
		close(stop)
		s.must(<-ended)
	})
}

// Two workers, one of them in the middle of a page: whoever is second waits, and then
// either goes on from what the first has written or is refused. Here SQLite is told not to
// wait: the second one is refused until the first one ends.
func TestASecondWriterOfSQLiteIsRefusedAtItsBeginning(t *testing.T) {
	t.Parallel()
	db := onSQLite(t)
	s := setup(t, db)
	s.begin(1)
	hasty := *db
	hasty.source = strings.Replace(hasty.source, "busy_timeout(20000)", "busy_timeout(0)", 1)
	hasty.faults = &faults{real: db.faults.real}
	hasty.open(t)
	second := sqlsink.New("ledger", hasty.DB, sqlsink.SQLite, s.ledger.handlers()...).Program().Sink.Target

	inside, release := make(chan struct{}), make(chan struct{})
	s.ledger.set(func(context.Context, *sql.Tx, event.Event) error {
		s.ledger.set(nil)
		close(inside)
		<-release
		return nil
	})
	ended := make(chan error, 1)
	go func() { ended <- s.write(1, 0, 3) }()
	<-inside
	ran := false
	s.ledger.set(func(context.Context, *sql.Tx, event.Event) error { ran = true; return nil })
	if _, err := second.Begin(t.Context(), s.term(2), 0, 12); err == nil {
		t.Error("took over in the middle of a transaction")
	}
	if err := second.Write(t.Context(), s.term(1), 0, 3, s.events[:3]); err == nil || ran {
		t.Errorf("a handler ran beside another writer: %v, %v", ran, err)
	}
	close(release)
	s.must(<-ended)
	at, err := second.Begin(t.Context(), s.term(2), 0, 12)
	if at != 3 || err != nil {
		t.Errorf("goes on at %d, %v, want 3", at, err)
	}
	s.has([2]event.Position{1, 3})
}

// PostgreSQL can refuse a page at COMMIT, for what no event alone is to blame.
func TestAConstraintThatIsCheckedAtTheEndUndoesThePage(t *testing.T) {
	t.Parallel()
	s := setup(t, onPostgreSQL(t))
	s.db.must(t, "ALTER TABLE journal ADD CONSTRAINT one UNIQUE (n) DEFERRABLE INITIALLY DEFERRED")
	s.begin(1)
	s.must(s.write(1, 0, 2))
	again := s.events[2]
	again.Data = []byte(`{"N":1}`)
	err := s.target.Write(t.Context(), s.term(1), 2, 4, []event.Event{again, s.events[3]})
	if _, blamed := errors.AsType[*sqlsink.EventError](err); err == nil || blamed {
		t.Fatalf("the constraint is broken: %v", err)
	}
	s.has([2]event.Position{1, 2})
	s.must(s.write(1, 2, 4))
	s.has([2]event.Position{1, 4})
}

// The connection is lost while its COMMIT is under way: what the row says before the end of
// that is no answer.
func TestTheOutcomeOfACommitIsThatOfItsEnd(t *testing.T) {
	t.Parallel()
	s := setup(t, onPostgreSQL(t))
	s.begin(1)
	// What the server still does, of which the worker hears nothing more.
	server, err := s.db.BeginTx(t.Context(), nil)
	s.must(err)
	defer func() { _ = server.Rollback() }()
	var pid int64
	s.must(server.QueryRowContext(t.Context(), "SELECT pg_backend_pid()").Scan(&pid))
	s.db.faults.once(before, func() {
		if _, err := server.ExecContext(t.Context(), "UPDATE riffle_sinks SET position = 3"); err != nil {
			t.Error(err)
		}
	})
	ended := make(chan error, 1)
	go func() { ended <- s.write(1, 0, 3) }()
	for s.db.number(t, "SELECT count(*) FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))", pid) == 0 {
		select {
		case err := <-ended:
			t.Fatalf("answered before the end: %v", err)
		default:
		}
	}
	s.must(server.Commit())
	s.must(<-ended)
	s.must(s.write(1, 3, 6))
	s.has([2]event.Position{4, 6}) // the first page was written by the other one, which wrote no rows
}

// A server that ends the connection, in a handler or as a whole, is nobody's fault for long:
// the page is written again.
func TestALostConnectionUndoesThePage(t *testing.T) {
	t.Parallel()
	s := setup(t, onPostgreSQL(t))
	s.begin(1)
	s.ledger.set(func(ctx context.Context, tx *sql.Tx, ev event.Event) error {
		if ev.Position < 3 {
			return nil
		}
		s.ledger.set(nil)
		_, err := tx.ExecContext(ctx, "SELECT pg_terminate_backend(pg_backend_pid())")
		return err
	})
	if err := s.write(1, 0, 6); err == nil {
		t.Fatal("written over a connection that was ended")
	}
	s.has()
	s.must(s.write(1, 0, 6))
	s.has([2]event.Position{1, 6})
}

// The worker that waits for a lock in the database takes the end of its context for an
// answer.
func TestAHandlerThatWaitsInTheDatabaseIsCancelled(t *testing.T) {
	t.Parallel()
	s := setup(t, onPostgreSQL(t))
	s.begin(1)
	s.must(s.write(1, 0, 3))
	holder, err := s.db.BeginTx(t.Context(), nil)
	s.must(err)
	_, err = holder.ExecContext(t.Context(), "UPDATE totals SET n = n")
	s.must(err)
	pids := make(chan int64, 1)
	waiting := s.sink(sqlsink.On(func(ctx context.Context, tx *sql.Tx, e Added, ev event.Event) error {
		var pid int64
		if err := tx.QueryRowContext(ctx, "SELECT pg_backend_pid()").Scan(&pid); err != nil {
			return err
		}
		pids <- pid
		return s.ledger.add(ctx, tx, e, ev)
	}), sqlsink.Reset(s.ledger.back))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- waiting.Write(ctx, s.term(1), 3, 6, s.events[3:6]) }()
	pid := <-pids
	for s.db.number(t, "SELECT cardinality(pg_blocking_pids($1))", pid) == 0 {
		if err := t.Context().Err(); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-ended; err == nil {
		t.Error("written although the context has ended")
	}
	s.must(holder.Rollback())
	s.has([2]event.Position{1, 3})
	s.must(s.write(1, 3, 6))
	s.has([2]event.Position{1, 6})
}
