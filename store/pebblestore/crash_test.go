package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/riffle-go/riffle/internal/crashfs"
	"github.com/riffle-go/riffle/store"
)

// crash is a state that a disk may be in after a crash: what was synced, and some of what
// was not.
func crash(fs *crashfs.FS, percent int, seed uint64) *crashfs.FS {
	return fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(seed, 1))})
}

// promised is a crash and what had been promised before it.
type promised struct {
	fs  *crashfs.FS
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
	for round := range rounds(4, 50) {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Log("seed", seed)
			rng := rand.New(rand.NewPCG(seed, 0))
			fs := crashfs.New()
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
				next += 30 + rng.Uint64N(120)
				reach(t, d, next, done)
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

// TestLazyCommitsAreLostFromTheEndOnly: what is left of commits that were not synced is a
// beginning of them, and holds everything before the last synced commit.
func TestLazyCommitsAreLostFromTheEndOnly(t *testing.T) {
	t.Parallel()
	lost := false
	for seed := range uint64(rounds(12, 200)) {
		fs := crashfs.New()
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
	fs := crashfs.New()
	synced := make(chan struct{}, 1000)
	d, err := openRaw(injected(fs, func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
			synced <- struct{}{}
		}
		return nil
	}), "db", quiet)
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
	within(t, "a sync", func() { <-synced }) // it begins; a Sync of ours comes behind it
	if err := d.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := reopen(t, "crash", crash(fs, 0, 1))
	if _, err := again.Get(t.Context(), "j1"); err != nil {
		t.Error(err)
	}
}

// TestALazyCommitIsDurableAfter100ms, also when others come behind it all the time.
func TestALazyCommitIsDurableAfter100ms(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fs := crashfs.New()
		d, err := openRaw(fs, "db", quiet)
		if err != nil {
			t.Fatal(err)
		}
		var returned []time.Time
		for i := range 40 {
			if _, err := d.Commit(t.Context(), &store.Txn{Puts: []store.Record{{Key: fmt.Sprintf("j%03d", i)}}, NoSync: true}); err != nil {
				t.Fatal(err)
			}
			returned = append(returned, time.Now())
			time.Sleep(20 * time.Millisecond) // of the bubble
			synctest.Wait()
			least := 0
			for _, at := range returned {
				if time.Since(at) >= 100*time.Millisecond {
					least++
				}
			}
			if n := durableRecords(t, fs); n < least {
				t.Fatalf("a crash leaves %d of %d lazy commits, %d of them were made 100 ms ago", n, i+1, least)
			}
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}

// durableRecords counts the records that a crash at this moment leaves.
func durableRecords(t *testing.T, fs *crashfs.FS) int {
	t.Helper()
	d, err := openRaw(crash(fs, 0, 1), "db", quiet)
	if err != nil {
		t.Fatal(err)
	}
	recs, err := d.List(t.Context(), "j", "", 1000)
	if err := errors.Join(err, d.Close()); err != nil {
		t.Fatal(err)
	}
	return len(recs)
}

// TestCloseMakesLazyCommitsDurable, those that have been answered.
func TestCloseMakesLazyCommitsDurable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fs := crashfs.New()
		d, err := openRaw(fs, "db", quiet)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Commit(t.Context(), &store.Txn{Puts: []store.Record{{Key: "j1"}}, NoSync: true}); err != nil {
			t.Fatal(err)
		}
		if n := durableRecords(t, fs); n != 0 {
			t.Fatal("it is durable already: the test shows nothing")
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if n := durableRecords(t, fs); n != 1 {
			t.Error("a crash after Close loses a commit")
		}
	})
}

// TestALazyCommitGoesWithWhateverGoes: with an append, with a synced commit, with a Sync; and
// after 5 ms by itself.
func TestALazyCommitGoesWithWhateverGoes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		with func(ctx context.Context, d *driver) error
		took time.Duration
	}{
		"append": {func(ctx context.Context, d *driver) error {
			_, err := d.try(ctx, appending("a", store.Any, 1))
			return err
		}, 0},
		"synced commit": {func(ctx context.Context, d *driver) error {
			_, err := d.Commit(ctx, &store.Txn{Puts: []store.Record{{Key: "j2"}}})
			return err
		}, 0},
		"sync":    {func(ctx context.Context, d *driver) error { return d.Sync(ctx) }, 0},
		"nothing": {func(context.Context, *driver) error { return nil }, 5 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d, err := openRaw(vfs.NewMem(), "db", quiet)
				if err != nil {
					t.Fatal(err)
				}
				began, done := time.Now(), make(chan error, 1)
				go func() {
					_, err := d.Commit(t.Context(), &store.Txn{Puts: []store.Record{{Key: "j1"}}, NoSync: true})
					done <- err
				}()
				synctest.Wait()
				if len(done) > 0 {
					t.Error("it did not wait for company")
				}
				if err := c.with(t.Context(), d); err != nil {
					t.Error(err)
				}
				if err := <-done; err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took != c.took {
					t.Errorf("it took %v, want %v", took, c.took)
				}
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestSyncOffRotatesHistoryAfterACrash: without syncs positions may come to mean other
// events, so cursors of the time before are not trusted any more.
func TestSyncOffRotatesHistoryAfterACrash(t *testing.T) {
	t.Parallel()
	off := func(o *Options) { o.Sync = SyncOff }
	for _, percent := range []int{0, 50, 100} {
		fs := crashfs.New()
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
		fs := crashfs.New()
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
