package fuse_test

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/riffle-go/riffle/store/pebblestore/internal/fuse"
)

// logger never lets a Fatalf return to Pebble.
type logger struct{ fs *fuse.FS }

func (logger) Infof(string, ...any)  {}
func (logger) Errorf(string, ...any) {}
func (l logger) Fatalf(format string, args ...any) {
	l.fs.Trip(fmt.Errorf(format, args...))
	l.fs.Block()
}

func ExampleFS() {
	mem := vfs.NewMem()
	broken := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSyncData && path.Ext(op.Path) == ".log" {
			return errors.New("input/output error")
		}
		return nil
	})
	open := func(disk vfs.FS) (*pebble.DB, *fuse.FS, error) {
		fs := fuse.Wrap(disk)
		db, err := pebble.Open("bank", &pebble.Options{FS: fs, Logger: logger{fs}})
		if err == nil {
			fs.Arm()
		}
		return db, fs, err
	}

	db, fs, err := open(errorfs.Wrap(mem, broken))
	if err != nil {
		fmt.Println(err)
		return
	}
	done := make(chan error, 1)
	go func() { done <- db.Set([]byte("alice"), []byte("100"), pebble.Sync) }()
	select {
	case err := <-done:
		fmt.Println("written:", err)
	case <-fs.Failed():
		fmt.Println(fs.Err())
	}

	if _, _, err := open(mem); err != nil {
		fmt.Println("still locked")
	}
	if err := fs.Abandon(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	db, _, err = open(mem)
	fmt.Println("open again:", err)
	fmt.Println("closed:", db.Close())
	// Output:
	// fuse: sync_data bank/000002.log: input/output error; close the store and open it again
	// still locked
	// open again: <nil>
	// closed: <nil>
}
