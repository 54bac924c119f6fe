package pebblestore

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/store"
)

// TestADatabaseOfAnotherProgramIsLeftAlone: two programs that write to one Pebble would take
// each other's keys for their own.
func TestADatabaseOfAnotherProgramIsLeftAlone(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem()
	foreign := func(f func(db *pebble.DB)) {
		db, err := pebble.Open("db", &pebble.Options{FS: disk, FormatMajorVersion: formatMajorVersion})
		if err != nil {
			t.Fatal(err)
		}
		f(db)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	foreign(func(db *pebble.DB) {
		if err := db.Set([]byte("user:1"), []byte("someone"), pebble.Sync); err != nil {
			t.Fatal(err)
		}
	})
	for readOnly, want := range map[bool]error{false: store.ErrIncompatible, true: fs.ErrNotExist} {
		d, err := openRaw(disk, "db", quiet, func(o *Options) { o.ReadOnly = readOnly })
		if !errors.Is(err, want) {
			t.Errorf("read-only %t: %v, want %v", readOnly, err, want)
		}
		if err == nil {
			d.Close()
		}
	}
	foreign(func(db *pebble.DB) {
		iter, err := db.NewIter(nil)
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for ok := iter.First(); ok; ok = iter.Next() {
			keys = append(keys, string(iter.Key()))
		}
		if err := iter.Close(); err != nil || len(keys) != 1 || keys[0] != "user:1" {
			t.Errorf("its keys are %q now, %v", keys, err)
		}
	})
}
