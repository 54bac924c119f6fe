package worker_test

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// filling is a disk that a test fills up.
type filling struct {
	vfs.FS
	full atomic.Bool
}

func (f *filling) GetDiskUsage(string) (vfs.DiskUsage, error) {
	if f.full.Load() {
		return vfs.DiskUsage{TotalBytes: 1 << 40}, nil
	}
	return vfs.DiskUsage{AvailBytes: 1 << 39, TotalBytes: 1 << 40}, nil
}

func (f *filling) Unwrap() vfs.FS { return f.FS }

// States in memory that a refused commit carried are nobody's: what comes next begins with
// the stored ones.
func TestARefusedCommitEndsRunAndNothingOfItCounts(t *testing.T) {
	bubble(t, func(b *bed) {
		disk := &filling{FS: vfs.NewMem()}
		st, err := pebblestore.Open("db", &pebblestore.Options{FS: disk, CacheSize: 8 << 20,
			Store: store.Options{Logger: slog.New(slog.DiscardHandler)}})
		if err != nil {
			b.Fatal(err)
		}
		defer func() {
			if err := st.Close(); err != nil {
				b.Error(err)
			}
		}()
		b = &bed{T: b.T, store: st}
		m := projection.NewModel("balances", projection.Fold(func(s *Balance, e Deposited, ev event.Event) error {
			if ev.Position == 4 && !disk.full.Swap(true) {
				pass(30 * time.Second) // until that is noticed
			}
			return s.deposit(e, ev)
		})).With(projection.Options{PageSize: 2})
		b.deposit(1, "a", "b", "a", "c")
		w := b.start(b.config(m))
		if err := w.ends(); !errors.Is(err, store.ErrDiskFull) {
			b.Fatalf("Run: %v", err)
		}
		disk.full.Store(false)
		pass(time.Minute)
		m = balances(projection.Options{})
		w = b.start(b.config(m))
		w.waits(b.deposit(1, "b"))
		for key, cents := range map[string]int64{"a": 2, "b": 2, "c": 1} {
			if got := b.balance(m, key).Cents; got != cents {
				b.Errorf("%s has %d cents, want %d", key, got, cents)
			}
		}
		w.drains()
	})
}
