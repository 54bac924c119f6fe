package pebblestore

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/store"
)

// TestALiveStoreNoticesItsSpace: it looks by itself, every second.
func TestALiveStoreNoticesItsSpace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fs := &diskSpace{FS: vfs.NewMem()}
		fs.free.Store(1 << 30)
		d, err := openRaw(fs, "db", quiet, func(o *Options) { o.FreeSpace = 1 << 20 })
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			fs.free.Store(1<<20 - 1)
			time.Sleep(2 * time.Second) // of the bubble
			if _, err := d.try(t.Context(), appending("a", store.Any, 1)); !errors.Is(err, store.ErrDiskFull) {
				t.Errorf("append without space: %v, want ErrDiskFull", err)
			}
			fs.free.Store(1 << 20)
			time.Sleep(2 * time.Second)
			mustAppend(t, d, "a", 1)
		}
		if err := errors.Join(d.Verify(t.Context(), nil), d.Close()); err != nil {
			t.Error(err)
		}
	})
}

// TestHowMuchSpaceAStoreKeeps by default: enough to finish what it took.
func TestHowMuchSpaceAStoreKeeps(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for name, c := range map[string]struct {
		memTable uint64
		want     int64
	}{
		"small memtables": {4 * mib, 256 * mib},
		"large memtables": {200 * mib, 400 * mib},
	} {
		for free, want := range map[int64]error{c.want - 1: store.ErrDiskFull, c.want: nil} {
			fs := &diskSpace{FS: vfs.NewMem()}
			fs.free.Store(uint64(free))
			d := openDriver(t, fs, func(o *Options) {
				quiet(o)
				o.FreeSpace = 0
				o.Tune = func(p *pebble.Options) { p.MemTableSize = c.memTable }
			})
			if _, err := d.try(t.Context(), appending("a", store.Any, 1)); !errors.Is(err, want) {
				t.Errorf("%s, %d bytes free: %v, want %v", name, free, err, want)
			}
		}
	}
}
