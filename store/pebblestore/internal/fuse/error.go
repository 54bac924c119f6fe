package fuse

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

var (
	// ErrBlown matches every error that a blown FS reports: errors.Is(err, ErrBlown).
	ErrBlown = errors.New("fuse: the store has failed")

	// ErrBusy is returned by FS.Abandon when calls were still running at the end
	// of its context.
	ErrBusy = errors.New("fuse: calls to the file system are still running")

	// ErrIntact is returned by FS.Abandon when nothing has failed.
	ErrIntact = errors.New("fuse: the store has not failed; close it instead")
)

// Op names the operation that blew a fuse. The values are few and fixed, so
// they can label a metric.
type Op string

// The write-side operations, and OpTrip for FS.Trip.
const (
	OpCreate        Op = "create"
	OpLink          Op = "link"
	OpRemove        Op = "remove"
	OpRemoveAll     Op = "remove_all"
	OpRename        Op = "rename"
	OpReuseForWrite Op = "reuse_for_write"
	OpMkdirAll      Op = "mkdir_all"
	OpOpenReadWrite Op = "open_read_write"
	OpOpenDir       Op = "open_dir"
	OpWrite         Op = "write"
	OpWriteAt       Op = "write_at"
	OpPreallocate   Op = "preallocate"
	OpSync          Op = "sync"
	OpSyncData      Op = "sync_data"
	OpSyncTo        Op = "sync_to"
	OpClose         Op = "close"
	OpTrip          Op = "trip"
)

// Error is the first failure of a blown FS.
type Error struct {
	// Op is the operation that failed.
	Op Op
	// Path is the file or directory it failed on, the new one if there are two;
	// empty for OpTrip.
	Path string
	// Err is the cause, as the file system or the caller of Trip gave it.
	Err error

	_ struct{}
}

// Error tells what failed and what to do.
func (e *Error) Error() string {
	what := string(e.Op)
	if e.Path != "" {
		what += " " + e.Path
	}
	switch {
	case IsNoSpace(e.Err):
		return fmt.Sprintf("fuse: %s: %v; free some space, then close the store and open it again", what, e.Err)
	case pebble.IsCorruptionError(e.Err): // opening it again leads back to the damage
		return fmt.Sprintf("fuse: %s: %v; check the store and restore a backup", what, e.Err)
	}
	return fmt.Sprintf("fuse: %s: %v; close the store and open it again", what, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is ErrBlown.
func (e *Error) Is(target error) bool { return target == ErrBlown }

// ErrorType classifies the failure for telemetry: "disk_full", "corrupt", or
// "disk_" followed by the Op.
func (e *Error) ErrorType() string {
	switch {
	case IsNoSpace(e.Err):
		return "disk_full"
	case pebble.IsCorruptionError(e.Err):
		return "corrupt"
	}
	return "disk_" + string(e.Op)
}

// IsNoSpace reports whether err says that the disk, or the quota of the user on
// it, is full.
func IsNoSpace(err error) bool {
	return vfs.IsNoSpaceError(err) || errors.Is(err, syscall.EDQUOT)
}

// tolerated reports whether Pebble makes op knowing that it may fail with err,
// and stays correct when it does.
func tolerated(op Op, err error) bool {
	switch op {
	case OpRemove, OpRemoveAll:
		// Pebble removes obsolete files without knowing whether an earlier process
		// got that far, and what it wants is that the file be gone. Any other
		// failure would only leave garbage behind, but a directory that suddenly
		// refuses a removal has usually become read-only after a disk error.
		return errors.Is(err, fs.ErrNotExist)
	case OpPreallocate:
		// Preallocation is a hint whose result Pebble ignores. Many file systems
		// lack it (some say EINVAL), and it may be interrupted by a signal, which
		// the Go runtime sends all the time. It is not retried: the next write
		// allocates what it needs. A full or failing disk is not excused.
		return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, vfs.ErrUnsupported) ||
			errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EINTR)
	default:
		return false
	}
}
