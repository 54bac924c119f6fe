package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/projection/projectiontest"
	"github.com/riffle-go/riffle/projection/sqlsink"
	"github.com/riffle-go/riffle/store"
)

// The calls of a worker, one by one, without a store.

// site is a sink of the ledger and what a test does with it.
type site struct {
	*testing.T
	db      *database
	ledger  *ledger
	target  projection.Resetter
	history event.ID
	events  []event.Event // position 1 is at index 0
}

func setup(t *testing.T, db *database) *site {
	t.Helper()
	db.must(t, journalTables(db.dialect))
	l := &ledger{}
	log := projectiontest.NewLog(t)
	for n := range int64(12) {
		log.Append(Accounts.Stream([]string{"ann", "bob", "eve"}[n%3]), Added{N: n + 1})
	}
	s := &site{T: t, db: db, ledger: l, history: event.NewID(), events: log.Events}
	s.target = s.sink(l.handlers()...)
	return s
}

func (s *site) sink(handlers ...sqlsink.Handler) projection.Resetter {
	return sqlsink.New("ledger", s.db.DB, s.db.dialect, handlers...).Program().Sink.Resetter()
}

// term is the session of a lease.
func (s *site) term(n uint64) projection.Session {
	return projection.Session{Key: store.SubscriberKey{Projection: "ledger"}, Term: n, History: s.history}
}

// begin takes over, and returns the position.
func (s *site) begin(term uint64) event.Position {
	s.Helper()
	at, err := s.target.Begin(s.Context(), s.term(term), 0, event.Position(len(s.events)))
	if err != nil {
		s.Fatal(err)
	}
	return at
}

// write writes all events from one position to another.
func (s *site) write(term uint64, from, to event.Position) error {
	return s.target.Write(s.Context(), s.term(term), from, to, s.events[from:to])
}

func (s *site) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *site) want(err, is error) {
	s.Helper()
	if !errors.Is(err, is) {
		s.Fatalf("got %v, want %v", err, is)
	}
}

// has checks that the tables have exactly the events of these ranges, from the first number
// to the second.
func (s *site) has(ranges ...[2]event.Position) {
	s.Helper()
	var want []entry
	for _, r := range ranges {
		for at := r[0]; at <= r[1]; at++ {
			ev := s.events[at-1]
			want = append(want, entry{at, ev.Stream.ID, int64(at)})
		}
	}
	s.db.check(s, want)
}

func TestBeginMakesARowAndReturnsItsPosition(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		s := setup(t, db)
		at, err := s.target.Begin(t.Context(), s.term(3), 4, 12)
		if at != 4 || err != nil {
			t.Fatal("a new row begins at", at, err)
		}
		s.must(s.write(3, 4, 6))
		for _, term := range []uint64{3, 9} { // again, and the next worker
			if at := s.begin(term); at != 6 {
				t.Errorf("term %d begins at %d, want 6", term, at)
			}
		}
		_, err = s.target.Begin(t.Context(), s.term(8), 0, 12)
		s.want(err, store.ErrLeaseLost)
		s.must(s.write(9, 6, 7))
		s.has([2]event.Position{5, 7})
	})
}

func TestManySinksBeginOnAnEmptyDatabaseAtOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		s := setup(t, db)
		const names, terms = 8, 8
		var all, connected sync.WaitGroup
		connected.Add(names * terms)
		db.SetMaxIdleConns(names * terms)
		for n := range uint64(names * terms) {
			all.Go(func() {
				c, err := db.Conn(t.Context())
				connected.Done()
				connected.Wait() // now all at once
				if err != nil {
					t.Error(err)
				} else if err := c.Close(); err != nil {
					t.Error(err)
				}
				session := s.term(n%terms + 1)
				session.Key.Projection = fmt.Sprint("ledger ", n/terms)
				_, err = s.target.Begin(t.Context(), session, 0, 12)
				if err != nil && (!errors.Is(err, store.ErrLeaseLost) || session.Term == terms) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := db.number(t, `SELECT count(*) FROM riffle_sinks WHERE term = $1`, terms); n != names {
			t.Errorf("%d of %d sinks have the highest term", n, names)
		}
	})
}

func TestAZombieWritesNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		s := setup(t, db)
		s.begin(1)
		s.must(s.write(1, 0, 3))
		s.begin(2)
		ran := false
		s.ledger.set(func(context.Context, *sql.Tx, event.Event) error { ran = true; return nil })
		s.want(s.write(1, 3, 6), store.ErrLeaseLost)
		s.want(s.target.Write(t.Context(), s.term(1), 3, 3, nil), store.ErrLeaseLost)
		s.want(s.target.Write(t.Context(), s.term(1), 3, 3, s.events[:1]), store.ErrLeaseLost)
		s.want(s.target.Reset(t.Context(), s.term(1), 0), store.ErrLeaseLost)
		if ran {
			t.Error("a handler ran for a zombie")
		}
		s.has([2]event.Position{1, 3})
		s.ledger.set(nil)
		s.must(s.write(2, 3, 6))
		s.has([2]event.Position{1, 6})
	})
}

func TestAPageFromAnotherPositionIsRefused(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		s := setup(t, db)
		s.begin(1)
		s.must(s.write(1, 0, 3))
		s.ledger.set(func(context.Context, *sql.Tx, event.Event) error { t.Error("a handler ran"); return nil })
		s.want(s.write(1, 0, 3), store.ErrLeaseLost)
		s.want(s.write(1, 2, 4), store.ErrLeaseLost)
		s.want(s.write(1, 4, 5), store.ErrLeaseLost)
		s.has([2]event.Position{1, 3})
	})
}

