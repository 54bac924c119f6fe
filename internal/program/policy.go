package program

import (
	"fmt"
	"time"
)

// Failure says what becomes of an event whose attempts are used up.
type Failure uint8

// The answers to a failure.
const (
	FailPark Failure = iota // set aside with its error; its key waits for an operator
	FailSkip                // recorded and left out; its key goes on
	FailHalt                // the whole projection stops
)

func (f Failure) String() string {
	switch f {
	case FailPark:
		return "park"
	case FailSkip:
		return "skip"
	case FailHalt:
		return "halt"
	default:
		return fmt.Sprintf("Failure(%d)", uint8(f))
	}
}

// Change says what becomes of a model whose definition reads other events, or whose state
// has another shape, than what is stored.
type Change uint8

// The answers to a change.
const (
	ChangeRebuild Change = iota // build it again beside the old one, then switch
	ChangeHalt                  // stop until somebody decides
)

func (c Change) String() string {
	switch c {
	case ChangeRebuild:
		return "rebuild"
	case ChangeHalt:
		return "halt"
	default:
		return fmt.Sprintf("Change(%d)", uint8(c))
	}
}

// Retry is the schedule of the attempts at one event. The first ones follow each other in
// the worker's hand; then the event is set aside with a due time.
type Retry struct {
	Attempts int           // in all, with the first; at least 1
	Initial  time.Duration // from the last attempt in hand to the first due time
	Max      time.Duration // longest time to the next attempt
	Factor   float64       // by which the time grows
}

// DefaultRetry is 3 attempts in hand (at once, after 0.2 s, after 0.8 s), then 7 more, the
// first after 5 s, each after 3 times as long as the one before, at most 1 h.
var DefaultRetry = Retry{Attempts: 10, Initial: 5 * time.Second, Max: time.Hour, Factor: 3}

// inHand are the pauses before the second and the third attempt.
var inHand = [...]time.Duration{200 * time.Millisecond, 800 * time.Millisecond}

// Next says how an event goes on that has failed so many times: after which pause it is
// tried again, and whether the worker keeps it in hand meanwhile. more is false when its
// attempts are used up.
func (r Retry) Next(failed int) (pause time.Duration, hold, more bool) {
	switch {
	case failed >= r.Attempts:
		return 0, false, false
	case failed <= 0:
		return 0, true, true
	case failed <= len(inHand):
		return min(inHand[failed-1], r.Max), true, true
	}
	pause = min(r.Initial, r.Max)
	for range failed - len(inHand) - 1 {
		if pause >= r.Max {
			break
		}
		pause = min(time.Duration(min(float64(pause)*r.Factor, float64(r.Max))), r.Max)
	}
	return pause, false, true
}
