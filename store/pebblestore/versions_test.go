package pebblestore

import (
	"errors"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/riffle-go/riffle/store"
)

// TestALookUpOfTheCommittersOwnSeesItsGroup: a request whose stream the committer has to look
// up itself comes right behind one that appends to that stream and pushes it out of the
// cache. What the database holds at that moment is not all there is.
func TestALookUpOfTheCommittersOwnSeesItsGroup(t *testing.T) {
	t.Parallel()
	fs := &slowSync{FS: vfs.NewMem()}
	d := openDriver(t, fs, oneEntry)
	mustAppend(t, d, "a", 1)
	mustAppend(t, d, "b", 1)
	release := fs.hold(t)
	busy := make(chan error, 1)
	go func() { _, err := d.try(t.Context(), appending("c", store.Any, 1)); busy <- err }()
	eventually(t, "the committer is busy", func() bool { return visible(t, d, "c") > 0 })
	queue := func(n int, resolve bool, appends ...store.Appending) <-chan error {
		r := d.newRequest()
		r.txn, r.resolve = &store.Txn{Appends: appends}, resolve
		if err := d.prepare(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			out, err := d.enqueue(t.Context(), r)
			done <- errors.Join(err, out.err)
		}()
		eventually(t, "it is queued", func() bool { return d.inbox.len() == n })
		return done
	}
	first := queue(1, false, appending("a", store.Exact(1), 1), appending("b", store.Exact(1), 1))
	second := queue(2, true, appending("a", store.Exact(1), 1))
	release()
	within(t, "appends", func() {
		if err := errors.Join(<-busy, <-first); err != nil {
			t.Error(err)
		}
		if err := <-second; !errors.Is(err, store.ErrConflict) {
			t.Errorf("an append at version 1 of a stream at 2: %v, want a conflict", err)
		}
	})
	if err := d.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// TestALookUpIsAsOldAsTheHeadBeforeIt: while a caller looks a stream up, others append to the
// stream and push it out of the cache. The head is beyond all of that when the look-up ends,
// but the look-up is not.
func TestALookUpIsAsOldAsTheHeadBeforeIt(t *testing.T) {
	t.Parallel()
	reading, goOn := make(chan struct{}), make(chan struct{})
	first := sync.OnceFunc(func() { close(reading); <-goOn })
	var armed atomic.Bool
	d := openDriver(t, injected(vfs.NewMem(), func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileReadAt && strings.HasSuffix(op.Path, ".sst") && armed.Load() &&
			strings.Contains(string(debug.Stack()), ".(*driver).lookup(") {
			first()
		}
		return nil
	}), oneEntry)
	mustAppend(t, d, "a", 1)
	mustAppend(t, d, "b", 1)
	var others []*request
	for _, a := range []store.Appending{appending("a", store.Exact(1), 1), appending("c", store.NoStream, 1)} {
		r := d.newRequest() // prepared here, since its own look-up would wait for the other
		r.txn = &store.Txn{Appends: []store.Appending{a}}
		if err := d.prepare(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		others = append(others, r)
	}
	if err := d.db.Flush(); err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	late := make(chan error, 1)
	go func() { _, err := d.try(t.Context(), appending("a", store.Exact(1), 1)); late <- err }()
	within(t, "the look-up", func() { <-reading })
	for _, r := range others {
		if out, err := d.enqueue(t.Context(), r); err != nil || out.err != nil {
			t.Error(err, out.err)
		}
	}
	close(goOn)
	within(t, "the append", func() {
		if err := <-late; !errors.Is(err, store.ErrConflict) {
			t.Errorf("an append at version 1 of a stream at 2: %v, want a conflict", err)
		}
	})
	if err := d.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}
