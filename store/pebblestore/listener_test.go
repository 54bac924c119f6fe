package pebblestore

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore/internal/fuse"
)

// listening is what Pebble is given to tell of its troubles.
func listening(d *driver) *pebble.Options {
	p := &pebble.Options{}
	d.observe(p)
	return p
}

// TestWhatPebbleTellsFailsTheStore: some failures the file system does not see.
func TestWhatPebbleTellsFailsTheStore(t *testing.T) {
	t.Parallel()
	for name, tell := range map[string]func(p *pebble.Options){
		"a fatal error":               func(p *pebble.Options) { p.Logger.Fatalf("%w", errDisk) },
		"an error in background work": func(p *pebble.Options) { p.EventListener.BackgroundError(errDisk) },
		"corrupt data in a file":      func(p *pebble.Options) { p.EventListener.DataCorruption(pebble.DataCorruptionInfo{Details: errDisk}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := openRaw(vfs.NewMem(), "db", quiet)
			if err != nil {
				t.Fatal(err)
			}
			mustAppend(t, d, "a", 1)
			returned := make(chan struct{})
			go func() {
				defer close(returned)
				tell(listening(d))
			}()
			within(t, "the failure", func() { <-d.Failed() })
			if err := d.Err(); !errors.Is(err, store.ErrFailed) || !errors.Is(err, errDisk) {
				t.Errorf("Err = %v, want ErrFailed with what Pebble told", err)
			}
			if _, err := d.try(t.Context(), appending("a", store.Any, 1)); !errors.Is(err, store.ErrFailed) {
				t.Errorf("append: %v", err)
			}
			if events, err := scanAll(t.Context(), d, store.Scan{}); err != nil || len(events) != 1 {
				t.Errorf("%d events, %v; want reads to go on", len(events), err)
			}
			if name == "a fatal error" { // Pebble would go on as if nothing had happened
				eventually(t, "Fatalf stays", func() bool { return d.fuse.Parked() > 0 })
				select {
				case <-returned:
					t.Error("Fatalf has returned")
				default:
				}
			}
			within(t, "Close", func() {
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestACloseThatFailsSaysSo: nobody else would, for all calls before it have succeeded.
func TestACloseThatFailsSaysSo(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	f := &fault{call: "create sst", nth: 1, err: errDisk}
	d, err := openRaw(f.wrap(fs), "db", quiet)
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, d, "a", 1)
	f.on.Store(true)
	within(t, "Close", func() {
		if err := d.Close(); !errors.Is(err, store.ErrFailed) || !errors.Is(err, errDisk) {
			t.Errorf("close: %v, want ErrFailed with the disk's error", err)
		}
	})
	if d := reopen(t, "again", fs); d.head.Load().position != 1 {
		t.Errorf("head %d, want 1", d.head.Load().position)
	}
}

// TestBackgroundWorkArmsTheFuse: it can begin before Open has returned, and an error in it
// would be a panic that nobody can recover.
func TestBackgroundWorkArmsTheFuse(t *testing.T) {
	t.Parallel()
	for name, begin := range map[string]func(l *pebble.EventListener){
		"a flush":      func(l *pebble.EventListener) { l.FlushBegin(pebble.FlushInfo{}) },
		"a compaction": func(l *pebble.EventListener) { l.CompactionBegin(pebble.CompactionInfo{}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fs := fuse.Wrap(injected(vfs.NewMem(), func(op errorfs.Op) error {
				if op.Kind == errorfs.OpCreate {
					return errDisk
				}
				return nil
			}))
			d := &driver{fuse: fs, opts: Options{Store: store.Options{Logger: slog.New(slog.DiscardHandler)}}}
			if _, err := fs.Create("file", vfs.WriteCategoryUnspecified); !errors.Is(err, errDisk) {
				t.Errorf("before it: %v, want the disk's error", err)
			}
			begin(listening(d).EventListener)
			go func() { _, _ = fs.Create("file", vfs.WriteCategoryUnspecified) }()
			within(t, "the failure", func() { <-fs.Failed() })
			eventually(t, "the call stays", func() bool { return fs.Parked() == 1 })
		})
	}
}

// TestAFailedPebbleTriesAgainSlowly: its background work goes on for ever and cannot be ended.
func TestAFailedPebbleTriesAgainSlowly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &driver{fuse: fuse.Wrap(vfs.NewMem()), opts: Options{Store: store.Options{Logger: slog.New(slog.DiscardHandler)}}}
		l := listening(d).EventListener
		began := time.Now()
		l.BackgroundError(errDisk)
		if took := time.Since(began); took != 0 || !d.failed() {
			t.Errorf("the first error took %v, and the store has failed: %t", took, d.failed())
		}
		for range 3 {
			l.BackgroundError(errDisk)
		}
		if took := time.Since(began); took < 3*retryPause {
			t.Errorf("three more errors took %v", took)
		}
	})
}

// TestAnErrorOfOpenIsNoFailure: nothing has been promised yet, so the error is returned as
// it is, and it is not said that the store failed. (With some errors Pebble calls Fatalf in
// Open too; of those TestEveryFailureOfOpen wants an answer.)
func TestAnErrorOfOpenIsNoFailure(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"create log", "opendir db", "create MANIFEST"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			f := &fault{call: call, nth: 1, err: errDisk}
			f.on.Store(true)
			d, err := openRaw(f.wrap(vfs.NewMem()), "db", quiet)
			if err == nil {
				err = d.Close()
			}
			if !f.fired.Load() || !errors.Is(err, errDisk) || errors.Is(err, store.ErrFailed) {
				t.Errorf("open: %v; the disk has failed: %t", err, f.fired.Load())
			}
		})
	}
}

// TestAFailureIsLoggedOnce: nobody may be writing when the disk fails, and the operator wants to
// know all the same. Pebble cannot say it, which sees nothing of the error.
func TestAFailureIsLoggedOnce(t *testing.T) {
	t.Parallel()
	out := make(lines, 64)
	f := &fault{call: "write log", nth: 1, err: errDisk}
	d, err := openRaw(f.wrap(vfs.NewMem()), "db", func(o *Options) {
		o.Store.Logger, o.Store.Name = slog.New(slog.NewTextHandler(out, nil)), "ledger"
	})
	if err != nil {
		t.Fatal(err)
	}
	f.on.Store(true)
	go func() { _, _ = d.try(context.Background(), appending("a", store.Any, 1)) }()
	var line string
	within(t, "a line about it", func() {
		for line = range out {
			if strings.Contains(line, "store failed") {
				return
			}
		}
	})
	if !strings.Contains(line, "store=ledger") || !strings.Contains(line, errDisk.Error()) {
		t.Errorf("the log says %s", line)
	}
	_ = d.Close() // which waits for who writes it down
	for len(out) > 0 {
		if line := <-out; strings.Contains(line, "store failed") {
			t.Errorf("and once more: %s", line)
		}
	}
}

// lines are those of a log; what is more than they hold is lost.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	select {
	case l <- string(b):
	default:
	}
	return len(b), nil
}
