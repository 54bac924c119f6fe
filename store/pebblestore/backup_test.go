package pebblestore

import (
	"encoding/json"
	"errors"
	"path"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

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
