package fuse

import (
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// dirs knows which directories are exempt from the fuse and which are not. The
// nearest registered directory above a path, or the path itself, decides.
type dirs struct {
	mu sync.RWMutex
	// exempted counts the registrations of a directory.
	exempted map[string]int
	// guarded holds the directories of the store. They stay guarded after the LOCK
	// is gone: the abandoned store must keep off them.
	guarded map[string]struct{}
}

// Exempt registers dir, the destination of a backup, until release is called.
// While it is registered, write-side operations on dir and below, and opening its
// parents for syncing, return their errors and do not blow the fuse; after the
// fuse has blown they return its error at once. Operations on two paths are judged
// by the new one, if they leave the old one unchanged.
//
// Pass the directory itself, spelled as the operations will spell it, rather than
// a directory around it. The store's own directory cannot be exempted, not even
// through a directory around it. Files that were opened in dir stay exempt after
// release. Registering a directory twice takes two releases; calling release twice
// counts once.
func (f *FS) Exempt(dir string) (release func()) {
	dir = clean(f.inner, dir)
	d := &f.dirs
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.exempted == nil {
		d.exempted = make(map[string]int)
	}
	d.exempted[dir]++
	return sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.exempted[dir]--; d.exempted[dir] == 0 {
			delete(d.exempted, dir)
		}
	})
}

// guard marks dir as a directory of the store.
func (d *dirs) guard(fs vfs.FS, dir string) {
	dir = clean(fs, dir)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.guarded == nil {
		d.guarded = make(map[string]struct{})
	}
	d.guarded[dir] = struct{}{}
}

// exempt reports whether path is an exempt directory or lies in one.
func (d *dirs) exempt(fs vfs.FS, path string) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if len(d.exempted) == 0 {
		return false
	}
	for at := clean(fs, path); ; {
		if _, ok := d.guarded[at]; ok {
			return false
		}
		if d.exempted[at] > 0 {
			return true
		}
		up := fs.PathDir(at)
		if up == at {
			return false
		}
		at = up
	}
}

// aboveExempt reports whether path is a parent of an exempt directory and does
// not belong to the store.
func (d *dirs) aboveExempt(fs vfs.FS, path string) bool {
	path = clean(fs, path)
	d.mu.RLock()
	defer d.mu.RUnlock()
	if len(d.exempted) == 0 {
		return false
	}
	for dir := range d.guarded {
		if within(fs, path, dir) {
			return false
		}
	}
	for dir := range d.exempted {
		if within(fs, dir, path) {
			return true
		}
	}
	return false
}

// within reports whether path is dir or lies in it. Both are clean.
func within(fs vfs.FS, path, dir string) bool {
	for path != dir {
		up := fs.PathDir(path)
		if up == path {
			return false
		}
		path = up
	}
	return true
}

// clean gives all spellings of a path that differ in dots and separators only
// the same form.
func clean(fs vfs.FS, path string) string {
	if path == "" {
		return fs.PathDir(path)
	}
	return fs.PathJoin(path)
}
