package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/riffle-go/riffle/internal/crashfs"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore/internal/fuse"
)

// errDisk is the error of a broken disk.
var errDisk = errors.New("disk is broken")

// opNames are the write-side operations that errorfs can fail.
var opNames = map[errorfs.OpKind]string{
	errorfs.OpCreate: "create", errorfs.OpLink: "link", errorfs.OpOpenDir: "opendir", errorfs.OpRemove: "remove",
	errorfs.OpRename: "rename", errorfs.OpReuseForWrite: "reuse", errorfs.OpFilePreallocate: "preallocate",
	errorfs.OpFileWrite: "write", errorfs.OpFileWriteAt: "writeat", errorfs.OpFileSync: "sync",
	errorfs.OpFileSyncData: "syncdata", errorfs.OpFileSyncTo: "syncto", errorfs.OpMkdirAll: "mkdir",
}

// call is a kind of operation on a kind of file, the unit in which faults are tried.
func call(op errorfs.Op) (string, bool) {
	name, ok := opNames[op.Kind]
	if !ok {
		return "", false
	}
	base := path.Base(op.Path)
	file := base
	switch ext := path.Ext(base); {
	case ext == ".log" || ext == ".sst" || ext == ".blob":
		file = ext[1:]
	case strings.HasPrefix(base, "marker."), strings.HasPrefix(base, "MANIFEST-"), strings.HasPrefix(base, "OPTIONS-"):
		file, _, _ = strings.Cut(strings.Replace(base, "marker.", "marker-", 1), ".")
		file, _, _ = strings.Cut(file, "-0")
	}
	return name + " " + file, true
}

// fault fails the nth call of one kind once, when it is switched on.
type fault struct {
	call  string
	nth   int64
	err   error
	on    atomic.Bool
	count atomic.Int64
	fired atomic.Bool
}

func (f *fault) wrap(fs vfs.FS) vfs.FS {
	return injected(fs, func(op errorfs.Op) error {
		if !f.on.Load() {
			return nil
		}
		if name, ok := call(op); ok && name == f.call && f.count.Add(1) == f.nth {
			f.fired.Store(true)
			return f.err
		}
		return nil
	})
}

// watch records the calls that a scenario makes.
type watch struct {
	mu    sync.Mutex
	on    atomic.Bool
	calls map[string]int
}

func (w *watch) wrap(fs vfs.FS) vfs.FS {
	w.calls = map[string]int{}
	return injected(fs, func(op errorfs.Op) error {
		if name, ok := call(op); ok && w.on.Load() {
			w.mu.Lock()
			w.calls[name]++
			w.mu.Unlock()
		}
		return nil
	})
}

// crowd is 64 writers and 4 readers.
func crowd(d *driver, l *ledger, reads func(bool)) load {
	return load{d: d, l: l, appends: 48, pairs: 12, lazies: 4, readers: 4, reads: reads}
}

// TestEveryWriteSideFailureUnderLoad lets each kind of write-side call that a busy store
// makes fail once, early and late, and checks the whole promise: the process lives, every
// caller gets an answer, reads go on, the directory opens again in this process, and
// neither that nor a crash right then takes back what was acknowledged or read.
func TestEveryWriteSideFailureUnderLoad(t *testing.T) {
	t.Parallel()
	calls := busyCalls(t)
	for _, must := range []string{"write log", "create log", "create MANIFEST", "sync MANIFEST", "write MANIFEST", "create sst", "write sst", "syncdata log", "syncdata sst", "sync db", "remove sst", "create marker-manifest"} {
		if calls[must] == 0 {
			t.Errorf("a busy store makes no call %q; it makes %v", must, calls)
		}
	}
	for call, n := range calls {
		late := int64(min(max(n/4, 2), 20))
		for _, nth := range []int64{1, late} {
			t.Run(fmt.Sprintf("%s %d", call, nth), func(t *testing.T) {
				t.Parallel()
				breakUnderLoad(t, &fault{call: call, nth: nth, err: errDisk})
			})
			if !*long {
				break
			}
		}
	}
}

// busyCalls are the calls that a store makes under load.
func busyCalls(t *testing.T) map[string]int {
	t.Helper()
	var w watch
	d, err := openRaw(w.wrap(vfs.NewMem()), "db", small)
	if err != nil {
		t.Fatal(err)
	}
	w.on.Store(true)
	stop := make(chan struct{})
	done := make(chan error, 1)
	l := newLedger()
	go func() { done <- crowd(d, l, nil).run(context.Background(), stop) }()
	reach(t, d, 6000, done)
	close(stop)
	if err := errors.Join(<-done, d.Close()); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls
}

