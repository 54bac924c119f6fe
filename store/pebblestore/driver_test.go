package pebblestore

import (
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

const things = event.Aggregate("test/thing")

// openDriver opens a driver on fs, in memory when fs is nil, and closes it with the test.
func openDriver(tb testing.TB, fs vfs.FS, change func(*Options)) *driver {
	tb.Helper()
	if fs == nil {
		fs = vfs.NewMem()
	}
	o := Options{FS: fs, CacheSize: minCacheSize, FreeSpace: NoFreeSpaceCheck}
	if change != nil {
		change(&o)
	}
	d, err := open("db", o.withDefaults())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := d.Close(); err != nil {
			tb.Error(err)
		}
	})
	return d
}

// appending makes n events for a stream.
func appending(id string, expect store.Expect, n int) store.Appending {
	a := store.Appending{Stream: things.Stream(id), Expect: expect}
	for i := range n {
		a.Events = append(a.Events, event.Event{
			ID: event.NewID(), Name: fmt.Sprintf("name%d", i%3), SchemaVersion: 1,
			ContentType: "application/json", Data: []byte(`{"n":1}`),
		})
	}
	return a
}

func TestConcurrentAppendsAreDenseAndInOrder(t *testing.T) {
	t.Parallel()
	d := openDriver(t, nil, nil)
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for range 50 {
				if _, err := d.Commit(t.Context(), &store.Txn{Appends: []store.Appending{appending(fmt.Sprint("s", g), store.Any, 2)}}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	res, err := d.Read(t.Context(), store.Scan{Limit: 5000, Examine: 20000})
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Events) != 1600 || res.More || res.Scanned != 1600 {
		t.Fatalf("%d events, more %v, scanned %d", len(res.Events), res.More, res.Scanned)
	}
	for i, ev := range res.Events {
		if ev.Position != event.Position(i+1) {
			t.Fatalf("event %d has position %d", i, ev.Position)
		}
	}
	if err := d.Verify(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
}
