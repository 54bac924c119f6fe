package projection

import (
	"errors"
	"time"

	"github.com/riffle-go/riffle/internal/program"
)

// Park returns an error by which a handler says: set this event aside at once, with err as
// the reason; trying again is of no use. Later events of its key wait behind it, until an
// operator retries or skips it.
func Park(err error) error { return &program.Steer{Action: program.Park, Err: err} }

// Skip returns an error by which a handler says: leave this event out for good, with err as
// the recorded reason. The key goes on.
func Skip(err error) error { return &program.Steer{Action: program.Skip, Err: err} }

// RetryAfter returns an error by which a handler says: try this event again after d. Its key
// waits; everything else goes on. The attempt counts like any other.
func RetryAfter(d time.Duration, err error) error {
	return &program.Steer{Action: program.Later, After: d, Err: err}
}

// Halt returns an error by which a handler says: stop the whole projection, before this
// event, until an operator resumes it.
func Halt(err error) error { return &program.Steer{Action: program.Halt, Err: err} }

// Delete returns an error by which a fold says: remove the state of this key. A later event
// of the key begins with an empty one. Further folds of the same event do not run for the
// key. Only folds may return it.
func Delete() error { return &program.Steer{Action: program.Delete} }

func deletes(err error) bool { return steers(err, program.Delete) }

func steers(err error, a program.Action) bool {
	s, ok := errors.AsType[*program.Steer](err)
	return ok && s.Action == a
}
