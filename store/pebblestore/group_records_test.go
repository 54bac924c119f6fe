package pebblestore

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// What is committed in one group works as if it came one after the other, although nothing
// of it is in Pebble before all of it is.
func TestRecordsOfOneGroupSeeEachOther(t *testing.T) {
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
		var answers []<-chan error
		queue := func(f func(ctx context.Context) error) {
			done := make(chan error, 1)
			go func() { done <- f(t.Context()) }()
			synctest.Wait() // it is in the queue, behind those before it
			answers = append(answers, done)
		}
		commit := func(txn store.Txn) {
			queue(func(ctx context.Context) error { _, err := d.Commit(ctx, &txn); return err })
		}
		if _, err := d.Claim(t.Context(), store.Claim{Key: "st", Value: []byte("before"), Worker: event.NewID(), TTL: time.Minute}); err != nil {
			t.Fatal(err)
		}
		busy.Store(true)
		mine := appending("a", store.NoStream, 1)
		commit(store.Txn{Appends: []store.Appending{mine}}) // the others wait while it is written

		queue(func(ctx context.Context) error {
			_, err := d.Claim(ctx, store.Claim{Key: "st", Value: []byte("claimed"), Worker: event.NewID(), TTL: time.Minute, Force: true})
			if errors.Is(err, store.ErrLeaseLost) {
				return nil // to the fence behind it
			}
			return err
		})
		commit(store.Txn{Fence: []string{"st"}})
		commit(store.Txn{Puts: []store.Record{{Key: "na", Revision: 1}}, Guards: []store.Guard{{Key: "na"}}})
		commit(store.Txn{Puts: []store.Record{{Key: "na", Revision: 2}}, Guards: []store.Guard{{Key: "na", Revision: 1}}})
		commit(store.Txn{Deletes: []string{"na"}, Guards: []store.Guard{{Key: "na", Revision: 2}}})
		commit(store.Txn{Puts: []store.Record{{Key: "na", Revision: 7}}, Guards: []store.Guard{{Key: "na"}}})
		if n := d.inbox.len(); n != 6 {
			t.Fatalf("%d are queued, want 6", n)
		}
		busy.Store(false)
		close(idle)
		for i, answer := range answers {
			if err := <-answer; err != nil {
				t.Errorf("commit %d: %v", i, err)
			}
		}
		synctest.Wait()
		if rec, err := d.Get(t.Context(), "st"); err != nil || string(rec.Value) != "claimed" || rec.Revision != 3 {
			t.Errorf("the term record is %+v, %v", rec, err)
		}
		if rec, err := d.Get(t.Context(), "na"); err != nil || rec.Revision != 7 {
			t.Errorf("the record is %+v, %v", rec, err)
		}
		if h, err := d.Holder(t.Context(), "st"); err != nil || !h.Worker.IsZero() {
			t.Errorf("the fenced lease is held by %+v, %v", h, err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A record that is too short to have a revision is neither missing nor at revision 0, and
// nothing is written over it.
func TestADamagedRecordIsAnError(t *testing.T) {
	t.Parallel()
	d := openDriver(t, nil, quiet)
	if err := d.db.Set([]byte("sn"), []byte("short"), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	for what, f := range map[string]func() error{
		"get":  func() error { _, err := d.Get(t.Context(), "sn"); return err },
		"list": func() error { _, err := d.List(t.Context(), "s", "", 10); return err },
		"guard": func() error {
			return refused(d, store.Txn{Guards: []store.Guard{{Key: "sn"}}, Puts: []store.Record{{Key: "sn", Revision: 1}}})
		},
		"fence": func() error { return refused(d, store.Txn{Fence: []string{"sn"}}) },
	} {
		if err := f(); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", what, err)
		}
	}
	v, closer, err := d.db.Get([]byte("sn"))
	if err != nil {
		t.Fatal(err)
	}
	if string(v) != "short" {
		t.Errorf("the record is %q", v)
	}
	if err := closer.Close(); err != nil {
		t.Error(err)
	}
}

func refused(d *driver, txn store.Txn) error {
	_, err := d.Commit(context.Background(), &txn)
	return err
}
