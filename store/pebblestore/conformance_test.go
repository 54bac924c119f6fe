package pebblestore

import (
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/internal/crashfs"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/storetest"
)

// conformance makes drivers on crashable file systems in memory.
func conformance() storetest.Factory {
	var disks sync.Map // *driver to its *crashfs.FS
	start := func(tb testing.TB, fs *crashfs.FS, change func(*Options)) store.Driver {
		tb.Helper()
		d := openDriver(tb, fs, func(o *Options) {
			o.Tune = func(p *pebble.Options) { p.MemTableSize = 1 << 20 }
			if change != nil {
				change(o)
			}
		})
		disks.Store(d, fs)
		return d
	}
	disk := func(d store.Driver) *crashfs.FS {
		fs, _ := disks.Load(d.(*driver))
		return fs.(*crashfs.FS)
	}
	return storetest.Factory{
		Open: func(tb testing.TB) store.Driver { return start(tb, crashfs.New(), nil) },
		Reopen: func(tb testing.TB, d store.Driver) store.Driver {
			if err := d.Close(); err != nil {
				tb.Fatal(err)
			}
			return start(tb, disk(d), nil)
		},
		Crash: func(tb testing.TB, d store.Driver) store.Driver {
			return start(tb, disk(d).CrashClone(vfs.CrashCloneCfg{}), nil)
		},
		Clock: func(tb testing.TB, now func() time.Time) store.Driver {
			return start(tb, crashfs.New(), func(o *Options) { o.clock = now })
		},
	}
}

func TestTheDriverKeepsTheContract(t *testing.T) {
	t.Parallel()
	f := conformance()
	traits := openDriver(t, nil, nil).Traits()
	storetest.Run(t, f, traits)
}

func BenchmarkContract(b *testing.B) { storetest.Bench(b, conformance()) }
