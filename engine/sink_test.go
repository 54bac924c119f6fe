package engine_test

import (
	"context"
	"slices"
	"sync"
	"testing"

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
