package fuse

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/riffle-go/riffle/internal/crashfs"
)

// The base names of Pebble's files.
const (
	wal      = ".log"
	table    = ".sst"
	manifest = "MANIFEST-"
	marker   = "marker.manifest."
)

// flush starts a flush, which rotates the WAL, writes a table, and adds to the
// MANIFEST.
func flush(db *pebble.DB) { _, _ = db.AsyncFlush() }

// atRest is a store with room for all its writes in one memtable, which does
// nothing in the background.
func atRest(o *pebble.Options) {
	o.MemTableSize = 16 << 20
	o.MaxManifestFileSize = 1 << 20
	o.DisableAutomaticCompactions = true
}

// TestPebbleFailsClosed lets each kind of operation that Pebble makes on each kind
// of file fail once, at rest and while everything rotates.
func TestPebbleFailsClosed(t *testing.T) {
	t.Parallel()
	busy := load{writers: 8, readers: 2}
	rest := load{writers: 1, readers: 1}
	flushed := load{writers: 2, readers: 1, trigger: flush}
	for _, c := range []struct {
		name string
		at   func(errorfs.Op) bool
		skip int // matching operations that succeed first
		tune func(*pebble.Options)
		work load
		op   Op
	}{
		{name: "WAL write at rest", at: on(wal, errorfs.OpFileWrite), tune: atRest, work: rest, op: OpWrite},
		{name: "WAL sync at rest", at: on(wal, errorfs.OpFileSyncData), tune: atRest, work: rest, op: OpSyncData},
		{name: "WAL write", at: on(wal, errorfs.OpFileWrite), skip: 11, work: busy, op: OpWrite},
		{name: "WAL sync", at: on(wal, errorfs.OpFileSyncData), skip: 11, work: busy, op: OpSyncData},
		{name: "WAL close at rotation", at: on(wal, errorfs.OpFileClose), work: busy, op: OpClose},
		{name: "WAL reuse at rotation", at: on(wal, errorfs.OpReuseForWrite), work: busy, op: OpReuseForWrite},
		{name: "WAL create at rotation", at: on(wal, errorfs.OpCreate), tune: atRest, work: flushed, op: OpCreate},
		{name: "table create", at: on(table, errorfs.OpCreate), work: busy, op: OpCreate},
		{name: "table create at rest", at: on(table, errorfs.OpCreate), tune: atRest, work: flushed, op: OpCreate},
		{name: "table write", at: on(table, errorfs.OpFileWrite), work: busy, op: OpWrite},
		{name: "table write, not the first", at: on(table, errorfs.OpFileWrite), skip: 3, work: busy, op: OpWrite},
		{name: "table sync", at: on(table, errorfs.OpFileSyncData), work: busy, op: OpSyncData},
		{name: "table close", at: on(table, errorfs.OpFileClose), work: busy, op: OpClose},
		{name: "table remove", at: on(table, errorfs.OpRemove), work: busy, op: OpRemove},
		{name: "MANIFEST write at rest", at: on(manifest, errorfs.OpFileWrite), tune: atRest, work: flushed, op: OpWrite},
		{name: "MANIFEST sync at rest", at: on(manifest, errorfs.OpFileSync), tune: atRest, work: flushed, op: OpSync},
		{name: "MANIFEST create at rotation", at: on(manifest, errorfs.OpCreate), work: busy, op: OpCreate},
		{name: "MANIFEST write at rotation", at: on(manifest, errorfs.OpFileWrite), work: busy, op: OpWrite},
		{name: "MANIFEST sync at rotation", at: on(manifest, errorfs.OpFileSync), work: busy, op: OpSync},
		{name: "MANIFEST close at rotation", at: on(manifest, errorfs.OpFileClose), work: busy, op: OpClose},
		{name: "MANIFEST remove", at: on(manifest, errorfs.OpRemove), work: busy, op: OpRemove},
		{name: "marker create", at: on(marker, errorfs.OpCreate), work: busy, op: OpCreate},
		{name: "marker close", at: on(marker, errorfs.OpFileClose), work: busy, op: OpClose},
		{name: "marker remove", at: on(marker, errorfs.OpRemove), work: busy, op: OpRemove},
		{name: "directory sync at rest", at: on(dbDir, errorfs.OpFileSync), tune: atRest, work: flushed, op: OpSync},
		{name: "directory sync, first", at: on(dbDir, errorfs.OpFileSync), work: busy, op: OpSync},
		{name: "directory sync, second", at: on(dbDir, errorfs.OpFileSync), skip: 1, work: busy, op: OpSync},
		{name: "directory sync, third", at: on(dbDir, errorfs.OpFileSync), skip: 2, work: busy, op: OpSync},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			mem := crashfs.New()
			flt := newFault(c.at, errDisk)
			flt.skip.Store(int64(c.skip))
			blown := run(t, mem, faulty(mem, flt), dbDir, flt, c.tune, c.work)
			if blown.Op != c.op || !errors.Is(blown, errDisk) {
				t.Errorf("failed with %v, want the injected %s", blown, c.op)
			}
		})
	}
}

// TestPebbleFailsClosedOnAFullDisk: from the moment the disk is full, every write
// fails and not only one.
func TestPebbleFailsClosedOnAFullDisk(t *testing.T) {
	t.Parallel()
	mem := crashfs.New()
	flt := newFault(nil, nil)
	full := errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpCreate, errorfs.OpFileWrite, errorfs.OpFilePreallocate:
			if flt.on.Load() {
				return syscall.ENOSPC
			}
		}
		return nil
	})
	blown := run(t, mem, faulty(mem, full), dbDir, flt, nil, load{writers: 8, readers: 2})
	if !IsNoSpace(blown) || blown.ErrorType() != "disk_full" {
		t.Errorf("failed with %v, want a full disk", blown)
	}
}

