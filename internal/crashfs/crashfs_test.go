package crashfs

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestClonesAreTakenWhileOthersWrite blocks within moments on a plain MemFS.
func TestClonesAreTakenWhileOthersWrite(t *testing.T) {
	t.Parallel()
	fs := New()
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := turn(fs, fmt.Sprint("file", i)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 2000 {
		fs.CrashClone(vfs.CrashCloneCfg{})
	}
	close(stop)
	writers.Wait()
}

// turn makes each of the calls that take MemFS's lock twice.
func turn(fs vfs.FS, name string) error {
	lock, err := fs.Lock(name + ".lock")
	if err != nil {
		return err
	}
	made, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	err = errors.Join(made.Close(), fs.Link(name, name+".link"))
	reused, reuseErr := fs.ReuseForWrite(name+".link", name+".reused", vfs.WriteCategoryUnspecified)
	if err := errors.Join(err, reuseErr); err != nil {
		return err
	}
	return errors.Join(reused.Close(), fs.Remove(name), fs.Remove(name+".reused"), lock.Close())
}

// TestACloneLacksWhatWasNotSynced, and is itself a disk that can crash.
func TestACloneLacksWhatWasNotSynced(t *testing.T) {
	t.Parallel()
	fs := New()
	write := func(name string, sync bool) {
		f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(name)); err != nil {
			t.Fatal(err)
		}
		if sync {
			dir, err := fs.OpenDir("")
			if err := errors.Join(err, f.Sync(), dir.Sync(), dir.Close()); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	write("kept", true)
	write("lost", false)
	names, err := fs.CrashClone(vfs.CrashCloneCfg{}).CrashClone(vfs.CrashCloneCfg{}).List("")
	if err != nil || len(names) != 1 || names[0] != "kept" {
		t.Errorf("a crash leaves %q, %v", names, err)
	}
}
