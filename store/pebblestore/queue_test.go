package pebblestore

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/riffle-go/riffle/store"
)

// TestTheQueueIsBoundedInBytes: while the disk is busy, appends of 16 MiB are taken in and no
// more. The others wait outside, where their contexts can end, and what appends nothing
// passes them by.
func TestTheQueueIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var busy atomic.Bool
		idle := make(chan struct{})
		d, err := openRaw(injected(vfs.NewMem(), func(op errorfs.Op) error {
			if op.Kind == errorfs.OpFileSyncData && busy.Load() {
				<-idle
			}
			return nil
		}), "db", quiet)
		if err != nil {
			t.Fatal(err)
		}
		begin := func(ctx context.Context, txn *store.Txn) <-chan error {
			done := make(chan error, 1)
			go func() { _, err := d.Commit(ctx, txn); done <- err }()
			synctest.Wait()
			return done
		}
		half := func(id string) *store.Txn { // of the queue
			a := appending(id, store.NoStream, 8)
			for i := range a.Events {
				a.Events[i].Data = bytes.Repeat([]byte("x"), limits().EventBytes-1000)
			}
			return &store.Txn{Appends: []store.Appending{a}}
		}
		queued := func(want int, what string) {
			t.Helper()
			if n := d.inbox.len(); n != want {
				t.Errorf("%s: %d are queued, want %d", what, n, want)
			}
		}
		busy.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		answers := []<-chan error{begin(t.Context(), half("written"))}
		queued(0, "the first is being written")
		for i := range 3 { // what is cancelled in the queue makes room, so it must not keep its bytes there
			ctx, cancel := context.WithCancel(t.Context())
			cancelled := begin(ctx, half("dropped"))
			queued(i+1, "one that will be cancelled")
			cancel()
			if err := <-cancelled; !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled in the queue: %v", err)
			}
			if r := d.inbox.items[i]; r.txn != nil || r.appends != nil || r.one[0].arena != nil {
				t.Error("the queue keeps the events of a cancelled append")
			}
		}
		answers = append(answers, begin(t.Context(), half("queued")))
		queued(4, "the next fills the queue")
		answers = append(answers, begin(t.Context(), half("waits")))
		queued(4, "the one after it has to wait")
		cancelled := begin(ctx, half("cancelled"))
		cancel()
		synctest.Wait()
		select {
		case err := <-cancelled:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled while it waited: %v", err)
			}
		default:
			t.Error("the end of its context did not end the wait")
		}
		answers = append(answers, begin(t.Context(), &store.Txn{Puts: []store.Record{{Key: "j1"}}}))
		queued(5, "a record does not wait behind an append")
		busy.Store(false)
		close(idle)
		for _, answer := range answers {
			if err := <-answer; err != nil {
				t.Error(err)
			}
		}
		for _, id := range []string{"cancelled", "dropped"} {
			if info, err := d.Stream(t.Context(), things.Stream(id)); err != nil || info.Version != 0 {
				t.Errorf("a cancelled append is stored: %+v, %v", info, err)
			}
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestARefusalIsDurableFirst: what a refused request conflicts with may be in the group that
// is being written. It is answered when that is durable, so that its caller can read it.
func TestARefusalIsDurableFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var idle atomic.Pointer[chan struct{}] // nil: the disk is idle
		d, err := openRaw(injected(vfs.NewMem(), func(op errorfs.Op) error {
			if wait := idle.Load(); op.Kind == errorfs.OpFileSyncData && wait != nil {
				<-*wait
			}
			return nil
		}), "db", quiet)
		if err != nil {
			t.Fatal(err)
		}
		begin := func(txn *store.Txn) <-chan error {
			done := make(chan error, 1)
			go func() { _, err := d.Commit(t.Context(), txn); done <- err }()
			synctest.Wait()
			return done
		}
		busy, next := make(chan struct{}), make(chan struct{})
		idle.Store(&busy)
		first := begin(&store.Txn{Appends: []store.Appending{appending("busy", store.Any, 1)}})
		once := appending("a", store.NoStream, 1)
		once.Once = true
		written := begin(&store.Txn{Appends: []store.Appending{once}, Puts: []store.Record{{Key: "j1", Revision: 1}}})
		refused := map[string]<-chan error{
			"conflict":  begin(&store.Txn{Appends: []store.Appending{appending("a", store.NoStream, 1)}}),
			"duplicate": begin(&store.Txn{Appends: []store.Appending{once}}),
			"guard":     begin(&store.Txn{Guards: []store.Guard{{Key: "j1"}}, Puts: []store.Record{{Key: "j2"}}}),
		}
		idle.Store(&next)
		close(busy) // their group is written, and its sync waits
		synctest.Wait()
		if err := <-first; err != nil {
			t.Error(err)
		}
		if len(written) > 0 {
			t.Fatal("the group is durable already: the test shows nothing")
		}
		for what, answer := range refused {
			if len(answer) > 0 {
				t.Errorf("%s: answered before it can be read: %v", what, <-answer)
			}
		}
		idle.Store(nil)
		close(next)
		if err := <-written; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if err := <-refused["conflict"]; !errors.Is(err, store.ErrConflict) {
			t.Errorf("conflict: %v", err)
		}
		err = <-refused["duplicate"]
		if _, ok := errors.AsType[*store.DuplicateError](err); !ok {
			t.Errorf("duplicate: %v", err)
		}
		if err := <-refused["guard"]; !errors.Is(err, store.ErrGuard) {
			t.Errorf("guard: %v", err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestAPanicOfTheCommitterFailsTheStore: a group that was staged in part is never written, nor
// followed by another; whoever waits is told.
func TestAPanicOfTheCommitterFailsTheStore(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	d, err := openRaw(fs, "db", quiet)
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, d, "a", 1)
	r := d.newRequest()
	r.txn = &store.Txn{Appends: []store.Appending{appending("a", store.Any, 1), appending("b", store.Any, 1)}}
	if err := d.prepare(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	r.appends[1].ends = []int{1 << 20} // beyond its memory
	within(t, "the callers", func() {
		if _, err := d.enqueue(t.Context(), r); !errors.Is(err, store.ErrFailed) {
			t.Errorf("the request that panics: %v, want ErrFailed", err)
		}
		if _, err := d.try(t.Context(), appending("c", store.Any, 1)); !errors.Is(err, store.ErrFailed) {
			t.Errorf("one that comes later: %v, want ErrFailed", err)
		}
	})
	if err := d.Close(); err != nil && !errors.Is(err, store.ErrFailed) {
		t.Error(err)
	}
	d = openDriver(t, fs, quiet)
	if events, err := scanAll(t.Context(), d, store.Scan{}); err != nil || len(events) != 1 {
		t.Errorf("%d events, want the one before: %v", len(events), err)
	}
	if err := d.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}
