package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/projection/sqlsink"
	"github.com/riffle-go/riffle/store"
)

var errPoison = errors.New("cannot write this")

func failAt(positions ...event.Position) func(context.Context, *sql.Tx, event.Event) error {
	return func(_ context.Context, _ *sql.Tx, ev event.Event) error {
		for _, p := range positions {
			if ev.Position == p {
				return errPoison
			}
		}
		return nil
	}
}

func TestAFailingHandlerUndoesThePageAndNamesTheEvent(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		s := setup(t, db)
		s.begin(1)
		s.ledger.set(failAt(5))
		err := s.write(1, 0, 8)
		s.want(err, errPoison)
		e, ok := errors.AsType[*sqlsink.EventError](err)
		if !ok || e.Position != 5 || e.Type != (Added{}).EventType() || e.Projection != "ledger" {
			t.Fatalf("%+v does not name the event", e)
		}
		s.has()
		s.must(s.target.Write(t.Context(), s.term(1), 0, 8, append(s.events[:4:4], s.events[5:8]...)))
		s.has([2]event.Position{1, 4}, [2]event.Position{6, 8})
	})
}

func TestWhatAHandlerSaysIsHeard(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		s := setup(t, db)
		s.begin(1)
		for action, says := range map[program.Action]error{
			program.Park: projection.Park(errPoison), program.Skip: projection.Skip(errPoison), program.Halt: projection.Halt(errPoison), program.Again: errPoison,
		} {
			s.ledger.set(func(context.Context, *sql.Tx, event.Event) error { return says })
			if got := program.Judge(s.write(1, 0, 8)).Action; got != action {
				t.Errorf("a handler says %s, the worker hears %s", action, got)
			}
		}
		damaged := s.events[0]
		damaged.Data = []byte("{")
		if err := s.target.Write(t.Context(), s.term(1), 0, 1, []event.Event{damaged}); !program.Judge(err).Counts {
			t.Errorf("an event that cannot be decoded does not count: %v", err)
		}
	})
}

func TestAFailingPageHandlerBlamesASingleEventOnly(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		s := setup(t, db)
		s.target = s.sink(sqlsink.OnPage(func(context.Context, *sql.Tx, []event.Event) error { return errPoison }), sqlsink.Reset(s.ledger.back))
		s.begin(1)
		for to, blamed := range map[event.Position]bool{1: true, 2: false} {
			err := s.write(1, 0, to)
			s.want(err, errPoison)
			if _, ok := errors.AsType[*sqlsink.EventError](err); ok != blamed {
				t.Errorf("a page of %d: %v", to, err)
			}
		}
	})
}

func TestThePanicOfAHandlerUndoesThePage(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		s := setup(t, db)
		s.begin(1)
		s.ledger.set(func(_ context.Context, _ *sql.Tx, ev event.Event) error {
			if ev.Position == 2 {
				panic(errPoison)
			}
			return nil
		})
		func() {
			defer func() {
				if v := recover(); v != errPoison {
					t.Errorf("panicked with %v", v)
				}
			}()
			_ = s.write(1, 0, 8)
		}()
		s.ledger.set(nil)
		s.has()
		s.must(s.write(1, 0, 8))
		s.has([2]event.Position{1, 8})
	})
}

func TestTheEndOfTheContextUndoesThePageAndBlamesNobody(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		s := setup(t, db)
		s.begin(1)
		ctx, cancel := context.WithCancel(t.Context())
		s.ledger.set(func(ctx context.Context, tx *sql.Tx, ev event.Event) error {
			if ev.Position < 5 {
				return nil
			}
			cancel()
			_, err := tx.ExecContext(ctx, "DELETE FROM totals")
			return err
		})
		err := s.target.Write(ctx, s.term(1), 0, 8, s.events[:8])
		if _, blamed := errors.AsType[*sqlsink.EventError](err); blamed || err == nil || program.Judge(err).Action != program.Again {
			t.Errorf("cancelled: %v", err)
		}
		s.ledger.set(nil)
		s.has()
		s.must(s.write(1, 0, 8))
		s.has([2]event.Position{1, 8})
	})
}

