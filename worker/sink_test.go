package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/crashfs"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/worker"
)

// table is a target in memory. Its transactions are all or nothing.
type table struct {
	mu       sync.Mutex
	began    bool
	term     uint64
	at       event.Position
	written  []event.Position
	calls    int
	down     error
	bad      map[event.Position]error
	beginErr error
}

func (t *table) Begin(_ context.Context, s projection.Session, from, head event.Position) (event.Position, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.beginErr != nil:
		return 0, t.beginErr
	case s.Term < t.term:
		return 0, store.ErrLeaseLost
	case t.at > head:
		return 0, fmt.Errorf("table: %w", store.ErrHistory)
	case !t.began:
		t.began, t.at = true, from
	}
	t.term = s.Term
	return t.at, nil
}

func (t *table) Write(_ context.Context, s projection.Session, from, to event.Position, events []event.Event) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls++
	if t.down != nil {
		return t.down
	}
	if s.Term != t.term || from != t.at {
		return store.ErrLeaseLost
	}
	var rows []event.Position
	for _, ev := range events {
		if err := t.bad[ev.Position]; err != nil {
			return err
		}
		rows = append(rows, ev.Position)
	}
	t.at = to
	t.written = append(t.written, rows...)
	return nil
}

func (t *table) do(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f()
}

func (t *table) rows() []event.Position {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.written)
}

func sinkOf(t projection.Target, o projection.Options) *projection.Sink {
	return projection.NewSink("rows", t, store.MatchTypes(Deposited{}.EventType())...).With(o)
}

func TestASinkWritesEachEventOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tab := &table{}
	p := sinkOf(tab, projection.Options{PageSize: 4})
	for range 10 {
		b.deposit(1, "a")
		b.note()
	}
	w := b.start(b.config(p))
	w.waits(20)
	w.drains()
	if got := fmt.Sprint(tab.rows()); got != "[1 3 5 7 9 11 13 15 17 19]" {
		t.Fatalf("wrote %s", got)
	}
	if info := b.info(p); info.Checkpoint != 20 {
		t.Fatalf("the store's copy is %d", info.Checkpoint)
	}
}

func TestTheTargetsPositionWins(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tab := &table{began: true, at: 3}
	p := sinkOf(tab, projection.Options{})
	b.deposit(1, "a", "a", "a", "a", "a")
	w := b.start(b.config(p))
	w.waits(5)
	w.drains()
	if got := fmt.Sprint(tab.rows()); got != "[4 5]" {
		t.Fatalf("wrote %s, want what comes after the target's position", got)
	}
	// Restored from a backup, the target gets the rest again.
	tab.do(func() { tab.at, tab.written = 1, nil })
	w = b.start(b.config(p))
	b.until("written again", func() bool { return len(tab.rows()) == 4 })
	w.waits(5)
	w.drains()
	if got := fmt.Sprint(tab.rows()); got != "[2 3 4 5]" {
		t.Fatalf("wrote %s", got)
	}
}

func TestATargetOfAnotherStoreHalts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := sinkOf(&table{began: true, at: 99}, projection.Options{})
	b.deposit(1, "a")
	w := b.start(b.config(p))
	w.becomes(worker.Halted)
	if !errors.Is(w.Status().Err, store.ErrHistory) {
		t.Fatalf("halted because of %v", w.Status().Err)
	}
	w.drains()
}

// busy is a target that something is appended during each Begin of.
type busy struct {
	*table
	meanwhile func()
}

func (y *busy) Begin(ctx context.Context, s projection.Session, from, head event.Position) (event.Position, error) {
	y.meanwhile()
	return y.table.Begin(ctx, s, from, head)
}

func TestATargetOfAnotherStoreHaltsUnderTrafficToo(t *testing.T) {
	bubble(t, func(b *bed) {
		y := &busy{&table{began: true, at: 1_000_000}, func() {
			b.deposit(1, "a")
			pass(50 * time.Millisecond)
		}}
		w := b.start(b.config(sinkOf(y, projection.Options{})))
		w.becomes(worker.Halted)
		if !errors.Is(w.Status().Err, store.ErrHistory) {
			b.Fatalf("halted because of %v", w.Status().Err)
		}
		w.drains()
	})
}

