package store

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/handling"
)

// MaxTurn is the longest turn that there is.
const MaxTurn = 500 * time.Millisecond

// turns are the streams that somebody has for himself for a moment.
type turns struct {
	some    atomic.Int32 // turns in streams; without any, appends do not look
	mu      sync.Mutex
	streams map[event.Stream][]*turn
}

type turn struct {
	atMost time.Duration
	over   chan struct{}
}

// Turn holds appends to streams back, those through this Store and outside of handlers, until
// end is called, and for atMost at the longest, which is cut to MaxTurn. It is for who reads
// these streams, decides, and always finds that somebody else was faster: a few milliseconds
// without company break that, where more patience would not. However many turns follow each
// other, an append waits for no longer in all than the longest of those that it meets. end
// may be called more than once.
func (s *Store) Turn(atMost time.Duration, streams ...event.Stream) (end func()) {
	atMost = min(atMost, MaxTurn)
	t := &turn{atMost: atMost, over: make(chan struct{})}
	s.turns.begin(t, streams)
	var once sync.Once
	over := func() { once.Do(func() { s.turns.end(t, streams) }) }
	timer := time.AfterFunc(atMost, over)
	return func() {
		timer.Stop()
		over()
	}
}

func (ts *turns) begin(t *turn, streams []event.Stream) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.streams == nil {
		ts.streams = map[event.Stream][]*turn{}
	}
	for _, s := range streams {
		ts.streams[s] = append(ts.streams[s], t)
	}
	ts.some.Add(1)
}

func (ts *turns) end(t *turn, streams []event.Stream) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, s := range streams {
		left := slices.DeleteFunc(ts.streams[s], func(x *turn) bool { return x == t })
		if ts.streams[s] = left; len(left) == 0 {
			delete(ts.streams, s)
		}
	}
	ts.some.Add(-1)
	close(t.over)
}

// of returns the longest turn that one of the appends has to wait for, or nil.
func (ts *turns) of(appends []Appending) (longest *turn) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for i := range appends {
		for _, t := range ts.streams[appends[i].Stream] {
			if longest == nil || t.atMost > longest.atMost {
				longest = t
			}
		}
	}
	return longest
}

// wait lets those go first who have the turn.
func (ts *turns) wait(ctx context.Context, appends []Appending) error {
	if ts.some.Load() == 0 || handling.From(ctx) != nil {
		return nil
	}
	began, longest := time.Now(), time.Duration(0)
	patience := time.NewTimer(MaxTurn)
	defer patience.Stop()
	for t := ts.of(appends); t != nil; t = ts.of(appends) {
		if t.atMost > longest {
			longest = t.atMost
			patience.Reset(longest - time.Since(began))
		}
		select {
		case <-t.over:
		case <-patience.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
