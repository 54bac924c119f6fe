package fuse

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// call is one write-side call, prepared so that only the call itself meets the
// fault.
type call struct {
	op   Op
	kind errorfs.OpKind
	path string
	make func(t *testing.T, fs *FS) func() error
}

const category = vfs.WriteCategoryUnspecified

// calls has every write-side operation. The directory db holds the files a and b.
var calls = []call{
	{OpCreate, errorfs.OpCreate, "db/new", func(t *testing.T, fs *FS) func() error {
		return func() error { _, err := fs.Create("db/new", category); return err }
	}},
	{OpLink, errorfs.OpLink, "db/new", func(t *testing.T, fs *FS) func() error {
		return func() error { return fs.Link("db/a", "db/new") }
	}},
	{OpRemove, errorfs.OpRemove, "db/a", func(t *testing.T, fs *FS) func() error {
		return func() error { return fs.Remove("db/a") }
	}},
	{OpRemoveAll, errorfs.OpRemoveAll, "db/a", func(t *testing.T, fs *FS) func() error {
		return func() error { return fs.RemoveAll("db/a") }
	}},
	{OpRename, errorfs.OpRename, "db/new", func(t *testing.T, fs *FS) func() error {
		return func() error { return fs.Rename("db/a", "db/new") }
	}},
	{OpReuseForWrite, errorfs.OpReuseForWrite, "db/new", func(t *testing.T, fs *FS) func() error {
		return func() error { _, err := fs.ReuseForWrite("db/a", "db/new", category); return err }
	}},
	{OpMkdirAll, errorfs.OpMkdirAll, "db/new", func(t *testing.T, fs *FS) func() error {
		return func() error { return fs.MkdirAll("db/new", 0o755) }
	}},
	{OpOpenReadWrite, errorfs.OpOpen, "db/a", func(t *testing.T, fs *FS) func() error {
		return func() error { _, err := fs.OpenReadWrite("db/a", category); return err }
	}},
	{OpOpenDir, errorfs.OpOpenDir, "db", func(t *testing.T, fs *FS) func() error {
		return func() error { _, err := fs.OpenDir("db"); return err }
	}},
	{OpWrite, errorfs.OpFileWrite, "db/new", func(t *testing.T, fs *FS) func() error {
		f := created(t, fs)
		return func() error { _, err := f.Write([]byte("x")); return err }
	}},
	{OpWriteAt, errorfs.OpFileWriteAt, "db/new", func(t *testing.T, fs *FS) func() error {
		f := created(t, fs)
		return func() error { _, err := f.WriteAt([]byte("x"), 3); return err }
	}},
	{OpPreallocate, errorfs.OpFilePreallocate, "db/new", func(t *testing.T, fs *FS) func() error {
		f := created(t, fs)
		return func() error { return f.Preallocate(0, 4096) }
	}},
	{OpSync, errorfs.OpFileSync, "db/new", func(t *testing.T, fs *FS) func() error {
		return created(t, fs).Sync
	}},
	{OpSyncData, errorfs.OpFileSyncData, "db/new", func(t *testing.T, fs *FS) func() error {
		return created(t, fs).SyncData
	}},
	{OpSyncTo, errorfs.OpFileSyncTo, "db/new", func(t *testing.T, fs *FS) func() error {
		f := created(t, fs)
		return func() error { _, err := f.SyncTo(1); return err }
	}},
	{OpClose, errorfs.OpFileClose, "db/new", func(t *testing.T, fs *FS) func() error {
		return created(t, fs).Close
	}},
	{OpClose, errorfs.OpFileClose, "db/reused", func(t *testing.T, fs *FS) func() error {
		f, err := fs.ReuseForWrite("db/a", "db/reused", category)
		if err != nil {
			t.Fatal(err)
		}
		return f.Close
	}},
	{OpClose, errorfs.OpFileClose, "db/a", func(t *testing.T, fs *FS) func() error {
		f, err := fs.OpenReadWrite("db/a", category)
		if err != nil {
			t.Fatal(err)
		}
		return f.Close
	}},
	{OpSync, errorfs.OpFileSync, "db/a", func(t *testing.T, fs *FS) func() error {
		return open(t, fs, "db/a").Sync
	}},
	{OpSync, errorfs.OpFileSync, "db", func(t *testing.T, fs *FS) func() error {
		d, err := fs.OpenDir("db")
		if err != nil {
			t.Fatal(err)
		}
		return d.Sync
	}},
}

func created(t *testing.T, fs *FS) vfs.File {
	t.Helper()
	return createFile(t, fs, "db/new")
}

// setup returns an FS over a directory db with the files a and b, in which the next
// operation of the kind fails with err once the returned fault is on.
func setup(t *testing.T, kind errorfs.OpKind, err error) (*FS, *fault) {
	t.Helper()
	mem := vfs.NewMem()
	if err := mem.MkdirAll("db", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"db/a", "db/b"} {
		f, err := mem.Create(name, category)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("content of " + name)); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	flt := newFault(func(op errorfs.Op) bool { return op.Kind == kind }, err)
	disk := faulty(mem, flt)
	disk.reads = true
	return Wrap(disk), flt
}