// What counts is how old the head is that the target was asked with, not how long it took to
// answer.
func TestATargetThatIsSlowToTakeOverIsNotOfAnotherStore(t *testing.T) {
	bubble(t, func(b *bed) {
		y := &busy{table: &table{began: true}}
		b.deposit(1, "a")
		y.meanwhile = func() {
			if at := b.deposit(1, "a"); at == 2 { // the former worker writes it
				y.do(func() { y.at, y.written = at, []event.Position{1, 2} })
				pass(3 * worker.DefaultLeaseTTL)
			}
		}
		w := b.start(b.config(sinkOf(y, projection.Options{})))
		w.waits(3)
		w.drains()
		if got := fmt.Sprint(y.rows()); got != "[1 2 3]" {
			b.Fatalf("wrote %s", got)
		}
	})
}

func TestAPoisonInAPageIsFoundAndTheRestIsWritten(t *testing.T) {
	bubble(t, func(b *bed) {
		tab := &table{bad: map[event.Position]error{4: errBroken, 9: projection.Park(errBroken), 12: projection.Skip(errBroken)}}
		p := sinkOf(tab, projection.Options{})
		ids := []string{"a", "b", "c", "bad", "a", "bad", "b", "c", "park", "park", "a", "skip", "skip", "z"}
		last := b.deposit(1, ids...)
		w := b.start(b.config(p))
		w.waits(last)
		if got := fmt.Sprint(tab.rows()); got != "[1 2 3 5 7 8 11 13 14]" {
			b.Fatalf("wrote %s", got)
		}
		b.rowsAre(p, "bad@4 waiting 3", "bad@6 waiting 0", "park@9 parked 3", "park@10 waiting 0", "skip@12 skipped 3")
		tab.do(func() { tab.bad = nil })
		pass(10 * time.Second)
		if err := w.Retry(b.Context(), "park"); err != nil {
			b.Fatal(err)
		}
		b.until("unblocked", func() bool { return w.Status().BlockedKeys == 0 })
		if got := fmt.Sprint(tab.rows()); got != "[1 2 3 5 7 8 11 13 14 4 6 9 10]" {
			b.Fatalf("wrote %s", got)
		}
		w.drains()
	})
}

func TestRowsAreStoredBeforeTheTargetMovesPast(t *testing.T) {
	bubble(t, func(b *bed) {
		tab := &table{bad: map[event.Position]error{2: errBroken}}
		p := sinkOf(tab, projection.Options{})
		b.deposit(1, "a", "b", "c")
		w := b.start(b.config(p))
		w.waits(3)
		w.cancel()
		if err := w.ends(); !errors.Is(err, context.Canceled) {
			b.Fatal(err)
		}
		// As if the process had died between the row and the transaction.
		tab.do(func() { tab.at, tab.written = 1, []event.Position{1} })
		w = b.start(b.config(p))
		b.until("written", func() bool { return len(tab.rows()) == 2 })
		w.waits(3)
		b.rowsAre(p, "b@2 waiting 3")
		if got := fmt.Sprint(tab.rows()); got != "[1 3]" {
			b.Fatalf("wrote %s: the event that is set aside must not go in", got)
		}
		w.drains()
	})
}

func TestTheStoreBeingAheadOfTheTargetIsNoProgress(t *testing.T) {
	bubble(t, func(b *bed) {
		tab := &table{bad: map[event.Position]error{1: projection.Park(errBroken)}}
		p := sinkOf(tab, projection.Options{})
		w := b.start(b.config(p))
		w.waits(b.deposit(1, "bad"))
		tab.do(func() { tab.down = errBroken })
		res, err := b.store.Append(b.Context(), // one page: the first goes into a row, the second into the target
			store.Batch{Stream: accounts.Stream("bad"), Expect: store.Any, Events: event.Of(Deposited{})},
			store.Batch{Stream: accounts.Stream("good"), Events: event.Of(Deposited{})})
		if err != nil {
			b.Fatal(err)
		}
		w.becomes(worker.Retrying)
		if info := b.info(p); info.Checkpoint != res.Position {
			b.Fatalf("the row is not stored: checkpoint %d", info.Checkpoint)
		}
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		if err := w.Wait(ctx, res.Position); !errors.Is(err, context.DeadlineExceeded) {
			b.Fatalf("Wait: %v, and the target does not have the event", err)
		}
		tab.do(func() { tab.down = nil })
		w.waits(res.Position)
		if got := fmt.Sprint(tab.rows()); got != "[3]" {
			b.Fatalf("wrote %s", got)
		}
		w.drains()
	})
}

