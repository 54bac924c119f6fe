package program

import (
	"errors"
	"fmt"
	"time"

	"github.com/riffle-go/riffle/event"
)

// Action is what to do with an event after its handler returned an error.
type Action uint8

// The actions.
const (
	Again  Action = iota // try again by the schedule
	Later                // try again after a time that the handler chose
	Park                 // set aside now
	Skip                 // record it and go on
	Halt                 // stop the projection
	Delete               // remove the state; only from a fold
)

func (a Action) String() string {
	switch a {
	case Again:
		return "again"
	case Later:
		return "later"
	case Park:
		return "park"
	case Skip:
		return "skip"
	case Halt:
		return "halt"
	case Delete:
		return "delete"
	default:
		return fmt.Sprintf("Action(%d)", uint8(a))
	}
}

// Steer is an error by which a handler says what shall become of the event.
type Steer struct {
	Action Action
	After  time.Duration // of Later
	Err    error         // why; may be nil
}

// Error is the reason, so that rows and logs show what the handler said.
func (s *Steer) Error() string {
	if s.Err != nil {
		return s.Err.Error()
	}
	switch s.Action {
	case Later:
		return fmt.Sprintf("projection: the handler wants the event again after %v", s.After)
	case Park:
		return "projection: parked by the handler without a reason"
	case Skip:
		return "projection: skipped by the handler without a reason"
	case Halt:
		return "projection: halted by the handler without a reason"
	case Delete:
		return "projection: Delete removes a state; only a fold may return it"
	default:
		return "projection: handler failed without a reason"
	}
}

// ErrorType is that of the reason, or the action.
func (s *Steer) ErrorType() string {
	if t, ok := errors.AsType[interface {
		error
		ErrorType() string
	}](s.Err); ok {
		return t.ErrorType()
	}
	return s.Action.String()
}

func (s *Steer) Unwrap() error { return s.Err }

// Verdict is what a worker does about an error.
type Verdict struct {
	Action Action
	After  time.Duration // of Later
	// Counts says that the attempt counts also while everything else fails: the error is
	// the event's own, and no outage explains it.
	Counts bool
}

// Judge reads what a handler returned; err is not nil. The outermost Steer decides. An
// error that no Steer is part of is tried again; that of a payload that cannot be decoded
// counts in any case. Delete from anything but a fold is a mistake of the handler that no
// second attempt mends: it parks.
func Judge(err error) Verdict {
	if s, ok := errors.AsType[*Steer](err); ok {
		switch s.Action {
		case Later:
			return Verdict{Action: Later, After: max(s.After, 0)}
		case Park, Skip, Halt:
			return Verdict{Action: s.Action, Counts: true}
		case Delete:
			return Verdict{Action: Park, Counts: true}
		}
	}
	_, decode := errors.AsType[*event.DecodeError](err)
	_, unhandled := errors.AsType[*UnhandledError](err)
	return Verdict{Action: Again, Counts: decode || unhandled}
}
