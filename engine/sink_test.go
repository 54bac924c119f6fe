package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// shelf is a sink that can be reset, with its own checkpoint and term, as a database has.
type shelf struct {
	mu     sync.Mutex
	term   uint64
	at     event.Position
	rows   []event.Position
	resets []event.Position
}

func (s *shelf) Begin(_ context.Context, ses projection.Session, from, _ event.Position) (event.Position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ses.Term < s.term {
		return 0, store.ErrLeaseLost
	}
	if s.term == 0 {
		s.at = from
	}
	s.term = ses.Term
	return s.at, nil
}

func (s *shelf) Write(_ context.Context, ses projection.Session, from, to event.Position, events []event.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ses.Term != s.term || from != s.at {
		return store.ErrLeaseLost
	}
	for _, ev := range events {
		s.rows = append(s.rows, ev.Position)
	}
	s.at = to
	return nil
}

func (s *shelf) Reset(_ context.Context, ses projection.Session, to event.Position) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ses.Term != s.term {
		return store.ErrLeaseLost
	}
	s.rows = slices.DeleteFunc(s.rows, func(p event.Position) bool { return p > to })
	s.resets = append(s.resets, to)
	s.at = to
	return nil
}

func (s *shelf) state() (rows, resets []event.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.rows), slices.Clone(s.resets)
}

func TestASinkIsRewoundAndRebuiltThroughItsReset(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var s shelf
	p := projection.NewSink("rows", &s, store.Match{Aggregate: Counters})
	r := b.run(b.engine(p))
	pos := b.append("a", Added{1}, Added{2}, Added{3})
	check := func(what string, wantResets ...event.Position) {
		t.Helper()
		b.must(r.Wait(t.Context(), p, pos, engine.WaitThrough))
		rows, resets := s.state()
		if !slices.Equal(rows, []event.Position{1, 2, 3}) || !slices.Equal(resets, wantResets) {
			t.Errorf("%s: rows %v, resets %v", what, rows, resets)
		}
	}
	check("at first")
	b.must(r.Rewind(t.Context(), "rows", store.AtPosition(3)))
	check("after a rewind", 2)
	if err := r.Rewind(t.Context(), "rows", store.AtPosition(100)); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a rewind forward: %v", err)
	}
	check("after a rewind that goes forward", 2)
	b.must(r.Rebuild(t.Context(), "rows"))
	check("after a rebuild", 2, 0)
	b.must(r.stop())

	raised := p.With(projection.Options{Revision: 1})
	r = b.run(b.engine(raised))
	b.until("the sink has begun again", func() bool {
		_, resets := s.state()
		return slices.Equal(resets, []event.Position{2, 0, 0})
	})
	check("after its revision was raised", 2, 0, 0)
	b.must(r.stop())
	r = b.run(b.engine(raised))
	check("with the same revision", 2, 0, 0)
	b.must(r.stop())
	r = b.run(b.engine(p))
	wantState(t, r.Wait(t.Context(), p, pos), "standby")
}

// late is a shelf whose former worker goes on until it is fenced.
type late struct {
	shelf
	armed  atomic.Bool
	former func() event.Position
}

func (l *late) Begin(ctx context.Context, ses projection.Session, from, head event.Position) (event.Position, error) {
	if l.armed.CompareAndSwap(true, false) {
		at := l.former()
		l.mu.Lock()
		l.rows, l.at = append(l.rows, at), at
		l.mu.Unlock()
	}
	if at := l.position(); at > head {
		return 0, fmt.Errorf("shelf at %d: %w", at, store.ErrHistory)
	}
	return l.shelf.Begin(ctx, ses, from, head)
}

func (l *late) position() event.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at
}

// The end of the store is read before the target fences the former worker, who may write
// what was appended in between: that target is not one of another store.
func TestARewindDuringTheLastWritesOfAFormerWorkerIsNotOfAnotherStore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	l := &late{former: func() event.Position { return b.append("a", Added{3}) }}
	p := projection.NewSink("rows", l, store.Match{Aggregate: Counters})
	e := b.engine(p)
	b.append("a", Added{1}, Added{2})
	b.must(e.CatchUp(t.Context()))
	l.armed.Store(true)
	b.must(e.Rewind(t.Context(), "rows", store.AtPosition(2)))
	b.must(e.CatchUp(t.Context()))
	if rows, resets := l.state(); !slices.Equal(rows, []event.Position{1, 2, 3}) || !slices.Equal(resets, []event.Position{1}) {
		t.Errorf("rows %v, resets %v", rows, resets)
	}
}

