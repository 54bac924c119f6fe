package pebblestore

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/event"
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
	for round := range rounds(5, 100) {
		fs := vfs.NewCrashableMem()
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
		for d.head.Load().position < uint64(100*(round+1)) {
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

// slowSync is a disk whose syncs wait while it is held.
type slowSync struct {
	vfs.FS
	held sync.RWMutex
}

func (f *slowSync) wrap(file vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &slowFile{file, f}, nil
}

func (f *slowSync) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.wrap(f.FS.Create(name, c))
}

func (f *slowSync) Unwrap() vfs.FS { return f.FS }

type slowFile struct {
	vfs.File
	fs *slowSync
}

func (f *slowFile) SyncData() error {
	f.fs.held.RLock()
	defer f.fs.held.RUnlock()
	return f.File.SyncData()
}

// TestACancelledAppend is not written while it is queued; one that the committer has taken
// is waited for, and its caller learns the outcome.
func TestACancelledAppend(t *testing.T) {
	t.Parallel()
	fs := &slowSync{FS: vfs.NewMem()}
	d := openDriver(t, fs, quiet)
	mustAppend(t, d, "a", 1)
	fs.held.Lock()
	taken, takenCtx := make(chan error, 1), cancelled{}
	takenCtx.Context, takenCtx.cancel = context.WithCancel(t.Context())
	go func() { _, err := d.try(takenCtx, appending("taken", store.Any, 1)); taken <- err }()
	eventually(t, "its batch is being synced", func() bool { return visible(t, d, "taken") > 0 })
	queued, cancelQueued := context.WithCancel(t.Context())
	errs := make(chan error, 20)
	for i := range 20 {
		go func() { _, err := d.try(queued, appending(fmt.Sprint("queued", i), store.Any, 1)); errs <- err }()
	}
	eventually(t, "20 are queued", func() bool { return len(d.queue) == 20 })
	cancelQueued()
	takenCtx.cancel()
	within(t, "cancelled appends", func() {
		for range 20 {
			if err := <-errs; !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled while queued: %v", err)
			}
		}
	})
	select {
	case err := <-taken:
		t.Errorf("an append that was being written returned %v before it was", err)
	default:
	}
	fs.held.Unlock()
	within(t, "the taken append", func() {
		if err := <-taken; err != nil {
			t.Errorf("cancelled while it was written: %v, want its outcome", err)
		}
	})
	mustAppend(t, d, "a", 1)
	for i := range 20 {
		if info, err := d.Stream(t.Context(), things.Stream(fmt.Sprint("queued", i))); err != nil || info.Version != 0 {
			t.Errorf("a cancelled append is stored: %+v, %v", info, err)
		}
	}
	if err := d.Verify(t.Context(), nil); err != nil || d.head.Load().position != 3 {
		t.Errorf("head %d, %v", d.head.Load().position, err)
	}
}

type cancelled struct {
	context.Context
	cancel func()
}

// visible counts a stream's entries in Pebble, durable or not.
func visible(t *testing.T, d *driver, id string) int {
	t.Helper()
	iter, err := d.db.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceStream}, UpperBound: []byte{spaceStream + 1}})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for ok := iter.First(); ok; ok = iter.Next() {
		if strings.Contains(string(iter.Key()), id) {
			n++
		}
	}
	if err := iter.Close(); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestWhatIsNotSyncedIsNotShown: Pebble makes a batch visible before its sync; no read