// TestFatalfFailsClosed takes the way of a failure that the file system does not see.
func TestFatalfFailsClosed(t *testing.T) {
	t.Parallel()
	mem := crashfs.New()
	flt := newFault(nil, nil)
	var log pebble.Logger
	fatal := load{writers: 4, readers: 1, trigger: func(*pebble.DB) { log.Fatalf("%w", errDisk) }}
	keep := func(o *pebble.Options) {
		if log == nil {
			log = o.Logger
		}
	}
	blown := run(t, mem, mem, dbDir, flt, keep, fatal)
	if blown.Op != OpTrip || !errors.Is(blown, errDisk) {
		t.Errorf("failed with %v, want what was given to Fatalf", blown)
	}
}

func TestOpenReturnsItsErrors(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]func(errorfs.Op) bool{
		"lock":          on("LOCK", errorfs.OpLock),
		"WAL create":    on(wal, errorfs.OpCreate),
		"OPTIONS write": on(".dbtmp", errorfs.OpFileWrite),
		"rename":        on(".dbtmp", errorfs.OpRename),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mem := vfs.NewMem()
			flt := newFault(at, errDisk)
			flt.on.Store(true)
			err := answer(t, "open", func() error {
				_, err := openNode(faulty(mem, flt), dbDir, nil)
				return err
			})
			if !errors.Is(err, errDisk) {
				t.Errorf("open = %v, want the error of the disk", err)
			}
			if err := reopen(mem, dbDir, nil, new(ledger)); err != nil {
				t.Errorf("open on a good disk: %v", err)
			}
		})
	}
}

func TestFailedReadsAreReturnedAndWritingGoesOn(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	flt := newFault(on(table, errorfs.OpFileReadAt), errDisk)
	quiet := func(o *pebble.Options) {
		o.DisableAutomaticCompactions = true
		o.DisableTableStats = true
		o.CacheSize = 1 // so that reads reach the disk
	}
	n, err := openNode(faulty(mem, flt), dbDir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	key := []byte("key")
	if err := n.set(key, valueOf(key)); err != nil {
		t.Fatal(err)
	}
	if err := n.db.Flush(); err != nil {
		t.Fatal(err)
	}
	flt.on.Store(true)
	if _, _, err := n.db.Get(key); !errors.Is(err, errDisk) {
		t.Errorf("get = %v, want the error of the disk", err)
	}
	if err := n.fs.Err(); err != nil {
		t.Fatalf("the fuse has blown: %v", err)
	}
	if err := n.set([]byte("other"), []byte("value")); err != nil {
		t.Errorf("set: %v", err)
	}
	if err := n.db.Close(); err != nil {
		t.Error(err)
	}
}

// TestPebbleFailsClosedOnRealFiles covers what Pebble does only on files that have
// a descriptor, and the lock of a real directory.
func TestPebbleFailsClosedOnRealFiles(t *testing.T) {
	t.Parallel()
	big := func(o *pebble.Options) {
		atRest(o)
		o.BytesPerSync = 64 << 10
		for i := range o.Levels {
			o.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
		}
	}
	// flushBig writes a table that is larger than the last megabyte, which Pebble
	// does not sync ahead.
	flushBig := func(db *pebble.DB) {
		for i := range 20_000 {
			key := fmt.Appendf(nil, "x%06d", i)
			if err := db.Set(key, valueOf(key), pebble.NoSync); err != nil {
				return
			}
		}
		flush(db)
	}
	for _, c := range []struct {
		name string
		at   func(errorfs.Op) bool
		err  error
		tune func(*pebble.Options)
		work load
		op   Op
	}{
		{"WAL sync", on(wal, errorfs.OpFileSyncData), errDisk, nil, load{writers: 4, readers: 1}, OpSyncData},
		{"WAL preallocate", on(wal, errorfs.OpFilePreallocate), syscall.ENOSPC, atRest, load{writers: 2, readers: 1, trigger: flush}, OpPreallocate},
		{"table sync ahead", on(table, errorfs.OpFileSyncTo), errDisk, big, load{writers: 1, readers: 1, trigger: flushBig}, OpSyncTo},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			flt := newFault(c.at, c.err)
			dir := filepath.Join(t.TempDir(), dbDir)
			blown := run(t, vfs.Default, faulty(vfs.Default, flt), dir, flt, c.tune, c.work)
			if blown.Op != c.op || !errors.Is(blown, c.err) {
				t.Errorf("failed with %v, want the injected %s", blown, c.op)
			}
		})
	}
}

// TestUnsupportedPreallocateDoesNotStopPebble: there are file systems without it.
func TestUnsupportedPreallocateDoesNotStopPebble(t *testing.T) {
	t.Parallel()
	var refused atomic.Int64
	lacking := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFilePreallocate {
			refused.Add(1)
			return syscall.EOPNOTSUPP
		}
		return nil
	})
	dir := filepath.Join(t.TempDir(), dbDir)
	if err := reopen(faulty(vfs.Default, lacking), dir, nil, new(ledger)); err != nil {
		t.Error(err)
	}
	if refused.Load() == 0 {
		t.Error("Pebble has not preallocated anything")
	}
}
