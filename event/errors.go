package event

import (
	"errors"
	"fmt"
)

// ErrInvalid is what every [InvalidError] is: input that was refused before it
// changed anything.
var ErrInvalid = errors.New("riffle: invalid input")

// InvalidError says which input was refused and why. It is [ErrInvalid] to
// errors.Is.
type InvalidError struct {
	Field  string // what was wrong, for example "Stream.ID"
	Reason string // why, and what would be right
}

// Error names the field and the reason. All packages return this error, so its text begins
// with the name of the library.
func (e *InvalidError) Error() string {
	return "riffle: invalid " + e.Field + ": " + e.Reason
}

// ErrorType is "invalid", a label of low cardinality for telemetry.
func (e *InvalidError) ErrorType() string { return "invalid" }

// Is reports whether target is [ErrInvalid].
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// DecodeError says that an event could not become the payload that was asked for:
// damaged data, another type, a schema version that the code does not know, or an
// upcaster that failed. Trying again with the same code gives the same error.
type DecodeError struct {
	Event Event // the event as it is stored; Data shares memory with the caller's
	Err   error // the reason
}

// Error names the event by its type, stream, version and position, never by its data.
func (e *DecodeError) Error() string {
	ev := &e.Event
	return fmt.Sprintf("event: decode %s schema %d (stream %q version %d, position %d): %v",
		ev.StoredType(), ev.schemaVersion(), ev.Stream, ev.Version, ev.Position, e.Err)
}

// ErrorType is "decode", a label of low cardinality for telemetry.
func (e *DecodeError) ErrorType() string { return "decode" }

// Unwrap returns the reason.
func (e *DecodeError) Unwrap() error { return e.Err }
