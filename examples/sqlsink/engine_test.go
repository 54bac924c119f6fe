package main

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/projection/sqlsink"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// The sink as an engine runs it.

// bed is a store with a ledger, and the engine that writes it.
type bed struct {
	*testing.T
	db     *database
	ledger *ledger
	sink   *projection.Sink
	store  *store.Store
	engine *engine.Engine
}

func quiet() *pebblestore.Options {
	return &pebblestore.Options{CacheSize: 8 << 20, Store: store.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}}
}

// setupEngine opens a store in memory. Failed events are tried again within milliseconds.
func setupEngine(t *testing.T, db *database, o projection.Options) *bed {
	t.Helper()
	db.must(t, journalTables(db.dialect))
	st, err := pebblestore.OpenMem(quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	if o.Retry.Max == 0 {
		o.Retry.Initial, o.Retry.Max = time.Millisecond, 2*time.Millisecond
	}
	b := &bed{T: t, db: db, ledger: &ledger{}, store: st}
	b.sink = sqlsink.New("ledger", db.DB, db.dialect, b.ledger.handlers()...).With(o)
	b.engine = b.another(b.sink)
	return b
}

func (b *bed) another(sinks ...projection.Projection) *engine.Engine {
	b.Helper()
	e, err := engine.New(engine.Config{Store: b.store, Projections: sinks, LeaseTTL: 100 * time.Millisecond})
	if err != nil {
		b.Fatal(err)
	}
	return e
}

// run runs the engine until the test ends.
func (b *bed) run() {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.engine.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
}

func (b *bed) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bed) append(account string, payloads ...event.Payload) event.Position {
	b.Helper()
	res, err := b.store.Append(b.Context(), store.Batch{Stream: Accounts.Stream(account), Expect: store.Any, Events: event.Of(payloads...)})
	if err != nil {
		b.Fatal(err)
	}
	return res.Position
}

// log returns what the journal must have: everything in the store, without the events at
// some positions.
func logged(ctx context.Context, st *store.Store, without ...event.Position) (all []entry, err error) {
	left := map[event.Position]bool{}
	for _, at := range without {
		left[at] = true
	}
	for ev, err := range st.Events(ctx, store.Query{Match: store.MatchTypes(Added{}.EventType())}) {
		if err != nil {
			return nil, err
		}
		e, err := event.Decode[Added](ev)
		if err != nil {
			return nil, err
		}
		if !left[ev.Position] {
			all = append(all, entry{ev.Position, ev.Stream.ID, e.N})
		}
	}
	return all, nil
}

// exact checks that the tables are what the events make of them.
func (b *bed) exact(without ...event.Position) {
	b.Helper()
	want, err := logged(b.Context(), b.store, without...)
	b.must(err)
	b.db.check(b, want)
	b.db.checkOrder(b)
}

// until polls for a condition, with a deadline.
func (b *bed) until(what string, ok func() bool) {
	b.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			b.Fatalf("did not happen in time: %s", what)
		}
		<-tick.C
	}
}

func (b *bed) status() engine.Status {
	b.Helper()
	all, err := b.engine.Status(b.Context())
	b.must(err)
	return all[0]
}

func TestNothingIsAppliedTwiceByCatchingUpTwice(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		b := setupEngine(t, db, projection.Options{PageSize: 2})
		for n := range int64(5) {
			b.append("ann", Added{n})
			b.must(b.engine.CatchUp(t.Context()))
			b.must(b.engine.CatchUp(t.Context()))
		}
		b.exact()
	})
}

func TestWaitReadsYourWritesInSQL(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		b := setupEngine(t, db, projection.Options{})
		b.run()
		for n := range int64(20) {
			b.must(b.engine.Wait(t.Context(), b.sink, b.append("ann", Noted{"of no interest"})))
			b.must(b.engine.Wait(t.Context(), b.sink, b.append("ann", Added{1})))
			if got := db.number(t, "SELECT n FROM totals"); got != n+1 {
				t.Fatalf("the total is %d, want %d", got, n+1)
			}
		}
		if n := b.status().Restarts; n != 0 {
			t.Errorf("the worker lost its way %d times", n)
		}
	})
}

