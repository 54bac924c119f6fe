package program

import (
	"context"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// Session is one worker's work on one sink: all calls under one lease.
type Session struct {
	Key     store.SubscriberKey
	Term    uint64   // of the lease: the fencing token
	History event.ID // of the store that the events come from
	_       struct{}
}

// Target is a database that keeps the checkpoint of its rows itself, in the transactions
// that write them. Its row is found by the session's history and projection. Calls of one
// session come one at a time; a session that lost its lease may still call, which the
// term must refuse.
type Target interface {
	// Begin takes the target over for the session's term: a lower term can write no more. It
	// returns the position up to which the target has everything. A target without a row
	// for this history makes one at position from.
	//
	// head is the end of the store: a target that is beyond it, or that has a row of another
	// history only, belongs to another store, which is an error wrapping store.ErrHistory. A
	// session whose term is lower than the target's is store.ErrLeaseLost.
	Begin(ctx context.Context, s Session, from, head event.Position) (event.Position, error)

	// Write applies events and moves the target's position from from to to, all in one
	// transaction. There may be no events. It returns store.ErrLeaseLost, and leaves
	// everything as it was, unless the target has the session's term and is at from. After
	// an unknown outcome it finds out before it answers.
	Write(ctx context.Context, s Session, from, to event.Position, events []event.Event) error
}

// Resetter is a Target that can go back: remove what it wrote of the events after a
// position, and move there. With position 0 that is everything. Rewind and Rebuild need it.
type Resetter interface {
	Target
	// Reset is fenced like Write, and one transaction like it.
	Reset(ctx context.Context, s Session, to event.Position) error
}

// SinkProgram writes pages of events into a Target.
type SinkProgram struct {
	Target Target
	_      struct{}
}

// Resetter returns the target if it can go back, else nil.
func (p *SinkProgram) Resetter() Resetter {
	r, _ := p.Target.(Resetter)
	return r
}