// A handler that ends the transaction breaks the promise of the page. Nothing can mend that,
// but it must not go on.
func TestAHandlerThatEndsTheTransactionHaltsTheSink(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		s := setup(t, db)
		s.begin(1)
		for name, end := range map[string]func(*sql.Tx) error{"commit": (*sql.Tx).Commit, "rollback": (*sql.Tx).Rollback} {
			for _, at := range []event.Position{2, 8} { // another handler finds out, or the sink itself
				s.ledger.set(func(_ context.Context, tx *sql.Tx, ev event.Event) error {
					if ev.Position == at {
						return end(tx)
					}
					return nil
				})
				if err := s.write(1, 0, 8); program.Judge(err).Action != program.Halt {
					t.Errorf("%s at %d: %v", name, at, err)
				}
			}
		}
		if at := s.begin(2); at != 0 {
			t.Errorf("moved to %d", at)
		}
	})
}

func TestACommitThatFailedIsLookedInto(t *testing.T) {
	t.Parallel()
	calls := []struct {
		name string
		call func(s *site) error
		had  [][2]event.Position
		then [][2]event.Position
	}{
		{"page", func(s *site) error { return s.write(1, 6, 8) }, [][2]event.Position{{1, 1}, {3, 6}}, [][2]event.Position{{1, 1}, {3, 8}}},
		{"late", func(s *site) error { return s.target.Write(s.Context(), s.term(1), 6, 6, s.events[1:2]) }, [][2]event.Position{{1, 1}, {3, 6}}, [][2]event.Position{{1, 6}}},
		{"reset", func(s *site) error { return s.target.Reset(s.Context(), s.term(1), 4) }, [][2]event.Position{{1, 1}, {3, 6}}, [][2]event.Position{{1, 1}, {3, 4}}},
	}
	each(t, func(t *testing.T, db *database) {
		s := setup(t, db)
		s.begin(1)
		for _, tt := range calls {
			for how, lost := range map[fault]bool{before: true, after: false} {
				t.Run(fmt.Sprintf("%s/%d", tt.name, how), func(t *testing.T) {
					s := *s
					s.T = t
					s.must(s.target.Reset(t.Context(), s.term(1), 0))
					s.must(s.target.Write(t.Context(), s.term(1), 0, 6, append(s.events[:1:1], s.events[2:6]...)))
					db.faults.once(how, nil)
					err := tt.call(&s)
					switch {
					case lost && !errors.Is(err, errCommit):
						t.Fatalf("nothing was committed: %v", err)
					case !lost && err != nil:
						t.Fatalf("everything was committed: %v", err)
					case lost:
						s.has(tt.had...)
						s.must(tt.call(&s))
					}
					s.has(tt.then...)
				})
			}
		}
	})
}

// A probe has nothing to lose: an error of its COMMIT is the answer.
func TestAProbeThatCannotCommitFails(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		s := setup(t, db)
		s.begin(1)
		s.must(s.target.Write(t.Context(), s.term(1), 0, 0, nil))
		for _, how := range []fault{before, after} {
			db.faults.once(how, nil)
			s.want(s.target.Write(t.Context(), s.term(1), 0, 0, nil), errCommit)
		}
	})
}

func TestACommitWhoseSessionIsOverIsALostLease(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		s := setup(t, db)
		for i, how := range []fault{before, after} {
			term := uint64(2*i + 1)
			at := s.begin(term)
			db.faults.once(how, func() { s.begin(term + 1) })
			s.want(s.write(term, at, at+3), store.ErrLeaseLost)
		}
	})
}

// A worker that is told to stop while its COMMIT is under way has written the page all the same.
func TestTheOutcomeOfACommitIsFoundOutAfterTheEndOfTheContextToo(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		s := setup(t, db)
		s.begin(1)
		ctx, cancel := context.WithCancel(t.Context())
		db.faults.once(after, cancel)
		s.must(s.target.Write(ctx, s.term(1), 0, 3, s.events[:3]))
		s.must(s.write(1, 3, 6))
		s.has([2]event.Position{1, 6})
	})
}
