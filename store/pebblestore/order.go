package pebblestore

import (
	"errors"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// orderedFS makes the entries of a directory durable before a marker appears in it or
// goes. Pebble creates a MANIFEST, then the marker file whose name points to it, removes the
// old marker, and syncs the directory after that. A file system that does not keep the
// order of directory entries over a crash could keep the marker without the MANIFEST, or
// no marker at all: a store that does not open, or that looks like none.
type orderedFS struct{ vfs.FS }

// markerPrefix begins the names of Pebble's marker files.
const markerPrefix = "marker."

// Create implements vfs.FS.
func (f orderedFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.settle(name); err != nil {
		return nil, err
	}
	return f.FS.Create(name, category)
}

// Remove implements vfs.FS.
func (f orderedFS) Remove(name string) error {
	if err := f.settle(name); err != nil {
		return err
	}
	return f.FS.Remove(name)
}

// settle syncs the directory of a marker.
func (f orderedFS) settle(name string) error {
	if !strings.HasPrefix(f.PathBase(name), markerPrefix) {
		return nil
	}
	dir, err := f.OpenDir(f.PathDir(name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Unwrap implements vfs.FS.
func (f orderedFS) Unwrap() vfs.FS { return f.FS }