// What counts is how old the head is that the target was asked with, not how long it took to
// answer.
func TestARewindOfASlowTargetIsNotOfAnotherStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		l := &late{former: func() event.Position {
			defer time.Sleep(3 * engine.DefaultLeaseTTL)
			return b.append("a", Added{3})
		}}
		e := b.engine(projection.NewSink("rows", l, store.Match{Aggregate: Counters}))
		b.append("a", Added{1}, Added{2})
		b.must(e.CatchUp(t.Context()))
		l.armed.Store(true)
		b.must(e.Rewind(t.Context(), "rows", store.AtPosition(2)))
		if _, resets := l.state(); !slices.Equal(resets, []event.Position{1}) {
			t.Errorf("it was reset to %v", resets)
		}
	})
}

// A target that is really of another store is refused, however much is appended meanwhile.
func TestARewindOfATargetOfAnotherStoreIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		l := &late{former: func() event.Position { return 1_000_000 }}
		p := projection.NewSink("rows", &trafficked{l, func() { b.append("a", Added{1}); time.Sleep(50 * time.Millisecond) }}, store.Match{Aggregate: Counters})
		e := b.engine(p)
		b.append("a", Added{1}, Added{2})
		b.must(e.CatchUp(t.Context()))
		l.armed.Store(true)
		if err := e.Rewind(t.Context(), "rows", store.AtPosition(2)); !errors.Is(err, store.ErrHistory) {
			t.Errorf("the rewind: %v", err)
		}
		if _, resets := l.state(); len(resets) != 0 {
			t.Errorf("it was reset to %v", resets)
		}
	})
}

// trafficked is a target during whose takeovers something happens.
type trafficked struct {
	*late
	meanwhile func()
}

func (f *trafficked) Begin(ctx context.Context, ses projection.Session, from, head event.Position) (event.Position, error) {
	f.meanwhile()
	return f.late.Begin(ctx, ses, from, head)
}

// robbed is a shelf that is robbed of its lease while it goes back.
type robbed struct {
	shelf
	rob func()
}

func (r *robbed) Reset(ctx context.Context, _ projection.Session, _ event.Position) error {
	r.rob()
	<-ctx.Done()
	return ctx.Err()
}

func TestARewindThatLosesItsLeaseSaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		r := &robbed{rob: func() {
			b.must(b.store.Subscriber(store.SubscriberKey{Projection: "rows"}).ReleaseLease(t.Context()))
		}}
		e := b.engine(projection.NewSink("rows", r, store.Match{Aggregate: Counters}))
		b.append("a", Added{1}, Added{2})
		b.must(e.CatchUp(t.Context()))
		if err := e.Rewind(t.Context(), "rows", store.AtPosition(2)); !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("got %v", err)
		}
	})
}

// stubborn is a shelf that refuses an event, and cannot go back.
type stubborn struct{ shelf }

var errStubborn = errors.New("stubborn")

func (s *stubborn) Write(ctx context.Context, ses projection.Session, from, to event.Position, events []event.Event) error {
	if slices.ContainsFunc(events, func(ev event.Event) bool { return ev.Position == 2 }) {
		return projection.Park(errStubborn)
	}
	return s.shelf.Write(ctx, ses, from, to, events)
}

func (*stubborn) Reset(context.Context, projection.Session, event.Position) error { return errStubborn }

// What is set aside is in the store alone: a target that did not go back has moved past it.
func TestARewindWhoseResetFailsForgetsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var s stubborn
	e := b.engine(projection.NewSink("rows", &s, store.Match{Aggregate: Counters}))
	b.append("a", Added{1}, Added{2})
	b.append("b", Added{3})
	b.must(e.CatchUp(t.Context()))
	if err := e.Rewind(t.Context(), "rows", store.AtPosition(1)); !errors.Is(err, errStubborn) {
		t.Errorf("got %v", err)
	}
	st := b.status(e, "rows")
	if rows, _ := s.state(); st.Parked != 1 || st.Subscriber.Checkpoint != 3 || !slices.Equal(rows, []event.Position{1, 3}) {
		t.Errorf("%d are parked, the checkpoint is %d, the target has %v", st.Parked, st.Subscriber.Checkpoint, rows)
	}
}
