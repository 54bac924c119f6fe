package fuse

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// lock is the handle of a LOCK file. Its fields are protected by FS.locksMu.
type lock struct {
	fs    *FS
	inner io.Closer // nil when released
}

// Lock implements vfs.FS and keeps the handle for Abandon. Its errors do not blow
// the fuse: another holder of the lock is no failure of the disk. Through a blown
// FS nothing can be locked.
func (f *FS) Lock(name string) (io.Closer, error) {
	if err := f.Err(); err != nil {
		return nil, err
	}
	inner, err := f.inner.Lock(name)
	if err != nil {
		return nil, err
	}
	f.dirs.guard(f.inner, f.inner.PathDir(name))
	f.locksMu.Lock()
	defer f.locksMu.Unlock()
	if f.abandoned {
		return nil, errors.Join(f.Err(), inner.Close())
	}
	l := &lock{fs: f, inner: inner}
	f.locks[l] = struct{}{}
	return l, nil
}

// Close releases the lock. After the fuse has blown it returns the cause and
// releases nothing: a call may still be writing, which only Abandon waits for.
func (l *lock) Close() error {
	f := l.fs
	f.locksMu.Lock()
	defer f.locksMu.Unlock()
	if l.inner == nil {
		return nil
	}
	if err := f.Err(); err != nil {
		return err
	}
	return l.release()
}

// release closes the inner handle once. It wants FS.locksMu.
func (l *lock) release() error {
	inner := l.inner
	l.inner = nil
	delete(l.fs.locks, l)
	return inner.Close()
}

// Abandon gives up a store whose fuse has blown: it waits until the write-side
// calls that are inside the file system have ended, then releases the LOCK, so
// that the directory can be opened again through a new FS, in this process too.
// The pebble.DB stays behind and must not be used or closed any more; reads of it
// may fail, since the next store removes files.
//
// When ctx ends first, Abandon returns an error that matches ErrBusy and the cause
// of ctx. The directory then stays locked, for a call that is still running could
// write into the files of the next store; Abandon may be called again. If the fuse
// has not blown it returns ErrIntact. After it has succeeded it returns nil.
func (f *FS) Abandon(ctx context.Context) error {
	if f.cause.Load() == nil {
		return ErrIntact
	}
	for f.inflight.Load() > 0 {
		select {
		case <-f.drained:
		case <-ctx.Done():
			return fmt.Errorf("%w (%d); the directory stays locked: abandon it again later, or end the process: %w",
				ErrBusy, f.inflight.Load(), context.Cause(ctx))
		}
	}
	f.wake() // another Abandon may be waiting for the token that this one took

	f.locksMu.Lock()
	defer f.locksMu.Unlock()
	f.abandoned = true
	var errs []error
	for l := range f.locks {
		if err := l.release(); err != nil {
			errs = append(errs, fmt.Errorf("fuse: release the lock of the directory: %w", err))
		}
	}
	return errors.Join(errs...)
}
