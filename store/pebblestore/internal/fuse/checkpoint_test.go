package fuse

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// checkpoint returns what Checkpoint returns, and what it panics with: that is how it
// reports that the directory could not be synced after a marker file was moved.
func checkpoint(db *pebble.DB, dest string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			cause, ok := r.(error)
			if !ok {
				panic(r)
			}
			err = cause
		}
	}()
	return db.Checkpoint(dest)
}

func TestCheckpointToABadDiskDoesNotStopTheStore(t *testing.T) {
	t.Parallel()
	const dest = "backups/today/1"
	inDest := func(kind errorfs.OpKind) func(errorfs.Op) bool {
		return func(op errorfs.Op) bool { return op.Kind == kind && strings.HasPrefix(op.Path, dest+"/") }
	}
	for _, c := range []struct {
		name string
		at   func(errorfs.Op) bool
		skip int64
	}{
		{"parent sync", on("backups", errorfs.OpFileSync), 0},
		{"mkdir", on("1", errorfs.OpMkdirAll), 0},
		{"create", inDest(errorfs.OpCreate), 0},
		{"later create", inDest(errorfs.OpCreate), 2},
		{"write", inDest(errorfs.OpFileWrite), 0},
		{"later write", inDest(errorfs.OpFileWrite), 2},
		{"sync", inDest(errorfs.OpFileSyncData), 0},
		{"first directory sync, which panics", on("1", errorfs.OpFileSync), 0},
		{"second directory sync, which panics", on("1", errorfs.OpFileSync), 1},
		{"last directory sync", on("1", errorfs.OpFileSync), 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			mem := vfs.NewMem()
			if err := mem.MkdirAll("backups", 0o755); err != nil {
				t.Fatal(err)
			}
			flt := newFault(c.at, syscall.ENOSPC)
			flt.skip.Store(c.skip)
			n, err := openNode(faulty(mem, flt), dbDir, nil)
			if err != nil {
				t.Fatal(err)
			}
			var acked ledger
			put := func(from, to int) {
				for i := from; i < to; i++ {
					key := fmt.Appendf(nil, "%06d", i)
					if err := n.set(key, valueOf(key)); err != nil {
						t.Fatal(err)
					}
					acked.add(key)
				}
			}
			put(0, 300)
			flt.on.Store(true)
			release := n.fs.Exempt(dest)
			err = answer(t, "checkpoint", func() error { return checkpoint(n.db, dest) })
			if !IsNoSpace(err) {
				t.Errorf("checkpoint = %v, want the error of the disk", err)
			}
			if err := n.fs.Err(); err != nil {
				t.Fatalf("the fuse has blown: %v", err)
			}
			put(300, 600)

			// The disk has room again: the same store makes a good backup.
			if err := mem.RemoveAll(dest); err != nil {
				t.Fatal(err)
			}
			if err := n.db.Checkpoint(dest); err != nil {
				t.Errorf("second checkpoint: %v", err)
			}
			release()
			if err := n.db.Close(); err != nil {
				t.Error(err)
			}
			backup, err := pebble.Open(dest, &pebble.Options{FS: mem, Logger: fatalLogger{Wrap(mem)}})
			if err != nil {
				t.Fatal(err)
			}
			if err := acked.verify(backup); err != nil {
				t.Errorf("the backup: %v", err)
			}
			if err := backup.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
