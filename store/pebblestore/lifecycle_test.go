package pebblestore

import (
	"bufio"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/crashfs"
	"github.com/riffle-go/riffle/store"
)

func TestASecondOpenIsLockedOutWithAHint(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := reopenIn(t, vfs.Default, dir)
	mem := vfs.NewMem()
	reopen(t, "mem", mem)
	for name, try := range map[string]func() error{
		"disk":      func() error { _, err := openRaw(vfs.Default, dir); return err },
		"read-only": func() error { _, err := openRaw(vfs.Default, dir, func(o *Options) { o.ReadOnly = true }); return err },
		"memory":    func() error { _, err := openRaw(mem, "db"); return err },
	} {
		if err := try(); !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), "admin API") {
			t.Errorf("%s: %v, want ErrLocked with a hint", name, err)
		}
	}
	mustAppend(t, d, "a", 1) // the refused ones did no harm
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	reopenIn(t, vfs.Default, dir)
}

// reopenIn is reopen in another directory.
func reopenIn(t *testing.T, fs vfs.FS, dir string, changes ...func(*Options)) *driver {
	t.Helper()
	d, err := openRaw(fs, dir, append([]func(*Options){quiet}, changes...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Verify(context.Background(), nil); err != nil && !errors.Is(err, store.ErrClosed) {
			t.Error(err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestASecondProcessIsLockedOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := child(t, "hold", dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "open\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	if _, err := openRaw(vfs.Default, dir); !errors.Is(err, store.ErrLocked) {
		t.Errorf("open beside another process: %v", err)
	}
	if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
		t.Fatal(err)
	}
	reopenIn(t, vfs.Default, dir)
}

func TestAnythingAfterCloseIsErrClosed(t *testing.T) {
	t.Parallel()
	d := openDriver(t, nil, nil)
	mustAppend(t, d, "s0", 3)
	if err := errors.Join(d.Verify(t.Context(), nil), d.Close(), d.Close()); err != nil {
		t.Fatal(err)
	}
	calls := reads(t, d)
	calls["sync"] = func() error { return d.Sync(t.Context()) }
	calls["wait"] = func() error { return d.Wait(t.Context(), 100, nil) }
	calls["backup"] = func() error { return d.Backup(t.Context(), "copy") }
	calls["claim"] = func() error {
		_, err := d.Claim(t.Context(), store.Claim{Key: termKey, Worker: event.NewID(), TTL: patience})
		return err
	}
	delete(calls, "time") // of a store with few events; Store checks it before
	for what, call := range calls {
		within(t, what, func() {
			if err := call(); !errors.Is(err, store.ErrClosed) {
				t.Errorf("%s: %v, want ErrClosed", what, err)
			}
		})
	}
}

// TestCloseDuringWork: every caller gets its answer or ErrClosed, what was acknowledged is
// there afterwards, and waiters are woken.
func TestCloseDuringWork(t *testing.T) {
	t.Parallel()
	for round := range rounds(5, 40) {
		fs := crashfs.New()
		d, err := openRaw(fs, "db", small)
		if err != nil {
			t.Fatal(err)
		}
		l := newLedger()
		stop, done := make(chan struct{}), make(chan error, 1)
		go func() { done <- crowd(d, l, nil).run(context.Background(), stop) }()
		var waits sync.WaitGroup
		for _, wait := range []func() error{
			func() error { return d.Wait(context.Background(), 1<<40, []store.Match{{Aggregate: "test/never"}}) },
			func() error { return d.Verify(context.Background(), nil) },
		} {
			waits.Go(func() {
				if err := wait(); err != nil && !errors.Is(err, store.ErrClosed) {
					t.Error(err)
				}
			})
		}
		for d.head.Load().position < uint64(100*(round%10+1)) {
			if err := d.Wait(t.Context(), 0, nil); err != nil {
				t.Fatal(err)
			}
		}
		var closers sync.WaitGroup
		for range 3 {
			closers.Go(func() {
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		within(t, "Close", closers.Wait)
		within(t, "callers", func() {
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
		within(t, "waiters", waits.Wait)
		close(stop)
		// a clean end made lazy commits durable too: nothing at all is lost
		promised{crash(fs, 0, 1), l, "closed"}.recover(t, l)
	}
}

// interrupted is a context that closes the store when a call first looks at it.
type interrupted struct {
	context.Context
	close func()
}

func (c interrupted) Err() error {
	c.close()
	return c.Context.Err()
}

func (c interrupted) Done() <-chan struct{} {
	c.close()
	return c.Context.Done()
}

// TestACallThatCloseOvertakesIsErrClosed: it had begun, and looks at Pebble when that is
// closed.
func TestACallThatCloseOvertakesIsErrClosed(t *testing.T) {
	t.Parallel()
	for what, call := range map[string]func(context.Context, *driver) error{
		"log":    func(ctx context.Context, d *driver) error { _, err := scanAll(ctx, d, store.Scan{}); return err },
		"stream": func(ctx context.Context, d *driver) error { _, err := d.Stream(ctx, things.Stream("a")); return err },
		"streams": func(ctx context.Context, d *driver) error {
			_, err := d.Streams(ctx, things, store.Range{})
			return err
		},
		"time":      func(ctx context.Context, d *driver) error { _, err := d.PositionAt(ctx, d.now()); return err },
		"get":       func(ctx context.Context, d *driver) error { _, err := d.Get(ctx, "n1"); return err },
		"list":      func(ctx context.Context, d *driver) error { _, err := d.List(ctx, "n", "", 1); return err },
		"verify":    func(ctx context.Context, d *driver) error { return d.Verify(ctx, nil) },
		"usage":     func(ctx context.Context, d *driver) error { _, err := d.Usage(ctx); return err },
		"backup":    func(ctx context.Context, d *driver) error { return d.Backup(ctx, "copy") },
		"sync":      func(ctx context.Context, d *driver) error { return d.Sync(ctx) },
		"wait":      func(ctx context.Context, d *driver) error { return d.Wait(ctx, 1<<40, nil) },
		"wait free": func(ctx context.Context, d *driver) error { return d.WaitFree(ctx, termKey) },
		"append": func(ctx context.Context, d *driver) error {
			_, err := d.try(ctx, appending("a", store.Any, 1))
			return err
		},
		"append to a stream that is not in the cache": func(ctx context.Context, d *driver) error {
			_, err := d.try(ctx, appending("b", store.Any, 1))
			return err
		},
		"claim": func(ctx context.Context, d *driver) error {
			_, err := d.Claim(ctx, store.Claim{Key: "st/other", Worker: event.NewID(), TTL: patience})
			return err
		},
	} {
		d := openDriver(t, nil, quiet)
		mustAppend(t, d, "a", 3)
		claim(t, d, event.NewID(), false)
		ctx := interrupted{t.Context(), sync.OnceFunc(func() {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})}
		within(t, what, func() {
			if err := call(ctx, d); !errors.Is(err, store.ErrClosed) {
				t.Errorf("%s: %v, want ErrClosed", what, err)
			}
		})
	}
}
