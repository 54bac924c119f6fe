package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/store"
)

// openTail is how many events a store has in its write-ahead log when it is opened.
const openTail = 1000

// openLarge compares the time to open a large store with that of a small one. Both are
// opened as a killed process leaves them, from the same files again and again.
func openLarge(ctx context.Context, b *bench) ([]pair, error) {
	var sides [2]side
	for i, of := range []func(context.Context) (*fixture, error){b.big, b.small} {
		f, err := of(ctx)
		if err != nil {
			return nil, err
		}
		killed, err := b.killed(ctx, f)
		if err != nil {
			return nil, fmt.Errorf("leave a tail in the log: %w", err)
		}
		sides[i] = func(ctx context.Context) (float64, error) { return b.openOnce(ctx, killed) }
	}
	return b.pairs(ctx, sides[0], sides[1])
}

// killed returns a directory with the files of a store whose process died: closing it would
// empty its log. All of the store is compacted before, since Pebble's Open waits for a
// compaction that it finds due.
func (b *bench) killed(ctx context.Context, f *fixture) (_ string, err error) {
	db, err := openPebble(b.settings, f.copy, vfs.Default, defaultCache)
	if err != nil {
		return "", err
	}
	err = db.Compact(ctx, []byte{0}, []byte{0xff, 0xff}, false)
	if err := errors.Join(err, db.Close()); err != nil {
		return "", err
	}
	d := newDisk(0)
	st, err := openRiffle(f.copy, on(d))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	for part := range slices.Chunk(newStreams(6, openTail, rareShare), appendMany) {
		batches := make([]store.Batch, len(part))
		for i := range part {
			batches[i] = part[i].batch(0, 1)
			batches[i].Expect = store.Any
		}
		if _, err := st.Append(ctx, batches...); err != nil {
			return "", err
		}
	}
	if err := b.rest(ctx, d); err != nil { // files come and go until then
		return "", err
	}
	dir := b.dir("killed")
	return dir, cloneStore(dir, f.copy)
}

// openOnce returns the milliseconds until a copy of a store was open and could be read.
func (b *bench) openOnce(ctx context.Context, of string) (_ float64, err error) {
	dir := b.dir("opened")
	if err := cloneStore(dir, of); err != nil {
		return 0, err
	}
	start := time.Now()
	st, err := openRiffle(dir, nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	head, err := st.Head(ctx)
	if err != nil {
		return 0, err
	}
	if _, err := st.Event(ctx, head.Position); err != nil {
		return 0, err
	}
	return float64(time.Since(start)) / float64(time.Millisecond), nil
}

// cloneStore copies the files of a store to a new directory. Tables, which nobody changes,
// are shared.
func cloneStore(dst, src string) error {
	table := func(name string) bool { return filepath.Ext(name) == ".sst" }
	other := func(name string) bool { return !table(name) }
	_, err := vfs.Clone(vfs.Default, vfs.Default, src, dst, vfs.CloneSkip(table))
	if err == nil {
		_, err = vfs.Clone(vfs.Default, vfs.Default, src, dst, vfs.CloneSkip(other), vfs.CloneTryLink)
	}
	return err
}
