package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/store"
)

// slowSync is a disk whose syncs wait while it is held.
type slowSync struct {
	vfs.FS
	held sync.RWMutex
}

// hold makes syncs wait until release, or the end of the test: a store that cannot sync
// cannot be closed.
func (f *slowSync) hold(t *testing.T) (release func()) {
	f.held.Lock()
	release = sync.OnceFunc(f.held.Unlock)
	t.Cleanup(release)
	return release
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
	release := fs.hold(t)
	taken, takenCtx := make(chan error, 1), cancelled{}
	takenCtx.Context, takenCtx.cancel = context.WithCancel(t.Context())
	go func() { _, err := d.try(takenCtx, appending("taken", store.Any, 1)); taken <- err }()
	eventually(t, "its batch is being synced", func() bool { return visible(t, d, "taken") > 0 })
	queued, cancelQueued := context.WithCancel(t.Context())
	errs := make(chan error, 20)
	for i := range 20 {
		go func() { _, err := d.try(queued, appending(fmt.Sprint("queued", i), store.Any, 1)); errs <- err }()
	}
	eventually(t, "20 are queued", func() bool { return d.inbox.len() == 20 })
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
	release()
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
	release := fs.hold(t)
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
	release()
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
