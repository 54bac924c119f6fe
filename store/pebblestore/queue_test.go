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
		answers = append(answers, begin(t.Context(), half("queued")))
		queued(1, "the second fills the queue")
		answers = append(answers, begin(t.Context(), half("waits")))
		queued(1, "the third has to wait")
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
		queued(2, "a record does not wait behind an append")
		busy.Store(false)
		close(idle)
		for _, answer := range answers {
			if err := <-answer; err != nil {
				t.Error(err)
			}
		}
		if info, err := d.Stream(t.Context(), things.Stream("cancelled")); err != nil || info.Version != 0 {
			t.Errorf("a cancelled append is stored: %+v, %v", info, err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}
