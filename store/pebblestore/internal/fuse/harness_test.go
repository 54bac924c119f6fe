package fuse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/internal/crashfs"
)

// This file holds a small store in the shape every user of the fuse has, and what
// it must keep when the disk fails: run is the whole story from open to reopen.

// dbDir is the base name of the store's directory.
const dbDir = "db"

// node is a pebble.DB behind a fuse.
type node struct {
	fs *FS
	db *pebble.DB
}

// fatalLogger is the Logger of a store with a fuse: a Fatalf that returned would
// let Pebble acknowledge what is lost.
type fatalLogger struct{ fs *FS }

func (fatalLogger) Infof(string, ...any)  {}
func (fatalLogger) Errorf(string, ...any) {}
func (l fatalLogger) Fatalf(format string, args ...any) {
	l.fs.Trip(fmt.Errorf(format, args...))
	l.fs.Block()
}

// openNode opens the store in the directory dir of inner. Its memtables, files and MANIFEST are so small
// that it rotates, flushes and compacts all the time, unless tune changes that.
func openNode(inner vfs.FS, dir string, tune func(*pebble.Options)) (*node, error) {
	fs := Wrap(inner)
	o := &pebble.Options{
		FS:                    fs,
		Logger:                fatalLogger{fs},
		FormatMajorVersion:    pebble.FormatNewest,
		CacheSize:             1 << 20,
		MemTableSize:          32 << 10,
		MaxManifestFileSize:   1,
		L0CompactionThreshold: 2,
		EventListener: &pebble.EventListener{
			BackgroundError: fs.Trip,
			DataCorruption:  func(info pebble.DataCorruptionInfo) { fs.Trip(info.Details) },
		},
	}
	if tune != nil {
		tune(o)
	}
	db, err := pebble.Open(dir, o)
	if err != nil {
		return nil, err
	}
	fs.Arm()
	return &node{fs: fs, db: db}, nil
}

// set writes with a sync and waits for the answer or the failure, like any caller
// must that cannot afford to hang.
func (n *node) set(key, value []byte) error {
	done := make(chan error, 1)
	go func() { done <- n.db.Set(key, value, pebble.Sync) }()
	select {
	case err := <-done:
		return err
	case <-n.fs.Failed():
		return n.fs.Err()
	}
}

// ledger remembers the keys whose writes were acknowledged.
type ledger struct {
	mu   sync.Mutex
	keys [][]byte
}

func (l *ledger) add(key []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keys = append(l.keys, key)
}

func (l *ledger) snapshot() [][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.keys[:len(l.keys):len(l.keys)]
}

func valueOf(key []byte) []byte { return bytes.Repeat(key, 20) }

// verify reads every acknowledged key, point by point and in one scan.
func (l *ledger) verify(db *pebble.DB) error {
	keys := l.snapshot()
	for _, key := range keys {
		got, closer, err := db.Get(key)
		if err != nil {
			return fmt.Errorf("get %s, which was acknowledged: %w", key, err)
		}
		same := bytes.Equal(got, valueOf(key))
		if err := closer.Close(); err != nil {
			return err
		}
		if !same {
			return fmt.Errorf("get %s: wrong value", key)
		}
	}
	it, err := db.NewIter(nil)
	if err != nil {
		return err
	}
	seen := 0
	for ok := it.First(); ok; ok = it.Next() {
		if !bytes.Equal(it.Value(), valueOf(it.Key())) {
			return errors.Join(fmt.Errorf("scan: wrong value at %s", it.Key()), it.Close())
		}
		seen++
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return err
	}
	if seen < len(keys) {
		return fmt.Errorf("a scan finds %d keys, %d were acknowledged", seen, len(keys))
	}
	return nil
}

// load is what works on a node while its disk fails.
type load struct {
	writers, readers int
	// trigger is started once when the fault is switched on; nil for none. It may
	// never return.
	trigger func(*pebble.DB)
}

