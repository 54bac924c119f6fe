package store

import (
	"errors"
	"fmt"
	"time"

	"github.com/riffle-go/riffle/event"
)

// The sentinels to branch on with errors.Is. Where there are facts to tell, the error is
// one of the typed errors below, which match their sentinel.
var (
	// ErrInvalid: the input is wrong; nothing was written. See [InvalidError].
	ErrInvalid = event.ErrInvalid
	// ErrConflict: a stream is not at the expected version. See [ConflictError].
	ErrConflict = errors.New("store: conflict")
	// ErrIDReused: an event id of the append is stored already, with another event or in
	// another stream. See [IDReusedError].
	ErrIDReused = errors.New("store: event id reused")
	// ErrNotFound: there is no such event, snapshot, state or record.
	ErrNotFound = errors.New("store: not found")
	// ErrClosed: the store is closed, or closing.
	ErrClosed = errors.New("store: closed")
	// ErrFailed: the store met a failure of its disk, or damage, and stopped writing. From Append
	// it means that the outcome is unknown: reopen and append again with the same event ids.
	// Where the error matches ErrCorrupt too, restore a backup first. See [FailedError].
	ErrFailed = errors.New("store: failed, reopen it to go on writing")
	// ErrDiskFull: free disk space is below the threshold; nothing was written. Appends work
	// again as soon as there is space; no restart is needed.
	ErrDiskFull = errors.New("store: disk full, free some space")
	// ErrUnknown: the driver cannot tell whether a write happened (a lost connection). Store
	// finds out before it answers; users see it only when that fails too.
	ErrUnknown = errors.New("store: outcome unknown")
	// ErrLocked: another process, or another Open in this one, holds the store's directory.
	ErrLocked = errors.New("store: locked")
	// ErrIncompatible: the store, or something in it, was written by another version.
	ErrIncompatible = errors.New("store: incompatible")
	// ErrCorrupt: stored bytes are damaged. See [CorruptError].
	ErrCorrupt = errors.New("store: corrupt")
	// ErrHeld: another worker holds the lease. See [HeldError].
	ErrHeld = errors.New("store: lease held by another worker")
	// ErrLeaseLost: the lease's term or the checkpoint it started from is no longer so. Nothing
	// was written; the worker must stop and claim again.
	ErrLeaseLost = errors.New("store: lease lost")
	// ErrHistory: a cursor or a checkpoint belongs to another store, or to the time before a
	// restored backup.
	ErrHistory = errors.New("store: another history")
	// ErrUnsupported: the driver cannot do this.
	ErrUnsupported = errors.New("store: not supported by this driver")
	// ErrGuard: a record is not at the revision that a write expected. See [GuardError].
	ErrGuard = errors.New("store: record changed")
)

// InvalidError says which input is wrong and why. It matches [ErrInvalid].
type InvalidError = event.InvalidError

// ConflictError says what an append expected and what the stream has. It matches
// [ErrConflict].
type ConflictError struct {
	Stream event.Stream
	Expect Expect
	Actual uint64 // the stream's version; 0 when it has no events
	Batch  int    // index of the batch in the append
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("store: conflict on %s: expected %s, it is at version %d; load it again and decide anew", e.Stream, e.Expect, e.Actual)
}

// ErrorType is the error.type attribute of telemetry.
func (*ConflictError) ErrorType() string { return "conflict" }

// Is matches ErrConflict.
func (*ConflictError) Is(target error) bool { return target == ErrConflict }

// IDReusedError names an event id that is stored already. It matches [ErrIDReused].
type IDReusedError struct {
	ID       event.ID
	Position event.Position // of the event that has it
}

func (e *IDReusedError) Error() string {
	return fmt.Sprintf("store: event id %s is stored already at position %d, with another append; a retry must repeat the append unchanged, a new one needs new ids", e.ID, e.Position)
}

// ErrorType is the error.type attribute of telemetry.
func (*IDReusedError) ErrorType() string { return "id_reused" }

// Is matches ErrIDReused.
func (*IDReusedError) Is(target error) bool { return target == ErrIDReused }

// DuplicateError is how a driver answers an append that says Once when an id of it is
// kept already. Users never see it: Store finds out whether the append is a retry.
type DuplicateError struct {
	// Positions has an entry for every event of every Appending with Once, in order; 0 where
	// the id is new.
	Positions []event.Position
}

func (*DuplicateError) Error() string { return "store: an event id of the append is kept already" }

// HeldError says who holds a lease. It matches [ErrHeld].
type HeldError struct {
	Worker event.ID
	Until  time.Time
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("store: lease held by worker %s until %s unless it renews; wait for it, or take over", e.Worker, e.Until.UTC().Format(time.RFC3339Nano))
}

// ErrorType is the error.type attribute of telemetry.
func (*HeldError) ErrorType() string { return "held" }

// Is matches ErrHeld.
func (*HeldError) Is(target error) bool { return target == ErrHeld }

// GuardError names the record that was not at its expected revision. It matches
// [ErrGuard].
type GuardError struct {
	Key      string
	Expected uint64
	Actual   uint64 // 0 when there is no such record
}

func (e *GuardError) Error() string {
	return fmt.Sprintf("store: record %q is at revision %d, expected %d", e.Key, e.Actual, e.Expected)
}

// ErrorType is the error.type attribute of telemetry.
func (*GuardError) ErrorType() string { return "guard" }

// Is matches ErrGuard.
func (*GuardError) Is(target error) bool { return target == ErrGuard }

// CorruptError says where stored bytes are damaged. It matches [ErrCorrupt].
type CorruptError struct {
	What string // the kind of thing: "event", "block", "record"
	Key  string // where, readable
	Err  error
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("store: corrupt %s at %s: %v; restore a backup or run Verify for the whole damage", e.What, e.Key, e.Err)
}

// ErrorType is the error.type attribute of telemetry.
func (*CorruptError) ErrorType() string { return "corrupt" }

// Is matches ErrCorrupt.
func (*CorruptError) Is(target error) bool { return target == ErrCorrupt }

func (e *CorruptError) Unwrap() error { return e.Err }

// FailedError carries the cause of a failed store. It matches [ErrFailed], and [ErrCorrupt] when
// the cause is damage: then opening the store again helps until the damage is met again.
type FailedError struct{ Cause error }

func (e *FailedError) Error() string {
	if errors.Is(e.Cause, ErrCorrupt) {
		return fmt.Sprintf("store: failed, and opened again it meets the same damage: %v", e.Cause)
	}
	return fmt.Sprintf("%v: %v", ErrFailed, e.Cause)
}

// ErrorType is the error.type attribute of telemetry: "corrupt" when the cause is damage,
// else "failed".
func (e *FailedError) ErrorType() string {
	if errors.Is(e.Cause, ErrCorrupt) {
		return "corrupt"
	}
	return "failed"
}

// Is matches ErrFailed.
func (*FailedError) Is(target error) bool { return target == ErrFailed }

func (e *FailedError) Unwrap() error { return e.Cause }