// A page examines so many events and no more: here pages come without any.
func TestALogWithFewEventsOfTheSinkIsRead(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		b := setupEngine(t, db, projection.Options{PageSize: 2, RoutingKey: new("")})
		others := make([]event.Payload, 500)
		for i := range others {
			others[i] = Added{1}
		}
		var want []entry
		want = append(want, entry{b.append("ann", Added{3}), "ann", 3})
		for range 90 { // more than two pages examine
			_, err := b.store.Append(t.Context(), store.Batch{Stream: Accounts.Stream("bob"), RoutingKey: "eu", Expect: store.Any, Events: others})
			b.must(err)
		}
		last := b.append("ann", Added{4})
		want = append(want, entry{last, "ann", 4})
		b.run()
		b.must(b.engine.Wait(t.Context(), b.sink, last))
		b.db.check(t, want)
		if n := b.status().Restarts; n != 0 {
			t.Errorf("the worker lost its way %d times", n)
		}
	})
}

func TestAPoisonEventIsSetAsideAndOthersGoOn(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		b := setupEngine(t, db, projection.Options{Retry: projection.Retry{Attempts: 3, Max: time.Millisecond}})
		for n := range int64(20) {
			b.append([]string{"ann", "bob", "eve"}[n%3], Added{n + 1})
		}
		poison := event.Position(8) // bob's
		var healed atomic.Bool
		b.ledger.set(func(_ context.Context, _ *sql.Tx, ev event.Event) error {
			if ev.Position == poison && !healed.Load() {
				return projection.Park(errPoison)
			}
			return nil
		})
		b.must(b.engine.CatchUp(t.Context()))
		b.exact(8, 11, 14, 17, 20) // and those behind it
		if st := b.status(); st.Parked != 1 {
			t.Errorf("parked %d, want 1", st.Parked)
		}
		b.append("bob", Added{1})
		healed.Store(true)
		b.must(b.engine.Retry(t.Context(), "ledger", "bob"))
		b.run()
		b.until("the retry", func() bool { return db.number(t, "SELECT count(*) FROM journal") == 21 })
		b.exact()
	})
}

func TestAnEventThatIsSkippedIsNotInTheTables(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		b := setupEngine(t, db, projection.Options{})
		b.append("ann", Added{1}, Added{2}, Added{3})
		b.ledger.set(func(_ context.Context, _ *sql.Tx, ev event.Event) error {
			if ev.Position == 2 {
				return projection.Skip(errPoison)
			}
			return nil
		})
		b.must(b.engine.CatchUp(t.Context()))
		b.exact(2)
	})
}

func TestAppendInASinkIsRefused(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		b := setupEngine(t, db, projection.Options{})
		b.append("ann", Added{1})
		refused := make(chan error, 1)
		b.ledger.set(func(ctx context.Context, _ *sql.Tx, _ event.Event) error {
			_, err := b.store.Append(ctx, store.Batch{Stream: Accounts.Stream("bob"), Expect: store.Any, Events: event.Of(Added{1})})
			refused <- err
			return nil
		})
		b.must(b.engine.CatchUp(t.Context()))
		if err := <-refused; !errors.Is(err, store.ErrInvalid) {
			t.Errorf("an append in a handler: %v", err)
		}
		b.exact()
	})
}

func TestARewoundSinkWritesTheSameRowsAgain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		b := setupEngine(t, db, projection.Options{PageSize: 3})
		var last event.Position
		for n := range int64(20) {
			last = b.append([]string{"ann", "bob"}[n%2], Added{n})
		}
		b.run()
		b.must(b.engine.Wait(t.Context(), b.sink, last))
		for _, to := range []event.Position{1, 11, 20} {
			b.must(b.engine.Rewind(t.Context(), "ledger", store.AtPosition(to)))
			b.must(b.engine.Wait(t.Context(), b.sink, last))
			b.exact()
		}
		b.must(b.engine.Rebuild(t.Context(), "ledger"))
		b.must(b.engine.Wait(t.Context(), b.sink, last))
		b.exact()
	})
}

