package pebblestore

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore/internal/fuse"
)

// watched is a context that tells when a call begins to wait for it.
type watched struct {
	context.Context
	waits func()
}

func (w watched) Done() <-chan struct{} {
	w.waits()
	return w.Context.Done()
}

// waiting runs a call and returns when it waits; its error comes later.
func waiting(t *testing.T, ctx context.Context, call func(context.Context) error) <-chan error {
	t.Helper()
	begun, err := make(chan struct{}), make(chan error, 1)
	go func() { err <- call(watched{ctx, sync.OnceFunc(func() { close(begun) })}) }()
	within(t, "the beginning of a call", func() { <-begun })
	return err
}

// syncsOf tells of the syncs of a disk, when they begin.
func syncsOf(disk vfs.FS, begin chan<- struct{}) vfs.FS {
	return injected(disk, func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSyncData {
			begin <- struct{}{}
		}
		return nil
	})
}

// TestAFailureAnswersEveryCaller, whatever it waits for, while the disk never comes back.
func TestAFailureAnswersEveryCaller(t *testing.T) {
	t.Parallel()
	disk, copying := &slowSync{FS: vfs.NewMem()}, make(chan struct{})
	began := sync.OnceFunc(func() { close(copying) })
	d := openDriver(t, injected(disk, func(op errorfs.Op) error {
		if strings.HasPrefix(op.Path, "copy.partial") {
			began()
		}
		return nil
	}), quiet)
	worker := event.NewID()
	term := claim(t, d, worker, false)
	release := disk.hold(t)
	calls := map[string]<-chan error{}
	cancelled, cancel := context.WithCancel(t.Context())
	calls["an append that is written, cancelled"] = waiting(t, cancelled, func(ctx context.Context) error {
		_, err := d.try(ctx, appending("taken", store.Any, 1))
		return err
	})
	eventually(t, "its batch is being synced", func() bool { return visible(t, d, "taken") > 0 })
	cancel()
	for what, call := range map[string]func(context.Context) error{
		"a queued append": func(ctx context.Context) error {
			_, err := d.try(ctx, appending("queued", store.Any, 1))
			return err
		},
		"a lazy commit": func(ctx context.Context) error {
			_, err := d.Commit(ctx, pairTxn("z", 1, false, true))
			return err
		},
		"a claim": func(ctx context.Context) error {
			_, err := d.Claim(ctx, store.Claim{Key: "st/other", Worker: worker, TTL: patience})
			return err
		},
		"Sync": func(ctx context.Context) error { return d.Sync(ctx) },
		"Wait": func(ctx context.Context) error { return d.Wait(ctx, 1<<40, nil) },
		"a wait for a name": func(ctx context.Context) error {
			return d.Wait(ctx, 1<<40, []store.Match{{Aggregate: things, Name: "name1"}})
		},
		"WaitFree": func(ctx context.Context) error { return d.WaitFree(ctx, termKey) },
		"Backup":   func(ctx context.Context) error { return d.Backup(ctx, "copy") },
	} {
		calls[what] = waiting(t, t.Context(), call)
	}
	within(t, "the beginning of the copy", func() { <-copying })
	calls["another backup"] = waiting(t, t.Context(), func(ctx context.Context) error { return d.Backup(ctx, "copy2") })
	d.fuse.Trip(errDisk)
	for what, err := range calls {
		within(t, what, func() {
			if err := <-err; !errors.Is(err, store.ErrFailed) || !errors.Is(err, errDisk) {
				t.Errorf("%s: %v, want ErrFailed with the disk's error", what, err)
			}
		})
	}
	if err := d.Renew(t.Context(), []store.LeaseRef{{Key: termKey, Term: term, TTL: time.Hour}})[0]; !errors.Is(err, store.ErrFailed) {
		t.Errorf("renewal in a failed store: %v; its worker must stop", err)
	}
	if d.head.Load().position != 0 {
		t.Errorf("head %d; nothing was synced", d.head.Load().position)
	}
	release()
}

// TestAFailureAnswersSync while the disk is at it.
func TestAFailureAnswersSync(t *testing.T) {
	t.Parallel()
	disk, syncing := &slowSync{FS: vfs.NewMem()}, make(chan struct{}, 100)
	d := openDriver(t, syncsOf(disk, syncing), quiet)
	disk.hold(t)
	for len(syncing) > 0 { // those of Open
		<-syncing
	}
	if _, err := d.Commit(t.Context(), pairTxn("z", 1, false, true)); err != nil {
		t.Fatal(err)
	}
	synced := waiting(t, t.Context(), d.Sync)
	within(t, "the sync", func() { <-syncing })
	d.fuse.Trip(errDisk)
	within(t, "Sync", func() {
		if err := <-synced; !errors.Is(err, store.ErrFailed) {
			t.Errorf("Sync of a store that failed in it: %v, want ErrFailed", err)
		}
	})
}

