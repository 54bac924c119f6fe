package fuse

import (
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// file is a file or directory opened through an FS. Like the methods of FS its
// methods are written out, so that none is added unseen.
type file struct {
	fs    *FS
	inner vfs.File
	path  string
	// exempt is decided when the file is opened: releasing the exemption does not
	// change it.
	exempt bool
	// written says that the file was opened for writing, so that its Close may be
	// the call that reports a failed write.
	written bool
}

var _ vfs.File = (*file)(nil)

// Write implements vfs.File. It is write-side.
func (x *file) Write(p []byte) (int, error) {
	if err := x.fs.begin(x.exempt); err != nil {
		return 0, err
	}
	n, err := x.inner.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite // Pebble's log writer does not look at n
	}
	return n, x.fs.end(OpWrite, x.path, x.exempt, err)
}

// WriteAt implements vfs.File. It is write-side.
func (x *file) WriteAt(p []byte, off int64) (int, error) {
	if err := x.fs.begin(x.exempt); err != nil {
		return 0, err
	}
	n, err := x.inner.WriteAt(p, off)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, x.fs.end(OpWriteAt, x.path, x.exempt, err)
}

// Preallocate implements vfs.File. It is write-side; that the file system cannot
// do it is returned and is no failure.
func (x *file) Preallocate(offset, length int64) error {
	if err := x.fs.begin(x.exempt); err != nil {
		return err
	}
	return x.fs.end(OpPreallocate, x.path, x.exempt, x.inner.Preallocate(offset, length))
}

// Sync implements vfs.File. It is write-side.
func (x *file) Sync() error {
	if err := x.fs.begin(x.exempt); err != nil {
		return err
	}
	return x.fs.end(OpSync, x.path, x.exempt, x.inner.Sync())
}

// SyncData implements vfs.File. It is write-side.
func (x *file) SyncData() error {
	if err := x.fs.begin(x.exempt); err != nil {
		return err
	}
	return x.fs.end(OpSyncData, x.path, x.exempt, x.inner.SyncData())
}

// SyncTo implements vfs.File. It is write-side.
func (x *file) SyncTo(length int64) (fullSync bool, err error) {
	if err := x.fs.begin(x.exempt); err != nil {
		return false, err
	}
	fullSync, err = x.inner.SyncTo(length)
	return fullSync, x.fs.end(OpSyncTo, x.path, x.exempt, err)
}

// Close implements vfs.File. It is write-side if the file was opened for
// writing. An exempt file is closed in any state, or it would leak.
func (x *file) Close() error {
	if !x.written || x.exempt {
		return x.inner.Close()
	}
	if err := x.fs.begin(false); err != nil {
		return err
	}
	return x.fs.end(OpClose, x.path, false, x.inner.Close())
}

// Read implements vfs.File. It is read-side.
func (x *file) Read(p []byte) (int, error) { return x.inner.Read(p) }

// ReadAt implements vfs.File. It is read-side.
func (x *file) ReadAt(p []byte, off int64) (int, error) { return x.inner.ReadAt(p, off) }

// Stat implements vfs.File. It is read-side.
func (x *file) Stat() (vfs.FileInfo, error) { return x.inner.Stat() }

// Prefetch implements vfs.File. It is read-side.
func (x *file) Prefetch(offset, length int64) error { return x.inner.Prefetch(offset, length) }

// Fd implements vfs.File: the descriptor of the inner file, or vfs.InvalidFd.
// Pebble uses it for hints to the kernel only, and to tell whether there is a
// kernel to give hints to.
func (x *file) Fd() uintptr { return x.inner.Fd() }