func TestASinkWithoutResetCannotGoBack(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		b := setupEngine(t, db, projection.Options{})
		b.engine = b.another(sqlsink.New("ledger", db.DB, db.dialect, sqlsink.On(b.ledger.add)))
		b.append("ann", Added{1})
		b.must(b.engine.CatchUp(t.Context()))
		for what, err := range map[string]error{
			"rewind":  b.engine.Rewind(t.Context(), "ledger", store.AtPosition(1)),
			"rebuild": b.engine.Rebuild(t.Context(), "ledger"),
		} {
			if !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "Reset") {
				t.Errorf("%s: %v", what, err)
			}
		}
		b.exact()
	})
}

// A worker that loses its lease in a handler learns it by its context; whatever it does then
// is not in the tables.
func TestAWorkerWhoseLeaseIsTakenIsCancelledAndWritesNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		b := setupEngine(t, db, projection.Options{})
		last := b.append("ann", Added{1}, Added{2})
		inside := make(chan struct{})
		b.ledger.set(func(ctx context.Context, tx *sql.Tx, ev event.Event) error {
			b.ledger.set(nil)
			close(inside)
			<-ctx.Done()
			_, _ = tx.ExecContext(context.WithoutCancel(ctx), "UPDATE totals SET n = 1000")
			return nil // it does not even notice
		})
		b.run()
		<-inside
		b.must(b.engine.ReleaseLease(t.Context(), "ledger"))
		b.must(b.engine.Wait(t.Context(), b.sink, last))
		b.exact()
	})
}

func TestASinkHaltsAtAnotherStoreUntilSomebodyDecides(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		b := setupEngine(t, db, projection.Options{})
		b.append("ann", Added{1}, Added{2})
		b.must(b.engine.CatchUp(t.Context()))

		other, err := pebblestore.OpenMem(quiet())
		b.must(err)
		defer func() { b.must(other.Close()) }()
		b.store = other
		b.engine = b.another(b.sink)
		b.append("bob", Added{3})
		err = b.engine.CatchUp(t.Context())
		if !errors.Is(err, engine.ErrUnavailable) {
			t.Fatalf("caught up into the tables of another store: %v", err)
		}
		anew, _ := statements(t, err, 0)
		db.must(t, "DELETE FROM journal; DELETE FROM totals;"+anew)
		b.must(b.engine.Resume(t.Context(), "ledger"))
		b.must(b.engine.CatchUp(t.Context()))
		b.exact()
	})
}

// slow is a target whose takeover takes its time.
type slow struct {
	projection.Target
	first sync.Once
	while func(s projection.Session)
}

func (l *slow) Begin(ctx context.Context, s projection.Session, from, head event.Position) (event.Position, error) {
	l.first.Do(func() { l.while(s) })
	return l.Target.Begin(ctx, s, from, head)
}

// Until the database has fenced it, the former worker goes on, also beyond what was the end
// of the store when its successor looked.
func TestTablesThatMoveDuringATakeoverAreNotThoseOfAnotherStore(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		b := setupEngine(t, db, projection.Options{})
		b.append("ann", Added{1})
		target := b.sink.Program().Sink.Target
		former := func(s projection.Session) {
			s.Term--
			last := b.append("ann", Added{2})
			page, err := b.store.Read(t.Context(), store.Query{})
			b.must(err)
			_, err = target.Begin(t.Context(), s, 0, last)
			b.must(err)
			b.must(target.Write(t.Context(), s, 0, last, page.Items))
		}
		sink := projection.NewSink("ledger", &slow{Target: target, while: former}, store.MatchTypes(Added{}.EventType())...)
		b.must(b.another(sink).CatchUp(t.Context()))
		b.append("ann", Added{3})
		b.must(b.another(sink).CatchUp(t.Context()))
		b.exact()
	})
}