// shows it until then.
func TestWhatIsNotSyncedIsNotShown(t *testing.T) {
	t.Parallel()
	fs := &slowSync{FS: vfs.NewMem()}
	d := openDriver(t, fs, quiet)
	mustAppend(t, d, "a", 2)
	fs.held.Lock()
	done := make(chan error, 1)
	go func() {
		a, b := appending("a", store.Any, 3), appending("new", store.Any, 1)
		b.Events[0].Name = "new"
		_, err := d.try(t.Context(), a, b)
		done <- err
	}()
	eventually(t, "the batch is being synced", func() bool { return visible(t, d, "new") > 0 })
	for what, scan := range map[string]store.Scan{
		"log": {}, "name": {Match: []store.Match{{Aggregate: things}}}, "stream": {Match: []store.Match{{Aggregate: things, ID: "a"}}},
	} {
		if events, err := scanAll(t.Context(), d, scan); err != nil || len(events) != 2 {
			t.Errorf("%s: %d events before the sync, %v", what, len(events), err)
		}
	}
	info, err := d.Stream(t.Context(), things.Stream("a"))
	if err != nil || info.Version != 2 {
		t.Errorf("version %d before the sync, %v", info.Version, err)
	}
	streams, err := d.Streams(t.Context(), things, store.Range{})
	if err != nil || len(streams) != 1 {
		t.Errorf("streams %v before the sync, %v", streams, err)
	}
	if types, err := d.Types(t.Context()); err != nil || len(types) != 2 {
		t.Errorf("types %v before the sync, %v", types, err)
	}
	if err := d.Verify(t.Context(), nil); err != nil {
		t.Errorf("verify before the sync: %v", err)
	}
	fs.held.Unlock()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if events, err := scanAll(t.Context(), d, store.Scan{}); err != nil || len(events) != 6 {
		t.Errorf("%d events after the sync, %v", len(events), err)
	}
	if err := d.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// rewrite changes meta keys of a closed store.
func rewrite(t *testing.T, fs vfs.FS, change func(b *pebble.Batch) error) {
	t.Helper()
	d := reopen(t, "rewrite", fs)
	b := d.db.NewBatch()
	if err := errors.Join(change(b), d.db.Apply(b, pebble.Sync), d.Verify(t.Context(), nil), d.Close()); err != nil {
		t.Fatal(err)
	}
}

func layout(v uint64) func(*pebble.Batch) error {
	return func(b *pebble.Batch) error {
		err := b.Set(metaKey(metaLayout), binary.BigEndian.AppendUint64(nil, v), nil)
		if v == 1 {
			err = errors.Join(err, b.Delete(metaKey(metaLimits), nil))
		}
		return err
	}
}

func TestANewerStoreIsRefused(t *testing.T) {
	t.Parallel()
	fs := filled(t)()
	rewrite(t, fs, layout(layoutVersion+1))
	for _, readOnly := range []bool{false, true} {
		if _, err := openRaw(fs, "db", quiet, func(o *Options) { o.ReadOnly = readOnly }); !errors.Is(err, store.ErrIncompatible) {
			t.Errorf("read-only %v: %v, want ErrIncompatible", readOnly, err)
		}
	}
}

// TestALayout1StoreIsUpgraded, at any point of a crash; a read-only open leaves it alone.
func TestALayout1StoreIsUpgraded(t *testing.T) {
	t.Parallel()
	fs := filled(t)()
	rewrite(t, fs, layout(1))
	if _, err := openRaw(crash(fs, 100, 1), "db", quiet, func(o *Options) { o.ReadOnly = true }); !errors.Is(err, store.ErrIncompatible) {
		t.Errorf("read-only: %v, want ErrIncompatible", err)
	}
	check := func(t *testing.T, how string, fs *vfs.MemFS) {
		d := reopen(t, how, fs)
		got, err := d.getMeta(metaLayout)
		if err != nil || binary.BigEndian.Uint64(pad8(got)) != layoutVersion {
			t.Errorf("%s: layout %x, %v", how, got, err)
		}
		if l, err := d.getMeta(metaLimits); err != nil || len(l) == 0 {
			t.Errorf("%s: no limits: %v", how, err)
		}
		if events, err := scanAll(t.Context(), d, store.Scan{}); err != nil || len(events) != 40 {
			t.Errorf("%s: %d events, %v", how, len(events), err)
		}
	}
	check(t, "upgraded", crash(fs, 100, 1))
	everyPoint(t, func() *vfs.MemFS { return crash(fs, 100, 1) }, openAndClose(t, quiet), check)
}

func TestAReadOnlyStore(t *testing.T) {
	t.Parallel()
	readOnly := func(o *Options) { o.ReadOnly = true }
	if _, err := openRaw(vfs.NewMem(), "db", quiet, readOnly); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("read-only open of nothing: %v", err)
	}
	for name, prepare := range map[string]func() *vfs.MemFS{"not closed": filled(t), "dirty": filled(t, func(o *Options) { o.Sync = SyncOff })} {
		fs := prepare()
		d := reopen(t, name, fs, readOnly)
		if events, err := scanAll(t.Context(), d, store.Scan{}); err != nil || len(events) != 40 {
			t.Errorf("%s: %d events, %v", name, len(events), err)
		}
		history := d.history
		for what, write := range map[string]func() error{
			"append": func() error { _, err := d.try(t.Context(), appending("a", store.Any, 1)); return err },
			"sync":   func() error { return d.Sync(t.Context()) },
			"backup": func() error { return d.Backup(t.Context(), "copy") },
		} {
			if err := write(); !errors.Is(err, store.ErrUnsupported) {
				t.Errorf("%s: %s: %v, want ErrUnsupported", name, what, err)
			}
		}
		if err := errors.Join(d.Verify(t.Context(), nil), d.Close()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := reopen(t, name, fs); (d.history == history) == (name == "dirty") {
			t.Errorf("%s: opened for writing afterwards, the history is %s, was %s", name, d.history, history)
		}
	}
}

// TestABackupIsAStoreOfItsOwn: it opens, has everything up to its start, gets a History
// of its own once, and source and copy go on apart.
func TestABackupIsAStoreOfItsOwn(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	d := reopen(t, "source", fs, small)
	mustAppend(t, d, "a", 40)
	if _, err := d.Commit(t.Context(), &store.Txn{Puts: []store.Record{{Key: "j1", Revision: 7}}, NoSync: true}); err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- crowd(d, newLedger(), nil).run(context.Background(), stop) }()
	if err := d.Backup(t.Context(), "copies/1"); err != nil {
		t.Fatal(err)
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := d.Backup(t.Context(), "copies/1"); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a backup over another: %v", err)
	}
	mustAppend(t, d, "a", 1)
	copied := reopenIn(t, fs, "copies/1")
	if copied.history == d.history {
		t.Error("the copy has the history of its source")
	}
	if rec, err := copied.Get(t.Context(), "j1"); err != nil || rec.Revision != 7 {
		t.Errorf("record of the copy: %+v, %v", rec, err)
	}
	events, err := scanAll(t.Context(), copied, store.Scan{})
	if err != nil || len(events) < 40 {
		t.Fatalf("%d events in the copy, %v", len(events), err)
	}
	mustAppend(t, copied, "only-here", 1)
	history := copied.history
	if err := errors.Join(copied.Verify(t.Context(), nil), copied.Close()); err != nil {
		t.Fatal(err)
	}
	if again := reopenIn(t, fs, "copies/1"); again.history != history {
		t.Error("the history of the copy changed again")
	}
	if info, err := d.Stream(t.Context(), things.Stream("only-here")); err != nil || info.Version != 0 {
		t.Errorf("the source has the copy's event: %+v, %v", info, err)
	}
}
