package pebblestore

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/crashfs"
	"github.com/riffle-go/riffle/store"
)

// flushed is a disk with a closed store whose events are all in tables: 400 events in 4
// streams, half of them with a routing key, and 50 records.
func flushed(t *testing.T) *crashfs.FS {
	t.Helper()
	fs := crashfs.New()
	d, err := openRaw(fs, "db", quiet)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		for s := range 4 {
			a := appending(fmt.Sprint("s", s), store.Any, 1)
			a.Once = s == 0
			if s%2 == 0 {
				a.RoutingKey = "eu"
			}
			if _, err := d.try(t.Context(), a); err != nil {
				t.Fatal(err)
			}
		}
		if i%2 == 0 {
			if _, err := d.Commit(t.Context(), &store.Txn{Puts: []store.Record{{Key: fmt.Sprintf("n%03d", i), Value: make([]byte, 100), Revision: 1}}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := d.db.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return fs
}

// reads are all ways to read, one call each.
func reads(t *testing.T, d *driver) map[string]func() error {
	ctx := t.Context()
	scan := func(s store.Scan) func() error {
		return func() error {
			_, err := scanAll(ctx, d, s)
			return err
		}
	}
	stream := store.Scan{Match: []store.Match{{Aggregate: things, ID: "s1"}}}
	within := stream
	within.From, within.To = 100, 300
	return map[string]func() error{
		"log":        scan(store.Scan{}),
		"backward":   scan(store.Scan{Backward: true}),
		"name":       scan(store.Scan{Match: []store.Match{{Aggregate: things, Name: "name0"}}}),
		"stream":     scan(stream),
		"stream cut": scan(within),
		"routing":    scan(store.Scan{RoutingKey: new("eu")}),
		"unkeyed":    scan(store.Scan{RoutingKey: new("")}),
		"info":       func() error { _, err := d.Stream(ctx, things.Stream("s2")); return err },
		"streams":    func() error { _, err := d.Streams(ctx, things, store.Range{}); return err },
		"time":       func() error { _, err := d.PositionAt(ctx, d.now()); return err },
		"get":        func() error { _, err := d.Get(ctx, "n050"); return err },
		"list":       func() error { _, err := d.List(ctx, "n", "", 100); return err },
		"verify":     func() error { return d.Verify(ctx, nil) },
		"append": func() error {
			a := appending("s0", store.Any, 1)
			a.Once = true
			_, err := d.try(ctx, a)
			return err
		},
		"guard": func() error {
			_, err := d.Commit(ctx, &store.Txn{Guards: []store.Guard{{Key: "n000", Revision: 1}}})
			return err
		},
	}
}

// uncached makes many small blocks, so that every read meets the disk, and keeps
// Pebble's background work away from it: an error there fails the store.
func uncached(o *Options) {
	quiet(o)
	o.Tune = func(p *pebble.Options) {
		p.DisableTableStats = true
		p.DisableAutomaticCompactions = true
		for i := range p.Levels {
			p.Levels[i].BlockSize = 1 << 10
		}
	}
}

// TestFailingReadsAreErrorsOfTheirCall: the caller gets the disk's error, nothing else
// happens, and when the disk works again the call works again.
func TestFailingReadsAreErrorsOfTheirCall(t *testing.T) {
	t.Parallel()
	fs := flushed(t)
	failed := map[string]bool{}
	for what := range reads(t, nil) {
		for nth := int64(1); nth <= 9; nth++ {
			var on atomic.Bool
			var count atomic.Int64
			d, err := openRaw(injected(crash(fs, 100, 1), func(op errorfs.Op) error {
				if on.Load() && op.Kind == errorfs.OpFileReadAt && count.Add(1) == nth {
					return errDisk
				}
				return nil
			}), "db", uncached)
			if err != nil {
				t.Fatal(err)
			}
			read := reads(t, d)[what]
			on.Store(true)
			if err := read(); err != nil {
				failed[what] = true
				if !errors.Is(err, errDisk) {
					t.Errorf("%s, read %d: %v", what, nth, err)
				}
			}
			on.Store(false)
			if d.failed() {
				t.Errorf("%s, read %d: the store failed: %v", what, nth, d.Err())
			}
			if err := read(); err != nil {
				t.Errorf("%s, read %d: %v when the disk works again", what, nth, err)
			}
			if err := errors.Join(d.Verify(t.Context(), nil), d.Close()); err != nil {
				t.Errorf("%s, read %d: %v", what, nth, err)
			}
		}
	}
	for _, what := range []string{"log", "backward", "name", "stream", "stream cut", "routing", "info", "get", "list", "verify", "append"} {
		if !failed[what] {
			t.Errorf("%s never met a failing read", what)
		}
	}
}

// flip changes one byte of a file.
func flip(t *testing.T, fs *crashfs.FS, name string, at int64) {
	t.Helper()
	f, err := fs.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	b := []byte{0}
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x40
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// tables are the table files of a store, with their sizes.
func tables(t *testing.T, fs *crashfs.FS) map[string]int64 {
	t.Helper()
	names, err := fs.List("db")
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int64{}
	for _, name := range names {
		if strings.HasSuffix(name, ".sst") {
			info, err := fs.Stat(path.Join("db", name))
			if err != nil {
				t.Fatal(err)
			}
			sizes[path.Join("db", name)] = info.Size()
		}
	}
	return sizes
}

// TestADamagedByteIsAnError: whatever byte of a table is damaged, no read returns wrong
// events: it answers as before, or with ErrCorrupt. The process lives.
func TestADamagedByteIsAnError(t *testing.T) {
	t.Parallel()
	fs := flushed(t)
	seed := rand.Uint64()
	t.Log("seed", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	found := 0
	for name, size := range tables(t, fs) {
		for range rounds(5, 40) {
			damaged := crash(fs, 100, 1)
			at := rng.Int64N(size)
			flip(t, damaged, name, at)
			d, err := openRaw(damaged, "db", quiet)
			if err != nil {
				found++
				if !errors.Is(err, store.ErrCorrupt) {
					t.Errorf("%s at %d: open: %v", name, at, err)
				}
				continue
			}
			corrupt := false
			for what, read := range reads(t, d) {
				switch err := read(); {
				case errors.Is(err, store.ErrCorrupt), errors.Is(err, store.ErrFailed) && pebble.IsCorruptionError(d.fuse.Err()):
					corrupt = true
				case errors.Is(err, store.ErrFailed):
					t.Errorf("%s at %d: %s: %v", name, at, what, err)
				case err != nil:
					t.Errorf("%s at %d: %s: %v, want ErrCorrupt", name, at, what, err)
				}
			}
			if corrupt {
				found++
				if _, err := d.try(t.Context(), appending("s9", store.Any, 1)); !errors.Is(err, store.ErrFailed) && !errors.Is(err, store.ErrCorrupt) {
					t.Errorf("%s at %d: an append to a damaged store: %v", name, at, err)
				}
			}
			if err := d.Close(); err != nil {
				t.Errorf("%s at %d: close: %v", name, at, err)
			}
		}
	}
	if found == 0 {
		t.Error("no damage was noticed")
	}
}

// TestADamagedEventIsNotSkipped: where a read cannot decode an event it stops with its
// position; other reads go on.
func TestADamagedEventIsNotSkipped(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string][]byte{"empty": {}, "short": make([]byte, 10), "format": append([]byte{9}, make([]byte, 60)...)} {
		d := openDriver(t, nil, quiet)
		mustAppend(t, d, "a", 10)
		if err := d.db.Set(logKey(5), damage, pebble.Sync); err != nil {
			t.Fatal(err)
		}
		want := store.ErrCorrupt
		if name == "format" {
			want = store.ErrIncompatible
		}
		_, err := scanAll(t.Context(), d, store.Scan{})
		if !errors.Is(err, want) || !strings.Contains(err.Error(), "position 5") {
			t.Errorf("%s: read: %v", name, err)
		}
		if err := d.Verify(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "position 5") {
			t.Errorf("%s: verify: %v", name, err)
		}
		events, err := scanAll(t.Context(), d, store.Scan{From: 6})
		if err != nil || len(events) != 5 {
			t.Errorf("%s: %d events behind it, %v", name, len(events), err)
		}
	}
}

// diskSpace is a disk whose free space a test sets.
type diskSpace struct {
	vfs.FS
	free atomic.Uint64
}

func (f *diskSpace) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: f.free.Load(), TotalBytes: 1 << 40}, nil
}

func (f *diskSpace) Unwrap() vfs.FS { return f.FS }

// TestLowSpaceRefusesWritesAndHeals, before anything fails and without a restart.
func TestLowSpaceRefusesWritesAndHeals(t *testing.T) {
	t.Parallel()
	fs := &diskSpace{FS: vfs.NewMem()}
	fs.free.Store(1 << 30)
	d := openDriver(t, fs, func(o *Options) {
		quiet(o)
		o.FreeSpace = 1 << 20
	})
	mustAppend(t, d, "a", 1)
	fs.free.Store(1<<20 - 1)
	d.space.Poll()
	writes := map[string]func() error{
		"append": func() error { _, err := d.try(t.Context(), appending("a", store.Any, 1)); return err },
		"commit": func() error {
			_, err := d.Commit(t.Context(), &store.Txn{Puts: []store.Record{{Key: "n1"}}})
			return err
		},
		"claim": func() error {
			_, err := d.Claim(t.Context(), store.Claim{Key: "st", Worker: event.NewID(), TTL: patience, Force: true})
			return err
		},
		"sync": func() error { return d.Sync(t.Context()) },
	}
	for what, write := range writes {
		if err := write(); !errors.Is(err, store.ErrDiskFull) {
			t.Errorf("%s: %v, want ErrDiskFull", what, err)
		}
	}
	if events, err := scanAll(t.Context(), d, store.Scan{}); err != nil || len(events) != 1 {
		t.Errorf("read: %d events, %v", len(events), err)
	}
	fs.free.Store(1 << 20)
	d.space.Poll()
	for what, write := range writes {
		if err := write(); err != nil {
			t.Errorf("%s with space again: %v", what, err)
		}
	}
	if err := d.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// TestAFailingBackupDiskDoesNotStopTheStore: whatever fails at the destination is an error
// of Backup, nothing of the backup is left, and the next one works.
func TestAFailingBackupDiskDoesNotStopTheStore(t *testing.T) {
	t.Parallel()
	base := flushed(t)
	failures := 0
	for nth := int64(1); ; nth++ {
		var on atomic.Bool
		var count atomic.Int64
		d, err := openRaw(injected(crash(base, 100, 1), func(op errorfs.Op) error {
			if on.Load() && strings.HasPrefix(op.Path, "backups") && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && count.Add(1) == nth {
				return io.ErrShortWrite
			}
			return nil
		}), "db", quiet)
		if err != nil {
			t.Fatal(err)
		}
		on.Store(true)
		within(t, "backup", func() { err = d.Backup(t.Context(), "backups/copy") })
		on.Store(false)
		if err != nil {
			failures++
		}
		if d.failed() {
			t.Errorf("call %d: the store failed: %v", nth, d.Err())
		}
		mustAppend(t, d, "s0", 1)
		for _, name := range []string{"backups/copy", "backups/copy.partial"} {
			if _, statErr := d.fuse.Stat(name); err != nil && statErr == nil {
				t.Errorf("call %d: %s of a failed backup is there", nth, name)
			}
		}
		next := "backups/copy"
		if err == nil {
			next = "backups/copy2"
		}
		if err := d.Backup(t.Context(), next); err != nil {
			t.Errorf("call %d: the next backup: %v", nth, err)
		}
		if err := errors.Join(d.Verify(t.Context(), nil), d.Close()); err != nil {
			t.Errorf("call %d: %v", nth, err)
		}
		if count.Load() < nth || t.Failed() {
			break
		}
	}
	if failures < 10 {
		t.Errorf("only %d failures", failures)
	}
}
