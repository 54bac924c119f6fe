package fuse

import (
	"errors"
	"path"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// errDisk is what the injected faults return.
var errDisk = errors.New("disk on fire")

// deadline bounds every wait of these tests; none comes near it unless the code
// under test hangs.
const deadline = 30 * time.Second

// fault makes one operation fail, once. The zero value matches nothing.
type fault struct {
	match func(errorfs.Op) bool
	err   error
	skip  atomic.Int64 // matching operations to let through first
	on    atomic.Bool
	fired atomic.Bool
}

func newFault(match func(errorfs.Op) bool, err error) *fault {
	return &fault{match: match, err: err}
}

func (f *fault) String() string { return "one fault" }

// MaybeError implements errorfs.Injector.
func (f *fault) MaybeError(op errorfs.Op) error {
	if !f.on.Load() || f.match == nil || !f.match(op) || f.skip.Add(-1) >= 0 || !f.fired.CompareAndSwap(false, true) {
		return nil
	}
	return f.err
}

// faulty returns fs with f injected. It fills two holes in errorfs, which injects
// nothing into Close, and nothing at all into the files of ReuseForWrite: recycled
// WALs, which after a while means every WAL.
func faulty(fs vfs.FS, f errorfs.Injector) *faultyFS {
	return &faultyFS{FS: errorfs.Wrap(fs, f), inj: f}
}

type faultyFS struct {
	vfs.FS
	inj   errorfs.Injector
	reads bool // fail the Close of files opened for reading, too
}

func (x *faultyFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := x.FS.Create(name, category)
	if err != nil {
		return nil, err
	}
	return &faultyFile{f, name, x.inj}, nil
}

func (x *faultyFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := x.FS.Open(name, opts...)
	if err != nil || !x.reads {
		return f, err
	}
	return &faultyFile{f, name, x.inj}, nil
}

func (x *faultyFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := x.FS.OpenReadWrite(name, category, opts...)
	if err != nil {
		return nil, err
	}
	return &faultyFile{f, name, x.inj}, nil
}

func (x *faultyFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := x.FS.ReuseForWrite(oldname, newname, category)
	if err != nil {
		return nil, err
	}
	return &faultyReused{faultyFile{f, newname, x.inj}}, nil
}

// faultyFile adds faults to Close.
type faultyFile struct {
	vfs.File
	name string
	inj  errorfs.Injector
}

func (f *faultyFile) fault(kind errorfs.OpKind) error {
	return f.inj.MaybeError(errorfs.Op{Kind: kind, Path: f.name})
}

func (f *faultyFile) Close() error {
	return errors.Join(f.fault(errorfs.OpFileClose), f.File.Close())
}

// faultyReused adds faults to what Pebble does with a recycled WAL.
type faultyReused struct{ faultyFile }

func (f *faultyReused) Write(p []byte) (int, error) {
	if err := f.fault(errorfs.OpFileWrite); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

func (f *faultyReused) Preallocate(offset, length int64) error {
	if err := f.fault(errorfs.OpFilePreallocate); err != nil {
		return err
	}
	return f.File.Preallocate(offset, length)
}

func (f *faultyReused) SyncData() error {
	if err := f.fault(errorfs.OpFileSyncData); err != nil {
		return err
	}
	return f.File.SyncData()
}

// on matches operations of any of the kinds on files whose base name has the
// prefix or the suffix what.
func on(what string, kinds ...errorfs.OpKind) func(errorfs.Op) bool {
	return func(op errorfs.Op) bool {
		base := path.Base(op.Path)
		for _, kind := range kinds {
			if op.Kind == kind {
				return strings.HasPrefix(base, what) || strings.HasSuffix(base, what)
			}
		}
		return false
	}
}

// eventually waits until cond holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	timeout := time.After(deadline)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("timed out: %s", what)
		}
	}
}

// receive waits for ch.
func receive[T any](t *testing.T, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(deadline):
		t.Fatalf("timed out: %s", what)
		panic("unreachable")
	}
}

// mustPark runs call, which must park in fs and not return.
func mustPark(t *testing.T, fs *FS, what string, call func()) {
	t.Helper()
	before := fs.Parked()
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		call()
	}()
	eventually(t, what+" parks", func() bool {
		select {
		case <-returned:
			t.Fatalf("%s returned, want it to block for ever", what)
		default:
		}
		return fs.Parked() > before
	})
}
