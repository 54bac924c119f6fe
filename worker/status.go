package worker

import (
	"slices"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// State says what a worker is doing. The words are shown to operators and are values of a
// metric's attribute.
type State string

// The states of a worker.
const (
	Standby    State = "standby"     // waits for the lease that another worker holds
	Starting   State = "starting"    // has claimed, or is about to; loads what it needs
	CatchingUp State = "catching up" // handles events that lie behind the head
	Live       State = "live"        // has handled everything, or is within a page of it
	Retrying   State = "retrying"    // everything fails: tries one event from time to time
	Rebuilding State = "rebuilding"  // builds another generation beside the active one
	Paused     State = "paused"      // by an operator, until resumed
	Halted     State = "halted"      // by itself, for a reason, until resumed
	Stopped    State = "stopped"     // Run has not begun or has ended
)

// Status is a worker's own view of itself.
type Status struct {
	Worker event.ID
	Key    store.SubscriberKey
	State  State
	Term   uint64 // of the lease; 0 without one

	// Position is the checkpoint: everything up to it is committed.
	Position event.Position
	// Covered is how far the worker has handled events or knows that none concerns it. While
	// it is idle that is the head. At least Position.
	Covered event.Position
	// Backlog is the number of positions between Covered and the head: an upper bound of the
	// events to come.
	Backlog uint64

	Attempt     int // at the event that is failing now; 0 is none
	Waiting     int // events set aside that will be tried again, or wait behind such a one
	Parked      int // events set aside until an operator decides
	BlockedKeys int // keys with such events

	// LastProgress is when Covered last moved or an event was handled.
	LastProgress time.Time
	// Err is why the worker is Retrying, Halted or Stopped, or what failed last in an
	// event that has not succeeded since; nil when all is well.
	Err error

	_ struct{}
}

// Status returns what the worker is doing now. It does not wait and reads no disk.
func (w *Worker) Status() Status {
	w.mu.Lock()
	st, idle := w.status, w.idle
	w.mu.Unlock()
	return w.withHead(st, idle)
}

// change modifies the status and reports it when state or error are others now.
func (w *Worker) change(f func(*Status)) {
	w.mu.Lock()
	before := w.status
	f(&w.status)
	w.status.Covered = max(w.status.Covered, w.status.Position)
	after, idle := w.status, w.idle
	w.mu.Unlock()
	if before.State == after.State && sameError(before.Err, after.Err) {
		return
	}
	if before.State != after.State {
		w.stateChanged(before.State, after)
	}
	if w.config.OnChange != nil {
		w.config.OnChange(w.withHead(after, idle))
	}
}

func sameError(a, b error) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return a.Error() == b.Error()
}

// inWork says whether a worker of this state holds the lease.
func (s State) inWork() bool {
	return slices.Contains([]State{Starting, CatchingUp, Live, Retrying, Rebuilding}, s)
}
