package engine

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/worker"
)

// The sentinels to branch on with errors.Is.
var (
	// ErrUnknown: the engine has no projection of that name.
	ErrUnknown = errors.New("engine: unknown projection")
	// ErrRunning: the engine runs, or has run, so that it cannot do this.
	ErrRunning = errors.New("engine: running")
	// ErrUnavailable: the projection does not work now, so that waiting for it may take for
	// ever. See [StateError].
	ErrUnavailable = errors.New("engine: projection unavailable")
)

// StateError says in which state a projection is that cannot do what was asked, and why.
// It matches [ErrUnavailable], and projection.ErrRebuilding where that is the state.
type StateError struct {
	Projection string
	State      worker.State
	Reason     string // may be empty
}

func (e *StateError) Error() string {
	why := ""
	if e.Reason != "" {
		why = ": " + e.Reason
	}
	return fmt.Sprintf("engine: projection %q is %s%s; %s", e.Projection, e.State, why, e.remedy())
}

func (e *StateError) remedy() string {
	switch e.State {
	case worker.Paused:
		return "resume it"
	case worker.Halted:
		return "remove the cause, then resume it"
	case worker.Rebuilding:
		return "wait with WaitThrough, or come back later"
	case worker.Standby:
		return "ask the engine that works on it"
	default:
		return "try again while the engine runs"
	}
}

// ErrorType is the error.type attribute of telemetry.
func (e *StateError) ErrorType() string { return strings.ReplaceAll(string(e.State), " ", "_") }

// Is matches ErrUnavailable, and projection.ErrRebuilding when that is the state.
func (e *StateError) Is(target error) bool {
	return target == ErrUnavailable || target == projection.ErrRebuilding && e.State == worker.Rebuilding
}

// ShutdownError names the projections whose workers did not finish within the
// ShutdownTimeout, so that their handlers were cancelled. What they had not committed
// happens again.
type ShutdownError struct {
	Projections []string      // sorted
	Stuck       []string      // those of them whose handlers ignore that, and still run; sorted
	Timeout     time.Duration // that has passed
	_           struct{}
}

func (e *ShutdownError) Error() string {
	text := fmt.Sprintf("engine: %s did not stop within %v and had to be cancelled", strings.Join(e.Projections, ", "), e.Timeout)
	if len(e.Stuck) > 0 {
		text += "; " + strings.Join(e.Stuck, ", ") + " still run: their handlers ignore the end of their context"
	}
	return text
}

// ErrorType is the error.type attribute of telemetry.
func (*ShutdownError) ErrorType() string { return "shutdown" }

var (
	// errAbandoned is the cause with which handlers are cancelled.
	errAbandoned = errors.New("engine: the shutdown took too long, the work is abandoned")
	// errDraining is the cause with which work that nobody waits for is cancelled.
	errDraining = errors.New("engine: draining")
	// errBusy: a session runs that a CatchUp can join.
	errBusy = errors.New("engine: a session runs")
)