// TestCloseAnswersThoseWhoWaitForRoom in the queue, also while a sync goes on.
func TestCloseAnswersThoseWhoWaitForRoom(t *testing.T) {
	t.Parallel()
	disk := &slowSync{FS: vfs.NewMem()}
	d := openDriver(t, disk, quiet)
	release := disk.hold(t)
	taken := waiting(t, t.Context(), func(ctx context.Context) error {
		_, err := d.try(ctx, appending("taken", store.Any, 1))
		return err
	})
	eventually(t, "its batch is being synced", func() bool { return visible(t, d, "taken") > 0 })
	large := appending("large", store.Any, 1)
	large.Events[0].Data = make([]byte, maxQueueBytes-1<<20) // the taken one has its room until it is written
	queued := waiting(t, t.Context(), func(ctx context.Context) error { _, err := d.try(ctx, large); return err })
	late := appending("late", store.Any, 1)
	late.Events[0].Data = make([]byte, 2<<20)
	waits := waiting(t, t.Context(), func(ctx context.Context) error { _, err := d.try(ctx, late); return err })
	closed := make(chan error, 1)
	go func() { closed <- d.Close() }()
	within(t, "an append that waits for room", func() {
		if err := <-waits; !errors.Is(err, store.ErrClosed) {
			t.Errorf("waiting for room at Close: %v, want ErrClosed", err)
		}
	})
	release()
	within(t, "Close", func() {
		if err := errors.Join(<-taken, <-queued, <-closed); err != nil && !errors.Is(err, store.ErrClosed) {
			t.Error(err)
		}
	})
}

// TestCloseAnswersSync, whichever of the two the committer sees first.
func TestCloseAnswersSync(t *testing.T) {
	t.Parallel()
	for range 20 {
		disk := &slowSync{FS: vfs.NewMem()}
		d := openDriver(t, disk, quiet)
		release := disk.hold(t)
		appended := waiting(t, t.Context(), func(ctx context.Context) error {
			_, err := d.try(ctx, appending("a", store.Any, 1))
			return err
		})
		eventually(t, "its batch is being synced", func() bool { return visible(t, d, "a") > 0 })
		synced := waiting(t, t.Context(), d.Sync)
		closed := make(chan error, 1)
		go func() { closed <- d.Close() }()
		within(t, "the beginning of Close", func() { <-d.closing })
		release()
		within(t, "Sync and Close", func() {
			if err := <-synced; err != nil && !errors.Is(err, store.ErrClosed) {
				t.Errorf("Sync: %v", err)
			}
			if err := errors.Join(<-appended, <-closed); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestCloseOfAFailedStoreWhoseDiskHangs does not wait for ever, and keeps the directory
// locked: what is still on its way could hit the files of the next store.
func TestCloseOfAFailedStoreWhoseDiskHangs(t *testing.T) {
	t.Parallel()
	disk, syncing := &slowSync{FS: vfs.NewMem()}, make(chan struct{}, 100)
	d, err := openRaw(syncsOf(disk, syncing), "db", quiet, func(o *Options) { o.abandonTimeout = time.Millisecond })
	if err != nil {
		t.Fatal(err)
	}
	disk.hold(t)
	for len(syncing) > 0 { // those of Open
		<-syncing
	}
	appended := waiting(t, t.Context(), func(ctx context.Context) error {
		_, err := d.try(ctx, appending("a", store.Any, 1))
		return err
	})
	within(t, "the sync", func() { <-syncing })
	d.fuse.Trip(errDisk)
	within(t, "the append", func() {
		if err := <-appended; !errors.Is(err, store.ErrFailed) {
			t.Errorf("append: %v, want ErrFailed", err)
		}
	})
	within(t, "Close", func() {
		if err := d.Close(); !errors.Is(err, fuse.ErrBusy) || !strings.Contains(err.Error(), "stays locked") {
			t.Errorf("Close: %v; it must say that the directory stays locked", err)
		}
	})
	if _, err := openRaw(disk.FS, "db", quiet); !errors.Is(err, store.ErrLocked) {
		t.Errorf("open while the disk is still at work: %v, want ErrLocked", err)
	}
}

// TestCloseAnswersWhatIsDurable with its result, however late the callers look: the
// committer has written them all and ended before.
func TestCloseAnswersWhatIsDurable(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*driver) error{
		"Close": (*driver).Close,
		"a failure": func(d *driver) error {
			if err := d.Sync(context.Background()); err != nil { // behind them all
				return err
			}
			d.fuse.Trip(errDisk)
			return nil
		},
	} {
		d := openDriver(t, nil, quiet)
		const callers = 40 // each tosses a coin when it finds both its answer and the end
		var handed sync.WaitGroup
		ended, errs := make(chan struct{}), make(chan error, callers)
		handed.Add(callers)
		for i := range callers {
			go func() {
				_, err := d.try(watched{t.Context(), sync.OnceFunc(func() { handed.Done(); <-ended })}, appending(strconv.Itoa(i), store.NoStream, 1))
				errs <- err
			}()
		}
		within(t, "the handing over", handed.Wait)
		if err := end(d); err != nil {
			t.Fatal(err)
		}
		<-d.ended
		if head := d.head.Load().position; head != callers {
			t.Fatalf("%s: %d of %d are durable: the test shows nothing", name, head, callers)
		}
		close(ended)
		for range callers {
			if err := <-errs; err != nil {
				t.Errorf("%s: an append that is durable: %v", name, err)
			}
		}
	}
}
