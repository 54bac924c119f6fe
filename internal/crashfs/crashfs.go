// Package crashfs is the disk of crash tests: Pebble's file system in memory, of which a
// copy can be taken at any moment as if the power had failed. Tests alone import it.
package crashfs

import (
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FS is a *vfs.MemFS whose CrashClone may be called while others write. In Pebble v2.1.7 the
// two can block each other for ever: Link, Lock and ReuseForWrite of MemFS take its
// read lock twice, and a CrashClone that waits in between lets nobody in
// (https://github.com/cockroachdb/pebble/pull/5993). The type can go when a release of Pebble
// has that fix.
type FS struct {
	*vfs.MemFS
	clones sync.RWMutex // held for reading by the three, for writing by CrashClone
}

// New returns an empty disk.
func New() *FS { return &FS{MemFS: vfs.NewCrashableMem()} }

// CrashClone returns what a crash at this moment leaves; see [vfs.MemFS.CrashClone].
func (f *FS) CrashClone(cfg vfs.CrashCloneCfg) *FS {
	f.clones.Lock()
	defer f.clones.Unlock()
	return &FS{MemFS: f.MemFS.CrashClone(cfg)}
}

// Link implements vfs.FS.
func (f *FS) Link(oldname, newname string) error {
	f.clones.RLock()
	defer f.clones.RUnlock()
	return f.MemFS.Link(oldname, newname)
}

// Lock implements vfs.FS.
func (f *FS) Lock(name string) (io.Closer, error) {
	f.clones.RLock()
	defer f.clones.RUnlock()
	return f.MemFS.Lock(name)
}

// ReuseForWrite implements vfs.FS.
func (f *FS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f.clones.RLock()
	defer f.clones.RUnlock()
	return f.MemFS.ReuseForWrite(oldname, newname, category)
}
