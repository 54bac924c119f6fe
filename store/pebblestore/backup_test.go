package pebblestore

import (
	"encoding/json"
	"errors"
	"os"
	"path"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/riffle-go/riffle/internal/crashfs"
	"github.com/riffle-go/riffle/store"
)

// TestTwoBackupsToOneDirectory at the same time: one is made and is whole, the other is
// refused.
func TestTwoBackupsToOneDirectory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d *driver
		var began atomic.Bool
		first, second, firstEnded := make(chan error, 1), make(chan error, 1), make(chan struct{})
		fs := vfs.NewMem()
		d, err := openRaw(injected(fs, func(op errorfs.Op) error {
			switch {
			case !strings.HasPrefix(op.Path, "copy.partial") || op.Kind != errorfs.OpCreate && op.Kind != errorfs.OpLink:
			case path.Base(op.Path) == backupMarker && began.CompareAndSwap(false, true):
				go func() { second <- d.Backup(t.Context(), "copy") }()
				synctest.Wait() // until it can go no further
			case began.Load():
				<-firstEnded // the second stops in the middle of its copy
			}
			return nil
		}), "db", quiet)
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, d, "a", 40)
		go func() { first <- d.Backup(t.Context(), "copy") }()
		if err := <-first; err != nil {
			t.Errorf("the first backup: %v", err)
		}
		close(firstEnded)
		if err := <-second; !errors.Is(err, store.ErrInvalid) {
			t.Errorf("the second backup: %v, want ErrInvalid", err)
		}
		copied := reopenIn(t, fs, "copy")
		if head := copied.head.Load().position; head != 40 {
			t.Errorf("the copy has %d events of 40", head)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestTheMarkerOfABackupSaysWhatItIsOf.
func TestTheMarkerOfABackupSaysWhatItIsOf(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	d := openDriver(t, fs, quiet)
	mustAppend(t, d, "a", 40)
	if err := d.Backup(t.Context(), "copy"); err != nil {
		t.Fatal(err)
	}
	f, err := fs.Open(fs.PathJoin("copy", "RIFFLE-BACKUP"))
	if err != nil {
		t.Fatal(err)
	}
	var marker struct {
		History string
		Head    string
	}
	if err := errors.Join(json.NewDecoder(f).Decode(&marker), f.Close()); err != nil {
		t.Fatal(err)
	}
	if marker.Head != "40" || marker.History != d.history.String() {
		t.Errorf("the marker says %+v; the source has head 40 and history %s", marker, d.history)
	}
}

// TestABackupIsDurableWhenItReturns, whole and with its marker: a crash right then takes
// nothing of it.
func TestABackupIsDurableWhenItReturns(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"copy", "backups/of/today"} {
		fs := crashfs.New()
		d := openDriver(t, fs, small)
		mustAppend(t, d, "a", 40)
		if _, err := d.Commit(t.Context(), &store.Txn{Puts: []store.Record{{Key: "j1", Revision: 7}}, NoSync: true}); err != nil {
			t.Fatal(err)
		}
		if err := d.Backup(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
		crashed := crash(fs, 0, 1)
		if marker := readMarker(t, crashed, dir); marker.History != d.history || marker.Head != 40 {
			t.Errorf("%s: after a crash its marker says %+v", dir, marker)
		}
		copied := reopenIn(t, crashed, dir)
		if head := copied.head.Load().position; head != 40 {
			t.Errorf("%s: after a crash it has %d events of 40", dir, head)
		}
		if rec, err := copied.Get(t.Context(), "j1"); err != nil || rec.Revision != 7 {
			t.Errorf("%s: after a crash it has the record %+v, %v", dir, rec, err)
		}
	}
}

// readMarker reads the marker of a backup.
func readMarker(t *testing.T, fs vfs.FS, dir string) (info backupInfo) {
	t.Helper()
	f, err := fs.Open(fs.PathJoin(dir, backupMarker))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(json.NewDecoder(f).Decode(&info), f.Close()); err != nil {
		t.Fatal(err)
	}
	return info
}

// TestWhatAnUnfinishedBackupLeft is in nobody's way: the next backup has nothing of it, and
// takes it away.
func TestWhatAnUnfinishedBackupLeft(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	var full atomic.Bool
	var writes atomic.Int64
	d := openDriver(t, injected(fs, func(op errorfs.Op) error {
		if full.Load() && strings.HasPrefix(op.Path, "copy.partial") && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && writes.Add(1) > 8 {
			return errDisk
		}
		return nil
	}), quiet)
	mustAppend(t, d, "a", 40)
	full.Store(true)
	// its disk is gone: nothing can be cleaned up, and the error says so
	if err := d.Backup(t.Context(), "copy"); !errors.Is(err, errDisk) || strings.Count(err.Error(), errDisk.Error()) < 2 {
		t.Errorf("a backup whose disk went away: %v, want what failed and that it could not be removed", err)
	}
	full.Store(false)
	if names, err := fs.List("copy.partial"); err != nil || len(names) == 0 {
		t.Fatalf("it left %v, %v: the test shows nothing", names, err)
	}
	stale, err := fs.Create("copy.partial/000999.sst", vfs.WriteCategoryUnspecified)
	if err := errors.Join(err, stale.Close()); err != nil {
		t.Fatal(err)
	}
	if err := d.Backup(t.Context(), "copy"); err != nil {
		t.Fatalf("the next backup: %v", err)
	}
	for _, name := range []string{"copy.partial", "copy/000999.sst"} {
		if _, err := fs.Stat(name); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is there after the next backup: %v", name, err)
		}
	}
	if head := reopenIn(t, fs, "copy").head.Load().position; head != 40 {
		t.Errorf("the next backup has %d events of 40", head)
	}
}

