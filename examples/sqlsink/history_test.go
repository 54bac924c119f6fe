package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection/sqlsink"
	"github.com/riffle-go/riffle/store"
)

// statements returns what an error tells to run: the first offer empties the tables, the
// second keeps them up to a position.
func statements(t *testing.T, err error, position event.Position) (anew, keep string) {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(err.Error()) {
		switch {
		case strings.HasPrefix(line, "  "):
			b.WriteString(strings.ReplaceAll(line, " P", " "+position.String()))
		case strings.HasPrefix(line, "If you know"):
			anew = b.String()
			b.Reset()
		}
	}
	if anew == "" || b.Len() == 0 {
		t.Fatalf("%q has not two offers", err)
	}
	return anew, b.String()
}

func TestTablesOfAnotherHistoryAreNotTouched(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		s := setup(t, db)
		s.begin(7)
		s.must(s.target.Write(t.Context(), s.term(7), 0, 6, append(s.events[:1:1], s.events[2:6]...)))
		s.must(s.target.Write(t.Context(), s.term(7), 6, 6, s.events[1:2])) // 2 came late

		restored := *s
		restored.history = event.NewID()
		refused := func() *sqlsink.HistoryError {
			t.Helper()
			_, err := restored.target.Begin(t.Context(), restored.term(1), 0, 12)
			s.want(err, store.ErrHistory)
			e, ok := errors.AsType[*sqlsink.HistoryError](err)
			if !ok || e.Found != s.history || e.History != restored.history || e.Position != 6 {
				t.Fatalf("%+v does not say what was found", e)
			}
			return e
		}
		_, keep := statements(t, refused(), 4)
		if at := s.begin(8); at != 6 {
			t.Errorf("the refused store has moved the row to %d", at)
		}

		// The operator knows that both agree up to 4.
		db.must(t, "DELETE FROM journal WHERE position > 4; UPDATE totals SET n = (SELECT sum(n) FROM journal j WHERE j.account = totals.account);"+keep)
		if at := restored.begin(1); at != 4 {
			t.Errorf("goes on at %d, want 4", at)
		}
		s.must(restored.target.Write(t.Context(), restored.term(1), 4, 4, s.events[1:2])) // still known
		s.must(restored.write(1, 4, 6))
		s.has([2]event.Position{1, 6})

		// Back to the first store, and this time everything anew.
		_, err := s.target.Begin(t.Context(), s.term(9), 0, 12)
		s.want(err, store.ErrHistory)
		anew, _ := statements(t, err, 0)
		db.must(t, "DELETE FROM journal; DELETE FROM totals;"+anew)
		if at := s.begin(9); at != 0 {
			t.Errorf("begins anew at %d", at)
		}
		s.must(s.write(9, 0, 6))
		s.has([2]event.Position{1, 6})
	})
}

func TestTablesBeyondTheEndOfTheStoreAreNotTouched(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		s := setup(t, db)
		s.begin(7)
		s.must(s.write(7, 0, 6))
		_, err := s.target.Begin(t.Context(), s.term(8), 0, 5)
		s.want(err, store.ErrHistory)
		if e, ok := errors.AsType[*sqlsink.HistoryError](err); !ok || e.Position != 6 || e.Head != 5 {
			t.Fatalf("%+v does not say what was found", e)
		}
		if term := db.number(t, "SELECT term FROM riffle_sinks"); term != 7 {
			t.Errorf("the refused worker has raised the term to %d", term)
		}
		_, keep := statements(t, err, 5)
		db.must(t, "DELETE FROM journal WHERE position > 5; UPDATE totals SET n = (SELECT sum(n) FROM journal j WHERE j.account = totals.account);"+keep)
		if at := s.begin(1); at != 5 {
			t.Errorf("goes on at %d, want 5", at)
		}
		s.must(s.write(1, 5, 6))
		s.has([2]event.Position{1, 6})
	})
}

func TestARoleThatMayNotCreateTablesIsToldWhatToRun(t *testing.T) {
	t.Parallel()
	s := setup(t, onPostgreSQL(t))
	role := s.db.schema + "_writer"
	s.db.must(t, fmt.Sprintf("CREATE ROLE %[1]s LOGIN; GRANT USAGE ON SCHEMA %[2]s TO %[1]s; GRANT ALL ON ALL TABLES IN SCHEMA %[2]s TO %[1]s; GRANT ALL ON ALL SEQUENCES IN SCHEMA %[2]s TO %[1]s", role, s.db.schema))
	writer := *s.db
	writer.source = s.db.server.source(s.db.schema, role)
	writer.faults = &faults{real: s.db.faults.real}
	writer.open(t)
	s.target = sqlsink.New("ledger", writer.DB, sqlsink.PostgreSQL, s.ledger.handlers()...).Program().Sink.Resetter()

	_, err := s.target.Begin(t.Context(), s.term(1), 0, 12)
	if e, ok := errors.AsType[*sqlsink.SchemaError](err); !ok || !strings.Contains(e.Error(), sqlsink.Schema(sqlsink.PostgreSQL)) {
		t.Fatalf("without the right to create tables: %v", err)
	}
	if errors.Is(err, store.ErrHistory) || errors.Is(err, store.ErrLeaseLost) {
		t.Errorf("%v would not be tried again", err)
	}
	s.db.must(t, sqlsink.Schema(sqlsink.PostgreSQL)+fmt.Sprintf("GRANT SELECT, INSERT, UPDATE, DELETE ON riffle_sinks, riffle_sink_late TO %s", role))
	s.begin(1)
	s.must(s.write(1, 0, 6))
	s.has([2]event.Position{1, 6})
}

func TestADatabaseThatCannotBeWrittenIsToldWhatToRun(t *testing.T) {
	t.Parallel()
	s := setup(t, onSQLite(t))
	reader := *s.db
	reader.source += "&mode=ro"
	reader.faults = &faults{real: s.db.faults.real}
	reader.open(t)
	target := sqlsink.New("ledger", reader.DB, sqlsink.SQLite, s.ledger.handlers()...).Program().Sink.Target
	_, err := target.Begin(t.Context(), s.term(1), 0, 12)
	if e, ok := errors.AsType[*sqlsink.SchemaError](err); !ok || !strings.Contains(e.Error(), sqlsink.Schema(sqlsink.SQLite)) {
		t.Fatalf("a database that is read only: %v", err)
	}
}

func TestTheSchemaCanBeRunAgain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		s := setup(t, db)
		for range 2 {
			db.must(t, sqlsink.Schema(db.dialect))
		}
		s.begin(1)
		s.must(s.write(1, 0, 2))
		db.must(t, sqlsink.Schema(db.dialect))
		if at := s.begin(2); at != 2 {
			t.Errorf("is at %d, want 2", at)
		}
	})
}
