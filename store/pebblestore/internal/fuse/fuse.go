package fuse

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FS is a vfs.FS that blocks all writing after the first failure. Its methods
// may be called concurrently. An FS serves one opening of one store: it cannot
// be reset.
type FS struct {
	inner vfs.FS

	armed  atomic.Bool
	cause  atomic.Pointer[Error] // nil until blown
	failed chan struct{}         // closed once cause is set

	// inflight counts the write-side calls inside inner. A call is counted before
	// it looks at cause, so once cause is set and inflight has been seen at zero,
	// no call can get through any more.
	inflight atomic.Int64
	// drained holds a token after inflight has reached zero with cause set.
	drained chan struct{}
	parked  atomic.Int64

	locksMu   sync.Mutex
	locks     map[*lock]struct{}
	abandoned bool

	dirs dirs
}

var _ vfs.FS = (*FS)(nil)

// Wrap returns an FS in front of inner. It passes errors on until Arm is called.
func Wrap(inner vfs.FS) *FS {
	return &FS{
		inner:   inner,
		failed:  make(chan struct{}),
		drained: make(chan struct{}, 1),
		locks:   make(map[*lock]struct{}),
	}
}

// Arm makes failures blow the fuse from now on. Call it when pebble.Open has
// returned without an error.
func (f *FS) Arm() { f.armed.Store(true) }

// Failed returns a channel that is closed when the fuse blows.
func (f *FS) Failed() <-chan struct{} { return f.failed }

// Err returns the failure that blew the fuse, an *Error, or nil. It is not nil
// once Failed is closed.
func (f *FS) Err() error {
	if cause := f.cause.Load(); cause != nil {
		return cause
	}
	return nil
}

// Trip blows the fuse for a reason the file system does not know of: a message
// to Logger.Fatalf, corrupt data, a background error, a panic. It works before
// Arm too, and does nothing if the fuse has blown already. Trip returns; a
// caller that must not go on calls Block next.
func (f *FS) Trip(err error) {
	if err == nil {
		err = errors.New("no reason given")
	}
	cause, ok := errors.AsType[*Error](err)
	if !ok {
		cause = &Error{Op: OpTrip, Err: err}
	}
	f.blow(cause)
}

// Block never returns. It is for code that Pebble expects to end the process,
// such as Logger.Fatalf: were that to return, Pebble would go on as if nothing
// had happened.
func (f *FS) Block() { f.park() }

// Parked returns how many goroutines this FS has blocked for ever.
func (f *FS) Parked() int { return int(f.parked.Load()) }

// blow records the first cause and tells those who wait for Failed.
func (f *FS) blow(cause *Error) {
	if f.cause.CompareAndSwap(nil, cause) {
		close(f.failed)
	}
}

func (f *FS) park() {
	f.parked.Add(1)
	select {}
}

// begin opens a write-side call. It blocks for ever if the fuse has blown,
// unless the call is exempt: then it returns the cause. When begin returns nil,
// end must follow.
func (f *FS) begin(exempt bool) error {
	if exempt {
		return f.Err()
	}
	f.inflight.Add(1)
	if f.cause.Load() != nil {
		f.leave()
		f.park()
	}
	return nil
}

// end closes a write-side call that ended with err. It returns err if Pebble may
// have it, and blocks for ever if the fuse has blown, by this call or another.
func (f *FS) end(op Op, path string, exempt bool, err error) error {
	if exempt {
		return err
	}
	if err != nil && f.armed.Load() && !tolerated(op, err) {
		f.blow(&Error{Op: op, Path: path, Err: err})
	}
	// A success that arrives after the failure of another call is withheld as
	// well: to Pebble, the disk has stopped as a whole.
	blown := f.cause.Load() != nil
	f.leave()
	if blown {
		f.park()
	}
	return err
}

// leave ends the time of a call inside inner and wakes Abandon after the last.
func (f *FS) leave() {
	if f.inflight.Add(-1) == 0 && f.cause.Load() != nil {
		f.wake()
	}
}

// wake puts a token into drained.
func (f *FS) wake() {
	select {
	case f.drained <- struct{}{}:
	default: // it is there already
	}
}
