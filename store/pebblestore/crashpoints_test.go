package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/crashfs"
	"github.com/riffle-go/riffle/store"
)

// crashAt takes a crash before the nth write-side operation from now on.
type crashAt struct {
	fs      *crashfs.FS
	percent int
	n       int64
	count   atomic.Int64
	clone   atomic.Pointer[crashfs.FS]
	before  func() // runs before the crash is taken
}

func (c *crashAt) wrap() vfs.FS {
	return injected(c.fs, func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && c.count.Add(1) == c.n {
			if c.before != nil {
				c.before()
			}
			c.clone.Store(crash(c.fs, c.percent, uint64(c.n)))
		}
		return nil
	})
}

// everyPoint runs a scenario with a crash before its first write-side operation, its
// second, and so on until it has no more, each with 0, 50 and 100 % of unsynced data.
// prepare gives the disk to begin with.
func everyPoint(t *testing.T, prepare func() *crashfs.FS, scenario func(fs vfs.FS), check func(t *testing.T, how string, fs *crashfs.FS)) {
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
	everyPoint(t, crashfs.New, openAndClose(t, quiet), func(t *testing.T, how string, fs *crashfs.FS) {
		d := reopen(t, how, fs)
		if res := mustAppend(t, d, "a", 1); res.First != 1 {
			t.Errorf("%s: first position %d", how, res.First)
		}
	})
}

// filled is a disk with a store of 40 events that was not closed: its log is replayed.
func filled(t *testing.T, changes ...func(*Options)) func() *crashfs.FS {
	fs := crashfs.New()
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
	return func() *crashfs.FS { return crash(clone, 100, 1) }
}

func TestACrashWhileAStoreIsOpenedLosesNothing(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Options){"large memtable": quiet, "small memtable": small} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everyPoint(t, filled(t), openAndClose(t, change), func(t *testing.T, how string, fs *crashfs.FS) {
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
			c := &crashAt{fs: crashfs.New(), percent: percent, n: n}
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
	everyPoint(t, prepare, scenario, func(t *testing.T, how string, fs *crashfs.FS) {
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

// TestACrashWhileABackupIsOpenedNeverGivesItItsOldHistory: there are never two stores whose
// positions mean different events under one History, whenever the crash comes. Once the
// copy was open its new History stays, and so do the cursors that were given out.
func TestACrashWhileABackupIsOpenedNeverGivesItItsOldHistory(t *testing.T) {
	t.Parallel()
	fs := filled(t)()
	source, err := openRaw(fs, "db", quiet)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(source.Backup(t.Context(), "copy"), source.Close()); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Options){"large memtable": quiet, "small memtable": small} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var opened, closed event.ID
			scenario := func(fs vfs.FS) {
				d, err := openRaw(fs, "copy", change)
				if err != nil {
					t.Fatal(err)
				}
				opened = d.history
				mustAppend(t, d, "only-here", 1)
				if err := d.Close(); err != nil {
					t.Fatal(err)
				}
			}
			kept := 0
			everyPoint(t, func() *crashfs.FS { return crash(fs, 100, 1) }, scenario, func(t *testing.T, how string, fs *crashfs.FS) {
				for range 2 {
					d, err := openRaw(fs, "copy", change)
					if err != nil {
						t.Errorf("%s: %v", how, err)
						return
					}
					switch head := d.head.Load().position; {
					case head < 40 || head > 41:
						t.Errorf("%s: head %d", how, head)
					case d.history == source.history:
						t.Errorf("%s: the copy has the history of its source", how)
					case !closed.IsZero() && d.history != closed:
						t.Errorf("%s: the history changed when the copy was opened a second time", how)
					case head == 41 && d.history != opened:
						t.Errorf("%s: the copy has lost the history under which it took an event", how)
					case head == 41:
						kept++
					}
					closed = d.history
					if err := errors.Join(d.Verify(t.Context(), nil), d.Close()); err != nil {
						t.Errorf("%s: %v", how, err)
					}
				}
				closed = event.ID{}
			})
			if kept == 0 {
				t.Error("no crash came after the copy had taken an event")
			}
		})
	}
}