// run opens a store in the directory dir of the good file system base, through bad,
// which lies in front of it; works on it, switches the fault on, and checks
// everything a fuse promises: the process lives, every writer gets an answer, reads
// go on, and after Abandon the directory opens in this process with everything that
// was acknowledged, even if the machine crashes first (which a crashable MemFS can
// tell). It returns the failure.
func run(t *testing.T, base, bad vfs.FS, dir string, flt *fault, tune func(*pebble.Options), work load) *Error {
	t.Helper()
	n, err := openNode(bad, dir, tune)
	if err != nil {
		t.Fatal(err)
	}
	var acked ledger
	stop := make(chan struct{})
	var writers, readers sync.WaitGroup
	var wrote, readAfter atomic.Int64
	for w := range work.writers {
		writers.Go(func() {
			for i := 0; ; i++ {
				key := fmt.Appendf(nil, "w%02d/%06d", w, i)
				switch err := n.set(key, valueOf(key)); {
				case err == nil:
					acked.add(key)
					wrote.Add(1)
				case errors.Is(err, ErrBlown):
					return
				default:
					t.Errorf("set: %v, want success or ErrBlown", err)
					return
				}
				select {
				case <-stop: // only when the test has failed already
					return
				default:
				}
			}
		})
	}
	for range work.readers {
		readers.Go(func() {
			for {
				var failed bool
				select {
				case <-n.fs.Failed():
					failed = true
				case <-stop:
					return
				default:
				}
				if err := acked.verify(n.db); err != nil {
					t.Errorf("read, failed = %v: %v", failed, err)
					return
				}
				if failed {
					readAfter.Add(1)
				}
			}
		})
	}

	eventually(t, "the writers work", func() bool { return wrote.Load() >= 50 })
	flt.on.Store(true)
	if work.trigger != nil {
		go work.trigger(n.db)
	}
	receive(t, "the fuse blows", n.fs.Failed())
	receive(t, "every writer has its answer", closed(writers.Wait))
	eventually(t, "reads go on", func() bool { return t.Failed() || readAfter.Load() >= int64(2*work.readers) })
	close(stop)
	receive(t, "the readers end", closed(readers.Wait))

	if _, err := openNode(base, dir, tune); err == nil {
		t.Fatal("the directory was opened while the failed store held it")
	}
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if err := n.fs.Abandon(ctx); err != nil {
		t.Fatalf("Abandon: %v", err)
	}
	if mem, ok := base.(*crashfs.FS); ok {
		if err := reopen(mem.CrashClone(vfs.CrashCloneCfg{}), dir, tune, &acked); err != nil {
			t.Errorf("reopened after a crash: %v", err)
		}
	}
	if err := reopen(base, dir, tune, &acked); err != nil {
		t.Errorf("reopened: %v", err)
	}
	if n.fs.Parked() == 0 {
		t.Error("nothing is parked: the failure has returned to Pebble")
	}
	blown, ok := errors.AsType[*Error](n.fs.Err())
	if !ok {
		t.Fatalf("Err() = %v, want an *Error", n.fs.Err())
	}
	return blown
}

// reopen opens the store again on a disk that is well, and uses it.
func reopen(fs vfs.FS, dir string, tune func(*pebble.Options), acked *ledger) error {
	n, err := openNode(fs, dir, tune)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	if err := acked.verify(n.db); err != nil {
		return err
	}
	for i := range 300 {
		key := fmt.Appendf(nil, "z%06d", i)
		if err := n.set(key, valueOf(key)); err != nil {
			return fmt.Errorf("set: %w", err)
		}
	}
	if err := n.db.Flush(); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	if err := acked.verify(n.db); err != nil {
		return err
	}
	if err := n.db.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return n.fs.Err()
}

// closed returns a channel that is closed when wait returns.
func closed(wait func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		wait()
	}()
	return done
}

// answer runs call, which must return in time.
func answer(t *testing.T, what string, call func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- call() }()
	select {
	case err := <-done:
		return err
	case <-time.After(deadline):
		return fmt.Errorf("%s hangs", what)
	}
}
