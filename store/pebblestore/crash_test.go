package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/riffle-go/riffle/store"
)

// crash is a state that a disk may be in after a crash: what was synced, and some of what
// was not.
func crash(fs *vfs.MemFS, percent int, seed uint64) *vfs.MemFS {
	return fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(seed, 1))})
}

// promised is a crash and what had been promised before it.
type promised struct {
	fs  *vfs.MemFS
	l   *ledger
	how string
}

// recover opens what a crash left, twice, and checks it each time.
func (p promised) recover(t *testing.T, now *ledger) {
	t.Helper()
	for _, when := range []string{"after the crash", "opened again"} {
		d, err := openRaw(p.fs, "db", small)
		if err != nil {
			t.Fatalf("%s, %s: %v", p.how, when, err)
		}
		if err := p.l.check(t.Context(), d, now); err != nil {
			t.Errorf("%s, %s: %v", p.how, when, err)
		}
		mustAppend(t, d, "after", 1)
		if err := d.Close(); err != nil {
			t.Errorf("%s, %s: close: %v", p.how, when, err)
		}
	}
}

func TestCrashesLoseNothingThatWasPromised(t *testing.T) {
	t.Parallel()
	for round := range rounds(4, 150) {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Log("seed", seed)
			rng := rand.New(rand.NewPCG(seed, 0))
			fs := vfs.NewCrashableMem()
			d, err := openRaw(fs, "db", small)
			if err != nil {
				t.Fatal(err)
			}
			l, stop, done := newLedger(), make(chan struct{}), make(chan error, 1)
			go func() {
				done <- load{d: d, l: l, appends: 4, pairs: 2, lazies: 2, readers: 2}.run(context.Background(), stop)
			}()
			var crashes []promised
			var next uint64
			for _, percent := range []int{0, 50, 100, 0, 50, 100} {
				for next += 30 + rng.Uint64N(120); d.head.Load().position < next; {
					if err := d.Wait(t.Context(), 0, nil); err != nil {
						t.Fatal(err)
					}
				}
				known := l.clone() // before the disk is copied: all of this must be on it
				crashes = append(crashes, promised{crash(fs, percent, rng.Uint64()), known, fmt.Sprintf("%d %% of unsynced data at head %d", percent, next)})
			}
			close(stop)
			if err := <-done; err != nil {
				t.Error(err)
			}
			for _, c := range crashes {
				c.recover(t, l)
			}
			if err := l.check(t.Context(), d, l); err != nil {
				t.Error(err)
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// crashAt takes a crash before the nth write-side operation from now on.
type crashAt struct {
	fs      *vfs.MemFS
	percent int
	n       int64
	count   atomic.Int64
	clone   atomic.Pointer[vfs.MemFS]
	before  func() // runs before the crash is taken
}

func (c *crashAt) wrap() vfs.FS {
	return errorfs.Wrap(c.fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && c.count.Add(1) == c.n {
			if c.before != nil {
				c.before()
			}
			c.clone.Store(crash(c.fs, c.percent, uint64(c.n)))
		}
		return nil
	}))
}

// everyPoint runs a scenario with a crash before its first write-side operation, its
// second, and so on until it has no more, each with 0, 50 and 100 % of unsynced data.
// prepare gives the disk to begin with.
func everyPoint(t *testing.T, prepare func() *vfs.MemFS, scenario func(fs vfs.FS), check func(t *testing.T, how string, fs *vfs.MemFS)) {
	t.Helper()
	points, step := 0, int64(2) // the short form tries every other point
	if *long {
		step = 1
	}
	for i, percent := range []int{0, 50, 100} {
		for n := 1 + int64(i)%step; ; n += step {
			c := &crashAt{fs: prepare(), percent: percent, n: n}
			scenario(c.wrap())
			clone := c.clone.Load()
			if clone == nil {
				break
			}
			points++
			check(t, fmt.Sprintf("crash before write %d, %d %%", n, percent), clone)
			if t.Failed() {
				return
			}
		}
	}
	if points < 10 {
		t.Errorf("only %d points in time were tried", points)
	}
}

func reopen(t *testing.T, how string, fs vfs.FS, changes ...func(*Options)) *driver {
	t.Helper()
	d, err := openRaw(fs, "db", append([]func(*Options){quiet}, changes...)...)
	if err != nil {
		t.Fatalf("%s: %v", how, err)
	}
	t.Cleanup(func() {
		if err := d.Verify(context.Background(), nil); err != nil && !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s: %v", how, err)
		}
		if err := d.Close(); err != nil {
			t.Errorf("%s: close: %v", how, err)
		}
	})
	return d
}

