package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"runtime/metrics"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/store"
)

// memoryAllowance is what a store may use beside its block cache.
const memoryAllowance = 64 << 20

// memoryOfStreams measures the memory of a store with as many streams as -n says, after all
// of it was read, every stream was looked up and many were appended to.
func memoryOfStreams(ctx context.Context, b *bench) (_ []pair, err error) {
	dir := b.dir("streams")
	st, err := openRiffle(dir, nil)
	if err != nil {
		return nil, err
	}
	r := &riffle{st: st, streams: newStreams(7, b.events, rareShare)}
	versions := make([]uint64, len(r.streams))
	if err := errors.Join(r.fill(ctx, versions, 0, 7), st.Close()); err != nil {
		return nil, err
	}
	if r.st, err = openRiffle(dir, nil); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.st.Close()) }()
	if n, err := readAll(ctx, r.st, store.Query{}); err != nil || n != b.events {
		return nil, errors.Join(fmt.Errorf("%d events of %d read", n, b.events), err)
	}
	for i := range r.streams {
		if _, err := r.st.Stream(ctx, r.streams[i].key); err != nil {
			return nil, err
		}
	}
	if err := r.fill(ctx, versions, b.events/5, 8); err != nil {
		return nil, err
	}
	r.streams, versions = nil, nil // the caller's, not the store's
	used, err := memoryInUse()
	if err != nil {
		return nil, err
	}
	return []pair{{float64(used) / (1 << 20), float64(defaultCache+memoryAllowance) / (1 << 20)}}, nil
}

// memoryInUse is the live Go heap of the process and, with cgo, what Pebble takes outside of
// it. Without cgo Pebble's blocks and memtables are in the heap.
func memoryInUse() (uint64, error) {
	runtime.GC()
	runtime.GC() // what finalizers released in the first
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	used := sample[0].Value.Uint64()
	if !cgo {
		return used, nil
	}
	outside, err := pebbleMemory()
	return used + outside, err
}

// pebbleMemory is what all of Pebble in this process has allocated outside the Go heap.
// Pebble counts that per process, and tells it in the metrics of any DB, but only as text;
// so the numbers are taken from the field behind the text.
func pebbleMemory() (_ uint64, err error) {
	db, err := pebble.Open("probe", &pebble.Options{FS: vfs.NewMem(), Logger: silent{}})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	purposes := reflect.ValueOf(db.Metrics()).Elem().FieldByName("manualMemory")
	if !purposes.IsValid() || purposes.Kind() != reflect.Array {
		return 0, errors.New("this version of Pebble does not count its memory as the one that this was written for")
	}
	var total uint64
	for i := range purposes.Len() {
		total += purposes.Index(i).FieldByName("InUseBytes").Uint()
	}
	return total, nil
}
