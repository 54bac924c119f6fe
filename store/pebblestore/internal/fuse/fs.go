package fuse

import (
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// The methods of vfs.FS are written out rather than embedded, so that a method
// that a later Pebble adds cannot bypass the fuse unseen.

// Create implements vfs.FS. It is write-side, like all calls on the file.
func (f *FS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	exempt := f.dirs.exempt(f.inner, name)
	if err := f.begin(exempt); err != nil {
		return nil, err
	}
	inner, err := f.inner.Create(name, category)
	if err := f.end(OpCreate, name, exempt, err); err != nil {
		return nil, err
	}
	return &file{fs: f, inner: inner, path: name, exempt: exempt, written: true}, nil
}

// Link implements vfs.FS. It is write-side, and exempt if newname is.
func (f *FS) Link(oldname, newname string) error {
	exempt := f.dirs.exempt(f.inner, newname)
	if err := f.begin(exempt); err != nil {
		return err
	}
	return f.end(OpLink, newname, exempt, f.inner.Link(oldname, newname))
}

// Open implements vfs.FS. It is read-side; calls on the file that write are not.
func (f *FS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	inner, err := f.inner.Open(name, opts...)
	if err != nil {
		return nil, err
	}
	return &file{fs: f, inner: inner, path: name, exempt: f.dirs.exempt(f.inner, name)}, nil
}

// OpenReadWrite implements vfs.FS. It is write-side, like all calls on the file.
func (f *FS) OpenReadWrite(
	name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption,
) (vfs.File, error) {
	exempt := f.dirs.exempt(f.inner, name)
	if err := f.begin(exempt); err != nil {
		return nil, err
	}
	inner, err := f.inner.OpenReadWrite(name, category, opts...)
	if err := f.end(OpOpenReadWrite, name, exempt, err); err != nil {
		return nil, err
	}
	return &file{fs: f, inner: inner, path: name, exempt: exempt, written: true}, nil
}

// OpenDir implements vfs.FS. It is write-side: directories are opened to be
// synced. Above an exempt directory it is exempt as well, since Pebble syncs the
// parents of a directory it creates.
func (f *FS) OpenDir(name string) (vfs.File, error) {
	exempt := f.dirs.exempt(f.inner, name) || f.dirs.aboveExempt(f.inner, name)
	if err := f.begin(exempt); err != nil {
		return nil, err
	}
	inner, err := f.inner.OpenDir(name)
	if err := f.end(OpOpenDir, name, exempt, err); err != nil {
		return nil, err
	}
	return &file{fs: f, inner: inner, path: name, exempt: exempt}, nil
}

// Remove implements vfs.FS. It is write-side; that name does not exist is
// returned and is no failure.
func (f *FS) Remove(name string) error {
	exempt := f.dirs.exempt(f.inner, name)
	if err := f.begin(exempt); err != nil {
		return err
	}
	return f.end(OpRemove, name, exempt, f.inner.Remove(name))
}

// RemoveAll implements vfs.FS. It is write-side; that name does not exist is
// returned and is no failure.
func (f *FS) RemoveAll(name string) error {
	exempt := f.dirs.exempt(f.inner, name)
	if err := f.begin(exempt); err != nil {
		return err
	}
	return f.end(OpRemoveAll, name, exempt, f.inner.RemoveAll(name))
}

// Rename implements vfs.FS. It is write-side, and exempt if both names are: it
// changes both directories.
func (f *FS) Rename(oldname, newname string) error {
	exempt := f.dirs.exempt(f.inner, oldname) && f.dirs.exempt(f.inner, newname)
	if err := f.begin(exempt); err != nil {
		return err
	}
	return f.end(OpRename, newname, exempt, f.inner.Rename(oldname, newname))
}

// ReuseForWrite implements vfs.FS. It is write-side, and exempt if both names
// are: it changes both directories.
func (f *FS) ReuseForWrite(
	oldname, newname string, category vfs.DiskWriteCategory,
) (vfs.File, error) {
	exempt := f.dirs.exempt(f.inner, oldname) && f.dirs.exempt(f.inner, newname)
	if err := f.begin(exempt); err != nil {
		return nil, err
	}
	inner, err := f.inner.ReuseForWrite(oldname, newname, category)
	if err := f.end(OpReuseForWrite, newname, exempt, err); err != nil {
		return nil, err
	}
	return &file{fs: f, inner: inner, path: newname, exempt: exempt, written: true}, nil
}

// MkdirAll implements vfs.FS. It is write-side.
func (f *FS) MkdirAll(dir string, perm os.FileMode) error {
	exempt := f.dirs.exempt(f.inner, dir)
	if err := f.begin(exempt); err != nil {
		return err
	}
	return f.end(OpMkdirAll, dir, exempt, f.inner.MkdirAll(dir, perm))
}

// List implements vfs.FS. It is read-side.
func (f *FS) List(dir string) ([]string, error) { return f.inner.List(dir) }

// Stat implements vfs.FS. It is read-side.
func (f *FS) Stat(name string) (vfs.FileInfo, error) { return f.inner.Stat(name) }

// GetDiskUsage implements vfs.FS. It is read-side.
func (f *FS) GetDiskUsage(path string) (vfs.DiskUsage, error) { return f.inner.GetDiskUsage(path) }

// PathBase implements vfs.FS.
func (f *FS) PathBase(path string) string { return f.inner.PathBase(path) }

// PathJoin implements vfs.FS.
func (f *FS) PathJoin(elem ...string) string { return f.inner.PathJoin(elem...) }

// PathDir implements vfs.FS.
func (f *FS) PathDir(path string) string { return f.inner.PathDir(path) }

// Unwrap implements vfs.FS. Writing to what it returns bypasses the fuse; Pebble
// itself looks at it only in its own tests.
func (f *FS) Unwrap() vfs.FS { return f.inner }