// TestABackupRemovesNothingOfOthers, who may have a directory of the name that it uses.
func TestABackupRemovesNothingOfOthers(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"precious", "1.txt", "sst", "a.sst", "MANIFEST", "x-RIFFLE-BACKUP"} {
		fs := vfs.NewMem()
		d := openDriver(t, fs, quiet)
		mustAppend(t, d, "a", 1)
		f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
		if err := errors.Join(err, f.Close(), fs.MkdirAll("copy.partial", 0o755), fs.Rename(name, "copy.partial/"+name)); err != nil {
			t.Fatal(err)
		}
		if err := d.Backup(t.Context(), "copy"); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("backup: %v, want ErrInvalid that names %s", err, name)
		}
		if _, err := fs.Stat("copy.partial/" + name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := d.Backup(t.Context(), "another"); err != nil {
			t.Errorf("the next backup: %v", err)
		}
	}
}

// TestAnUnfinishedBackupIsNotOpened: it has all that a store has, and the History of its
// source.
func TestAnUnfinishedBackupIsNotOpened(t *testing.T) {
	t.Parallel()
	var unfinished *crashfs.FS
	fs := crashfs.New()
	d := openDriver(t, injected(fs, func(op errorfs.Op) error {
		if path.Base(op.Path) == backupMarker && op.Kind == errorfs.OpCreate {
			unfinished = crash(fs, 100, 1)
		}
		return nil
	}), quiet)
	mustAppend(t, d, "a", 40)
	if err := d.Backup(t.Context(), "copy"); err != nil {
		t.Fatal(err)
	}
	if _, err := unfinished.Stat("copy.partial"); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"copy.partial", "copy.partial/", "new.partial"} {
		for _, readOnly := range []bool{false, true} {
			_, err := openRaw(unfinished, dir, quiet, func(o *Options) { o.ReadOnly = readOnly })
			if !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "remove it") {
				t.Errorf("open %s, read-only %v: %v, want ErrInvalid and what to do", dir, readOnly, err)
			}
		}
	}
	if _, err := unfinished.Stat("new.partial"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a refused open has made a directory: %v", err)
	}
	if err := d.Backup(t.Context(), "other.partial"); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a backup that nothing would open: %v, want ErrInvalid", err)
	}
}

// TestABackupIsMadeWhileSpaceIsLow: it may be what one needs to make room.
func TestABackupIsMadeWhileSpaceIsLow(t *testing.T) {
	t.Parallel()
	fs := &diskSpace{FS: vfs.NewMem()}
	fs.free.Store(1 << 30)
	d := openDriver(t, fs, func(o *Options) {
		quiet(o)
		o.FreeSpace = 1 << 20
	})
	mustAppend(t, d, "a", 40)
	fs.free.Store(1<<20 - 1)
	d.space.Poll()
	if _, err := d.try(t.Context(), appending("a", store.Any, 1)); !errors.Is(err, store.ErrDiskFull) {
		t.Errorf("append: %v, want ErrDiskFull", err)
	}
	if err := d.Backup(t.Context(), "copy"); err != nil {
		t.Errorf("backup: %v", err)
	}
	if head := reopenIn(t, fs.FS, "copy").head.Load().position; head != 40 {
		t.Errorf("the copy has %d events of 40", head)
	}
}