// openAndClose is the scenario of opening a store, ignoring its end.
func openAndClose(t *testing.T, change func(*Options)) func(vfs.FS) {
	return func(fs vfs.FS) {
		d, err := openRaw(fs, "db", change)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestACrashWhileAStoreIsCreatedLeavesOneThatOpens(t *testing.T) {
	t.Parallel()
	everyPoint(t, vfs.NewCrashableMem, openAndClose(t, quiet), func(t *testing.T, how string, fs *vfs.MemFS) {
		d := reopen(t, how, fs)
		if res := mustAppend(t, d, "a", 1); res.First != 1 {
			t.Errorf("%s: first position %d", how, res.First)
		}
	})
}

// filled is a disk with a store of 40 events that was not closed: its log is replayed.
func filled(t *testing.T, changes ...func(*Options)) func() *vfs.MemFS {
	fs := vfs.NewCrashableMem()
	d, err := openRaw(fs, "db", append([]func(*Options){quiet}, changes...)...)
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, d, "a", 40)
	if err := d.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	clone := crash(fs, 100, 1)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return func() *vfs.MemFS { return crash(clone, 100, 1) }
}

func TestACrashWhileAStoreIsOpenedLosesNothing(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Options){"large memtable": quiet, "small memtable": small} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everyPoint(t, filled(t), openAndClose(t, change), func(t *testing.T, how string, fs *vfs.MemFS) {
				if d := reopen(t, how, fs, change); d.head.Load().position != 40 {
					t.Errorf("%s: head %d", how, d.head.Load().position)
				}
			})
		})
	}
}

func TestACrashWhileLogsRotateLosesNothing(t *testing.T) {
	t.Parallel()
	for percent := 0; percent <= 100; percent += 50 {
		for n := int64(1); n < 150; n += 12 {
			c := &crashAt{fs: vfs.NewCrashableMem(), percent: percent, n: n}
			l := newLedger()
			var known *ledger
			c.before = func() { known = l.clone() }
			d, err := openRaw(c.wrap(), "db", small)
			if err != nil {
				t.Fatal(err)
			}
			c.n += c.count.Load()
			for c.clone.Load() == nil {
				a := appending("a", store.Any, 20)
				res, err := d.try(t.Context(), a)
				if err != nil {
					t.Fatal(err)
				}
				if err := l.acked(a, res); err != nil {
					t.Fatal(err)
				}
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
			promised{c.clone.Load(), known, fmt.Sprintf("crash before write %d, %d %%", n, percent)}.recover(t, l)
			if t.Failed() {
				return
			}
		}
	}
}

// TestACrashDuringABackupHarmsNeither: the source loses nothing, and what is at the
// destination is a whole backup with a History of its own, or no directory at all.
func TestACrashDuringABackupHarmsNeither(t *testing.T) {
	t.Parallel()
	prepare := filled(t)
	var history string
	scenario := func(fs vfs.FS) {
		d, err := openRaw(fs, "db", quiet)
		if err != nil {
			t.Fatal(err)
		}
		history = d.history.String()
		if err := d.Backup(t.Context(), "copy"); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	copies := 0
	everyPoint(t, prepare, scenario, func(t *testing.T, how string, fs *vfs.MemFS) {
		if d := reopen(t, how, fs); d.head.Load().position != 40 {
			t.Errorf("%s: head %d", how, d.head.Load().position)
		}
		if _, err := fs.Stat("copy"); errors.Is(err, os.ErrNotExist) {
			return
		}
		copies++
		d, err := openRaw(fs, "copy", quiet)
		if err != nil {
			t.Errorf("%s: the backup does not open: %v", how, err)
			return
		}
		if d.head.Load().position != 40 || d.history.String() == history {
			t.Errorf("%s: the backup has head %d and history %s, the source's was %s", how, d.head.Load().position, d.history, history)
		}
		if err := errors.Join(d.Verify(t.Context(), nil), d.Close()); err != nil {
			t.Errorf("%s: the backup: %v", how, err)
		}
	})
	if copies == 0 {
		t.Error("no crash came after the backup was there")
	}
}

// TestLazyCommitsAreLostFromTheEndOnly: what is left of commits that were not synced is a
// beginning of them, and holds everything before the last synced commit.
func TestLazyCommitsAreLostFromTheEndOnly(t *testing.T) {
	t.Parallel()
	lost := false
	for seed := range uint64(rounds(12, 600)) {
		fs := vfs.NewCrashableMem()
		d, err := openRaw(fs, "db", quiet)
		if err != nil {
			t.Fatal(err)
		}
		n := 10 + int(seed%13)
		least := n - 1 - int(seed%5)
		for i := range n {
			txn := &store.Txn{Puts: []store.Record{{Key: fmt.Sprintf("j%03d", i), Revision: 1}}, NoSync: i != least}
			if _, err := d.Commit(t.Context(), txn); err != nil {
				t.Fatal(err)
			}
		}
		clone := crash(fs, int(seed%3)*50, seed)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		again := reopen(t, fmt.Sprint("seed ", seed), clone)
		recs, err := again.List(t.Context(), "j", "", n)
		if err != nil {
			t.Fatal(err)
		}
		for i, rec := range recs {
			if rec.Key != fmt.Sprintf("j%03d", i) {
				t.Fatalf("seed %d: record %d is %s", seed, i, rec.Key)
			}
		}
		if len(recs) <= least {
			t.Errorf("seed %d: %d records are left, %d was synced", seed, len(recs), least)
		}
		lost = lost || len(recs) < n
	}
	if !lost {
		t.Error("no crash lost a lazy commit: the test shows nothing")
	}
}

// TestLazyCommitsAreSyncedSoon: 100 ms after a lazy commit no crash loses it.
func TestLazyCommitsAreSyncedSoon(t *testing.T) {
	t.Parallel()
	fs := vfs.NewCrashableMem()
	synced := make(chan struct{}, 1000)
	d, err := openRaw(errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
			synced <- struct{}{}
		}
		return nil
	})), "db", quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	for len(synced) > 0 {
		<-synced
	}
	if _, err := d.Commit(t.Context(), &store.Txn{Puts: []store.Record{{Key: "j1"}}, NoSync: true}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-synced: // it begins; a Sync of ours comes behind it
	case <-t.Context().Done():
		t.Fatal("the test ended before a sync")
	}
	if err := d.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := reopen(t, "crash", crash(fs, 0, 1))
	if _, err := again.Get(t.Context(), "j1"); err != nil {
		t.Error(err)
	}
}

