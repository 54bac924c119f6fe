package fuse

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Space watches the free space of a disk, so that a store can refuse writes while
// it still has room to finish the ones it took. Unlike a blown fuse it heals by
// itself when space comes back. Its methods may be called concurrently.
type Space struct {
	fs        vfs.FS
	dir       string
	threshold uint64
	last      atomic.Pointer[reading]
}

// reading is what the last polls found out.
type reading struct {
	avail uint64
	known bool  // avail has been read at least once
	err   error // why the last poll could not read it
}

// NewSpace returns a watch over the disk that holds dir, which is low when fewer
// than threshold bytes are available to this process; with a threshold of 0 it
// never is. It polls once.
func NewSpace(fs vfs.FS, dir string, threshold uint64) *Space {
	s := &Space{fs: fs, dir: dir, threshold: threshold}
	s.last.Store(&reading{})
	s.Poll()
	return s
}

// Low reports whether space was low at the last poll that could tell. On a file
// system that cannot tell it is false. It costs one atomic load.
func (s *Space) Low() bool {
	last := s.last.Load()
	return last.known && last.avail < s.threshold
}

// Available returns the bytes that were available to this process at the last poll
// that could tell, and false if none could. Space reserved for the superuser is
// not counted.
func (s *Space) Available() (bytes uint64, known bool) {
	last := s.last.Load()
	return last.avail, last.known
}

// Err returns why the last poll failed, or nil. A file system that cannot tell its
// free space is no error.
func (s *Space) Err() error { return s.last.Load().err }

// Poll reads the free space now. When that fails, the last answer stands and Err
// tells why.
func (s *Space) Poll() {
	usage, err := s.fs.GetDiskUsage(s.dir)
	switch {
	case err == nil:
		s.last.Store(&reading{avail: usage.AvailBytes, known: true})
	case errors.Is(err, vfs.ErrUnsupported) || errors.Is(err, errors.ErrUnsupported):
		s.last.Store(&reading{})
	default:
		last := s.last.Load()
		s.last.Store(&reading{avail: last.avail, known: last.known, err: err})
	}
}

// Run polls every interval, which must be positive, until ctx ends. A poll that
// hangs on a dead disk delays the return.
func (s *Space) Run(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.Poll()
		}
	}
}
