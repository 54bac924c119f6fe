package pebblestore

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/internal/crashfs"
	"github.com/riffle-go/riffle/store"
)

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
	check := func(t *testing.T, how string, fs *crashfs.FS) {
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
	everyPoint(t, func() *crashfs.FS { return crash(fs, 100, 1) }, openAndClose(t, quiet), check)
}

func TestAReadOnlyStore(t *testing.T) {
	t.Parallel()
	readOnly := func(o *Options) { o.ReadOnly = true }
	if _, err := openRaw(vfs.NewMem(), "db", quiet, readOnly); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("read-only open of nothing: %v", err)
	}
	for name, prepare := range map[string]func() *crashfs.FS{"not closed": filled(t), "dirty": filled(t, func(o *Options) { o.Sync = SyncOff })} {
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
