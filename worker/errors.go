package worker

import (
	"errors"
	"fmt"
	"strings"

	"github.com/riffle-go/riffle/store"
)

var (
	// ErrUnavailable: the worker does not work now, so what was asked of it cannot happen. See
	// [StateError].
	ErrUnavailable = errors.New("worker: not available")
	// ErrAbandoned is the cause with which a handler's context ends when Run's context ended.
	ErrAbandoned = errors.New("worker: abandoned, its context has ended")
)

// StateError says in which state a worker is that cannot do what was asked, and why. It
// matches [ErrUnavailable].
type StateError struct {
	Key   store.SubscriberKey
	State State
	Err   error // why it is in that state; may be nil
}

func (e *StateError) Error() string {
	why := ""
	if e.Err != nil {
		why = ": " + e.Err.Error()
	}
	return fmt.Sprintf("worker: %s is %s%s; %s", e.Key, e.State, why, e.remedy())
}

func (e *StateError) remedy() string {
	switch e.State {
	case Paused, Halted:
		return "resume it"
	case Standby:
		return "ask the engine whose worker holds the lease"
	default:
		return "try again when it runs"
	}
}

// ErrorType is the error.type attribute of telemetry.
func (e *StateError) ErrorType() string { return strings.ReplaceAll(string(e.State), " ", "_") }

// Is matches ErrUnavailable.
func (*StateError) Is(target error) bool { return target == ErrUnavailable }

func (e *StateError) Unwrap() error { return e.Err }

// PanicError is the failure of a handler that panicked, or that ended its goroutine with
// runtime.Goexit (as testing.T.FailNow does).
type PanicError struct {
	Value  any    // what the handler panicked with; nil after Goexit
	Goexit bool   // it called runtime.Goexit
	Stack  []byte // of the handler's goroutine; empty after Goexit, whose stack is gone
}

func (e *PanicError) Error() string {
	if e.Goexit {
		return "worker: the handler called runtime.Goexit; return an error instead"
	}
	return fmt.Sprintf("worker: the handler panicked: %v\n%s", e.Value, e.Stack)
}

// ErrorType is the error.type attribute of telemetry.
func (e *PanicError) ErrorType() string {
	if e.Goexit {
		return "goexit"
	}
	return "panic"
}

// Unwrap returns what the handler panicked with, when that was an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// CapError says that a limit of events set aside is reached. The worker halts before the
// commit that would exceed it.
type CapError struct {
	What  string // "blocked keys", "rows of one key", "rows"
	Limit int
}

func (e *CapError) Error() string {
	return fmt.Sprintf("worker: more than %d %s; retry or skip what is parked, then resume", e.Limit, e.What)
}

// ErrorType is the error.type attribute of telemetry.
func (*CapError) ErrorType() string { return "rows" }