func TestATargetThatIsDownHoldsNothingAgainstTheEvents(t *testing.T) {
	bubble(t, func(b *bed) {
		tab := &table{}
		p := sinkOf(tab, projection.Options{PageSize: 3})
		w := b.start(b.config(p))
		w.waits(b.deposit(1, "a"))
		tab.do(func() { tab.down = errBroken })
		last := b.deposit(1, "a", "b", "c", "d", "e", "f", "g")
		pass(10 * time.Minute)
		if st := w.Status(); st.State != worker.Retrying || st.BlockedKeys != 0 {
			b.Fatalf("while the target is down: %+v", st)
		}
		if tab.calls > 100 {
			b.Fatalf("%d calls in ten minutes", tab.calls)
		}
		tab.do(func() { tab.down = nil })
		w.waits(last)
		b.rowsAre(p)
		if got := fmt.Sprint(tab.rows()); got != "[1 2 3 4 5 6 7 8]" {
			b.Fatalf("wrote %s", got)
		}
		w.becomes(worker.Live)
		w.drains()
	})
}

func TestATargetThatCannotBeTakenOverIsAskedAgain(t *testing.T) {
	bubble(t, func(b *bed) {
		tab := &table{beginErr: errBroken}
		p := sinkOf(tab, projection.Options{})
		w := b.start(b.config(p))
		w.becomes(worker.Retrying)
		pass(time.Minute)
		tab.do(func() { tab.beginErr = nil })
		w.waits(b.deposit(1, "a"))
		w.drains()

		tab.do(func() { tab.beginErr = errBroken })
		w = b.start(b.config(p))
		w.becomes(worker.Retrying)
		w.drains() // also while it waits
	})
}

func TestASinkThatLostItsLeaseStops(t *testing.T) {
	bubble(t, func(b *bed) {
		tab := &table{}
		p := sinkOf(tab, projection.Options{})
		w := b.start(b.config(p))
		w.waits(b.deposit(1, "a"))
		tab.do(func() { tab.term++ }) // another worker began
		b.deposit(1, "a")
		if err := w.ends(); !errors.Is(err, store.ErrLeaseLost) {
			b.Fatalf("Run: %v", err)
		}
		if got := fmt.Sprint(tab.rows()); got != "[1]" {
			b.Fatalf("wrote %s", got)
		}
	})
}

// witness is a target that finds out, whenever it is about to move past events that are not
// among those it writes, what the store would have after a crash at that moment.
type witness struct {
	*table
	crashed func() []event.Position // of the rows
	bad     []event.Position
	moves   int
	fault   error
}

func (w *witness) Write(ctx context.Context, s projection.Session, from, to event.Position, events []event.Event) error {
	for _, at := range w.bad {
		in := slices.ContainsFunc(events, func(ev event.Event) bool { return ev.Position == at })
		if at <= from || at > to || in {
			continue
		}
		w.moves++
		if rows := w.crashed(); !slices.Contains(rows, at) {
			w.fault = fmt.Errorf("moves from %d to %d, and of the event at %d there is no row: %v", from, to, at, rows)
		}
	}
	return w.table.Write(ctx, s, from, to, events)
}

func TestRowsAreDurableBeforeTheTargetMovesPast(t *testing.T) {
	bubble(t, func(b *bed) {
		l := begin(b.T, crashfs.New())
		w := &witness{table: &table{bad: map[event.Position]error{2: errBroken, 5: errBroken}}, bad: []event.Position{2, 5}}
		p := sinkOf(w, projection.Options{})
		w.crashed = func() (rows []event.Position) {
			for _, row := range begin(b.T, l.dies()).rows(p) {
				rows = append(rows, row.Position)
			}
			return rows
		}
		last := l.deposit(1, "a", "b", "c", "d", "e", "f", "g")
		r := l.start(l.config(p))
		r.waits(last)
		r.drains()
		if w.fault != nil || w.moves != 2 {
			b.Errorf("after %d moves past what failed: %v", w.moves, w.fault)
		}
		if got := fmt.Sprint(w.rows()); got != "[1 3 4 6 7]" {
			b.Errorf("wrote %s", got)
		}
	})
}