func breakUnderLoad(t *testing.T, f *fault) {
	fs := crashfs.New()
	d, err := openRaw(f.wrap(fs), "db", small)
	if err != nil {
		t.Fatal(err)
	}
	l := newLedger()
	stop, done := make(chan struct{}), make(chan error, 1)
	readsAfter := make(chan struct{}, 1)
	go func() {
		done <- crowd(d, l, func(failed bool) {
			if failed {
				select {
				case readsAfter <- struct{}{}:
				default:
				}
			}
		}).run(context.Background(), stop)
	}()
	f.on.Store(true)
	within(t, "the failure", func() { <-d.Failed() })
	if !f.fired.Load() {
		t.Errorf("the store failed of something else: %v", d.Err())
	}
	within(t, "a read after the failure", func() { <-readsAfter })
	clone := promised{nil, l.clone(), "crash after " + f.call}
	clone.fs = crash(fs, 0, 1)
	if err := d.Err(); !errors.Is(err, store.ErrFailed) || !errors.Is(err, errDisk) {
		t.Errorf("Err = %v, want ErrFailed with the disk's error", err)
	}
	if _, err := d.try(t.Context(), appending("late", store.Any, 1)); !errors.Is(err, store.ErrFailed) {
		t.Errorf("append after the failure: %v", err)
	}
	if err := d.Sync(t.Context()); !errors.Is(err, store.ErrFailed) {
		t.Errorf("Sync after the failure: %v", err)
	}
	if err := d.Verify(t.Context(), nil); err != nil {
		t.Errorf("Verify after the failure: %v", err)
	}
	close(stop)
	within(t, "the callers", func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	within(t, "Close", func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	promised{fs, l, "opened in the same process"}.recover(t, l)
	clone.recover(t, l)
}

// TestEveryWriteSideFailureAtRest: nothing but one append, one lazy commit and Close, each
// of their calls failing in turn.
func TestEveryWriteSideFailureAtRest(t *testing.T) {
	t.Parallel()
	scenario := func(fs vfs.FS, on *atomic.Bool, l *ledger) error {
		d, err := openRaw(fs, "db", quiet)
		if err != nil {
			return err
		}
		a := appending("a", store.Any, 3)
		res, err := d.try(t.Context(), a)
		if err != nil {
			return err
		}
		_ = l.acked(a, res)
		on.Store(true)
		l.attempt("z", 1)
		_, err = d.Commit(t.Context(), pairTxn("z", 1, false, true))
		if err == nil || errors.Is(err, store.ErrFailed) {
			a = appending("a", store.Any, 1)
			if res, err = d.try(t.Context(), a); err == nil {
				_ = l.acked(a, res)
				l.durable("z", 1)
			}
		}
		if err != nil && !errors.Is(err, store.ErrFailed) {
			t.Errorf("append: %v", err)
		}
		if err := d.Close(); err != nil && !errors.Is(err, store.ErrFailed) {
			t.Errorf("close: %v", err)
		}
		return nil
	}
	var w watch
	if err := scenario(w.wrap(vfs.NewMem()), &w.on, newLedger()); err != nil {
		t.Fatal(err)
	}
	tried := 0
	for call, n := range w.calls {
		for nth := 1; nth <= n; nth++ {
			tried++
			f := &fault{call: call, nth: int64(nth), err: errDisk}
			fs, l := crashfs.New(), newLedger()
			within(t, f.call, func() {
				if err := scenario(f.wrap(fs), &f.on, l); err != nil {
					t.Errorf("%s: %v", f.call, err)
				}
			})
			promised{crash(fs, 0, 1), l, "crash after " + f.call}.recover(t, l)
			promised{fs, l, "after " + f.call}.recover(t, l)
		}
	}
	if tried < 3 {
		t.Errorf("only %d calls were tried: %v", tried, w.calls)
	}
}

// TestEveryFailureOfOpen: Open answers with the error, frees the directory, and the next
// Open finds everything.
func TestEveryFailureOfOpen(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func() *crashfs.FS{
		"new store": crashfs.New, "log to replay": filled(t), "dirty": filled(t, func(o *Options) { o.Sync = SyncOff }),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failures := 0
			for nth := int64(1); ; nth++ {
				fs := prepare()
				var count atomic.Int64
				bad := injected(fs, func(op errorfs.Op) error {
					// An error of the lock itself cannot be told from a lock that is held. One of the
					// last listing, behind the replay, Pebble meets with compactions under way, and
					// panics in one of them; nothing above it can prevent that.
					if op.Kind != errorfs.OpLock && op.Kind != errorfs.OpList && count.Add(1) == nth {
						return errDisk
					}
					return nil
				})
				var d *driver
				var err error
				within(t, fmt.Sprint("call ", nth), func() {
					if d, err = openRaw(bad, "db", small); err == nil {
						err = d.Close()
					}
				})
				if err != nil {
					failures++
					// where Pebble calls Fatalf, only the text of the disk's error is left
					if !errors.Is(err, errDisk) && !(errors.Is(err, store.ErrFailed) && strings.Contains(err.Error(), errDisk.Error())) {
						t.Errorf("call %d: %v, want the disk's error", nth, err)
					}
				}
				again := reopen(t, fmt.Sprint("after call ", nth), fs)
				if head := again.head.Load().position; name != "new store" && head != 40 {
					t.Errorf("call %d: head %d", nth, head)
				}
				if count.Load() < nth || t.Failed() {
					break
				}
			}
			if failures < 10 {
				t.Errorf("only %d failures", failures)
			}
		})
	}
}

// TestAFullDiskThatReachesPebbleFailsTheStore with an error that says so.
func TestAFullDiskThatReachesPebbleFailsTheStore(t *testing.T) {
	t.Parallel()
	fs := crashfs.New()
	f := &fault{call: "write log", nth: 1, err: syscall.ENOSPC}
	d, err := openRaw(f.wrap(fs), "db", quiet)
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, d, "a", 1)
	f.on.Store(true)
	_, err = d.try(t.Context(), appending("a", store.Any, 1))
	if !errors.Is(err, store.ErrFailed) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("append: %v", err)
	}
	if cause, ok := errors.AsType[*fuse.Error](err); !ok || cause.ErrorType() != "disk_full" {
		t.Errorf("cause: %v", cause)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if d := reopen(t, "again", fs); d.head.Load().position != 1 && d.head.Load().position != 2 {
		t.Errorf("head %d", d.head.Load().position)
	}
}