// TestSyncOffRotatesHistoryAfterACrash: without syncs positions may come to mean other
// events, so cursors of the time before are not trusted any more.
func TestSyncOffRotatesHistoryAfterACrash(t *testing.T) {
	t.Parallel()
	off := func(o *Options) { o.Sync = SyncOff }
	for _, percent := range []int{0, 50, 100} {
		fs := vfs.NewCrashableMem()
		d := reopen(t, "new", fs, off)
		first := d.history
		mustAppend(t, d, "a", 10)
		clone := crash(fs, percent, 1)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if d = reopen(t, "closed", fs, off); d.history != first {
			t.Error("a clean Close gave the store another history")
		}
		if d = reopen(t, "crashed", clone); d.history == first {
			t.Errorf("the history is the same after a crash with %d %% of unsynced data", percent)
		}
		second := d.history
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if d = reopen(t, "again", clone); d.history != second {
			t.Error("the history was rotated twice")
		}
	}
}

// TestSyncMakesEverythingDurable, with Sync off too: that is what it is for.
func TestSyncMakesEverythingDurable(t *testing.T) {
	t.Parallel()
	for _, mode := range []SyncMode{SyncAlways, SyncOff} {
		fs := vfs.NewCrashableMem()
		d := reopen(t, "new", fs, func(o *Options) { o.Sync = mode }, func(o *Options) {
			o.Tune = func(p *pebble.Options) { p.MemTableSize = 4 << 20 }
		})
		mustAppend(t, d, "a", 10)
		if _, err := d.Commit(t.Context(), &store.Txn{Puts: []store.Record{{Key: "j1"}}, NoSync: true}); err != nil {
			t.Fatal(err)
		}
		if err := d.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		again := reopen(t, "crashed", crash(fs, 0, 1))
		if _, err := again.Get(t.Context(), "j1"); err != nil || again.head.Load().position != 10 {
			t.Errorf("mode %d: head %d, record: %v", mode, again.head.Load().position, err)
		}
	}
}