// Only PostgreSQL lets two transactions write at the same time; SQLite makes the second wait
// for the first.
func TestATakeoverInTheMiddleOfAPageDoesNotWaitForIt(t *testing.T) {
	t.Parallel()
	s := setup(t, onPostgreSQL(t))
	s.begin(1)
	written, released := make(chan struct{}), make(chan struct{})
	s.ledger.set(func(_ context.Context, _ *sql.Tx, ev event.Event) error {
		if ev.Position == 2 {
			close(written)
			<-released
		}
		return nil
	})
	ended := make(chan error, 1)
	go func() { ended <- s.write(1, 0, 3) }()
	<-written
	if at := s.begin(2); at != 0 {
		t.Errorf("takes over at %d", at)
	}
	close(released)
	s.want(<-ended, store.ErrLeaseLost)
	s.has()
	s.ledger.set(nil)
	s.must(s.write(2, 0, 3))
	s.has([2]event.Position{1, 3})
}

// A page whose COMMIT nobody answered for long may end beside its own repetition: only one of
// the two moves the row.
func TestAPageIsWrittenOnceBesideItsRepetition(t *testing.T) {
	t.Parallel()
	s := setup(t, onPostgreSQL(t))
	s.begin(1)
	written, released := make(chan struct{}), make(chan struct{})
	s.ledger.set(func(_ context.Context, _ *sql.Tx, ev event.Event) error {
		if ev.Position == 1 {
			close(written)
			<-released
		}
		return nil
	})
	ended := make(chan error, 1)
	go func() { ended <- s.target.Write(t.Context(), s.term(1), 0, 3, s.events[:1]) }()
	<-written
	again := s.target.Write(t.Context(), s.term(1), 0, 3, s.events[1:2]) // of another account, so that it need not wait
	close(released)
	s.want(<-ended, store.ErrLeaseLost)
	s.must(again)
	s.has([2]event.Position{2, 2})
}

func TestWhatCameLateIsAppliedOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		s := setup(t, db)
		s.begin(1)
		page := func(from, to event.Position, events ...event.Event) {
			t.Helper()
			s.must(s.target.Write(t.Context(), s.term(1), from, to, events))
		}
		page(0, 4, s.events[0], s.events[2], s.events[3]) // without 2, which failed
		for range 3 {                                     // again, because nobody knows that it succeeded
			page(4, 4, s.events[1])
		}
		s.has([2]event.Position{1, 1}, [2]event.Position{3, 4}, [2]event.Position{2, 2})

		page(4, 4, s.events[6]) // ahead, after a rewind that was cut short
		s.must(s.write(1, 4, 8))
		s.has([2]event.Position{1, 8})
		if at := s.begin(1); at != 8 {
			t.Errorf("is at %d, want 8", at)
		}

		s.must(s.target.Reset(t.Context(), s.term(1), 3)) // forgets 7, keeps 2
		page(3, 3, s.events[1])
		s.must(s.write(1, 3, 8))
		s.has([2]event.Position{1, 8})
	})
}

func TestResetGoesBackAndNeverForward(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		s := setup(t, db)
		s.begin(1)
		s.must(s.write(1, 0, 6))
		s.must(s.target.Reset(t.Context(), s.term(1), 4))
		s.has([2]event.Position{1, 4})
		s.must(s.target.Reset(t.Context(), s.term(1), 9))
		if at := s.begin(2); at != 4 {
			t.Errorf("is at %d after a reset to a later position, want 4", at)
		}
		s.must(s.target.Reset(t.Context(), s.term(2), 0))
		s.has()
		s.must(s.write(2, 0, 12))
		s.has([2]event.Position{1, 12})
	})
}

func TestAResetThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		s := setup(t, db)
		failed := errors.New("no way back")
		s.target = s.sink(sqlsink.On(s.ledger.add), sqlsink.Reset(func(ctx context.Context, tx *sql.Tx, to event.Position) error {
			return errors.Join(s.ledger.back(ctx, tx, to), failed)
		}))
		s.begin(1)
		s.must(s.write(1, 0, 6))
		s.want(s.target.Reset(t.Context(), s.term(1), 4), failed)
		s.has([2]event.Position{1, 6})
		if at := s.begin(1); at != 6 {
			t.Errorf("is at %d, want 6", at)
		}
	})
}

func TestHandlersGetTheirEventsInOrder(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		s := setup(t, db)
		log := projectiontest.NewLog(t).Append(Accounts.Stream("ann"), Added{1}, Noted{"a"}, Added{2}, Noted{"b"})
		var calls []string
		note := func(what string) { calls = append(calls, what) }
		s.target = s.sink(
			sqlsink.OnPage(func(_ context.Context, _ *sql.Tx, page []event.Event) error {
				for _, ev := range page {
					note("page " + ev.Position.String())
				}
				clear(page) // it is the handler's own
				return nil
			}, Added{}.EventType()),
			sqlsink.OnPage(func(_ context.Context, _ *sql.Tx, page []event.Event) error {
				note("all " + page[3].Name)
				return nil
			}),
			sqlsink.On(func(_ context.Context, _ *sql.Tx, e Noted, _ event.Event) error { note("noted " + e.Text); return nil }),
			sqlsink.OnAny(Accounts, func(_ context.Context, _ *sql.Tx, ev event.Event) error {
				note("any " + ev.Position.String())
				return nil
			}),
			sqlsink.Reset(s.ledger.back),
		)
		s.begin(1)
		s.must(s.target.Write(t.Context(), s.term(1), 0, 4, log.Events))
		want := []string{"any 1", "noted a", "any 2", "any 3", "noted b", "any 4", "page 1", "page 3", "all noted"}
		if !slices.Equal(calls, want) {
			t.Errorf("called %q, want %q", calls, want)
		}
	})
}
