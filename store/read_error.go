package store

import "fmt"

// ReadError says what could not be read when the disk, not the data, is the reason: Err is
// the disk's error. It is that of one call; the store goes on, and the same call may
// succeed when it is repeated. Damage that was read is a [*CorruptError] instead. There is no
// sentinel for it: use errors.AsType, or errors.Is with the cause.
type ReadError struct {
	What string // the kind of thing: "event", "index", "record"
	Key  string // where, readable: a position, a stream, the quoted key of a record
	Err  error
}

func (e *ReadError) Error() string {
	return fmt.Sprintf("store: cannot read %s at %s: %v; only this call failed: repeat it, and check the disk if it fails again", e.What, e.Key, e.Err)
}

// ErrorType is the error.type attribute of telemetry.
func (*ReadError) ErrorType() string { return "read" }

func (e *ReadError) Unwrap() error { return e.Err }
