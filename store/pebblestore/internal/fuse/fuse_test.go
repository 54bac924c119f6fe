package fuse

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

func TestErrorsPassBeforeArm(t *testing.T) {
	t.Parallel()
	for _, c := range calls {
		t.Run(string(c.op)+" "+c.path, func(t *testing.T) {
			t.Parallel()
			f, flt := setup(t, c.kind, errDisk)
			call := c.make(t, f)
			flt.on.Store(true)
			if err := call(); !errors.Is(err, errDisk) {
				t.Errorf("got %v, want the error of the disk", err)
			}
			if err := f.Err(); err != nil {
				t.Errorf("the fuse has blown: %v", err)
			}
		})
	}
}

func TestCallsWithoutFailurePass(t *testing.T) {
	t.Parallel()
	for _, c := range calls {
		t.Run(string(c.op)+" "+c.path, func(t *testing.T) {
			t.Parallel()
			f, _ := setup(t, c.kind, errDisk)
			f.Arm()
			if err := c.make(t, f)(); err != nil {
				t.Error(err)
			}
			if err := f.Err(); err != nil {
				t.Errorf("the fuse has blown: %v", err)
			}
			if n := f.inflight.Load(); n != 0 {
				t.Errorf("%d calls counted as running, want 0", n)
			}
		})
	}
}

func TestFirstFailureBlowsTheFuseAndDoesNotReturn(t *testing.T) {
	t.Parallel()
	for _, c := range calls {
		t.Run(string(c.op)+" "+c.path, func(t *testing.T) {
			t.Parallel()
			f, flt := setup(t, c.kind, errDisk)
			f.Arm()
			call := c.make(t, f)
			flt.on.Store(true)
			mustPark(t, f, string(c.op), func() { _ = call() })

			receive(t, "Failed", f.Failed())
			blown, ok := errors.AsType[*Error](f.Err())
			if !ok {
				t.Fatalf("Err() = %v, want an *Error", f.Err())
			}
			if blown.Op != c.op || blown.Path != c.path {
				t.Errorf("failed at %s %s, want %s %s", blown.Op, blown.Path, c.op, c.path)
			}
			if !errors.Is(blown, errDisk) || !errors.Is(blown, ErrBlown) {
				t.Errorf("%v does not match its cause and ErrBlown", blown)
			}
			if n := f.inflight.Load(); n != 0 {
				t.Errorf("%d calls counted as running, want 0", n)
			}
		})
	}
}

func TestWriteSideCallsBlockAfterAFailure(t *testing.T) {
	t.Parallel()
	for _, c := range calls {
		t.Run(string(c.op)+" "+c.path, func(t *testing.T) {
			t.Parallel()
			f, flt := setup(t, c.kind, errDisk)
			f.Arm()
			call := c.make(t, f)
			flt.on.Store(true) // would be seen if the call reached the disk
			f.Trip(errDisk)
			mustPark(t, f, string(c.op), func() { _ = call() })
			if flt.fired.Load() {
				t.Error("the call reached the disk")
			}
		})
	}
}

func TestReadsGoOnAfterAFailure(t *testing.T) {
	t.Parallel()
	f, _ := setup(t, errorfs.OpFileSync, errDisk)
	f.Arm()
	before, err := f.Open("db/a")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := f.OpenDir("db")
	if err != nil {
		t.Fatal(err)
	}
	f.Trip(errDisk)

	for name, file := range map[string]vfs.File{"opened before": before, "opened after": open(t, f, "db/a")} {
		buf := make([]byte, 7)
		if _, err := file.ReadAt(buf, 0); err != nil || string(buf) != "content" {
			t.Errorf("%s: ReadAt = %q, %v", name, buf, err)
		}
		if _, err := file.Read(buf); err != nil || string(buf) != "content" {
			t.Errorf("%s: Read = %q, %v", name, buf, err)
		}
		if info, err := file.Stat(); err != nil || info.Size() != int64(len("content of db/a")) {
			t.Errorf("%s: Stat = %v, %v", name, info, err)
		}
		if err := file.Prefetch(0, 7); err != nil {
			t.Errorf("%s: Prefetch: %v", name, err)
		}
		if err := file.Close(); err != nil {
			t.Errorf("%s: Close: %v", name, err)
		}
	}
	if err := dir.Close(); err != nil {
		t.Errorf("closing a directory: %v", err)
	}
	if names, err := f.List("db"); err != nil || len(names) != 2 {
		t.Errorf("List = %v, %v", names, err)
	}
	if _, err := f.Stat("db/a"); err != nil {
		t.Errorf("Stat: %v", err)
	}
	if _, err := f.GetDiskUsage("db"); !errors.Is(err, vfs.ErrUnsupported) {
		t.Errorf("GetDiskUsage: %v, want what the inner file system says", err)
	}
	if n := f.Parked(); n != 0 {
		t.Errorf("%d reads are parked", n)
	}
}

func open(t *testing.T, fs *FS, name string) vfs.File {
	t.Helper()
	f, err := fs.Open(name, vfs.RandomReadsOption)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFailedReadsNeverBlowTheFuse(t *testing.T) {
	t.Parallel()
	reads := map[errorfs.OpKind]func(f *FS, file vfs.File) error{
		errorfs.OpOpen:         func(f *FS, _ vfs.File) error { _, err := f.Open("db/a"); return err },
		errorfs.OpList:         func(f *FS, _ vfs.File) error { _, err := f.List("db"); return err },
		errorfs.OpStat:         func(f *FS, _ vfs.File) error { _, err := f.Stat("db/a"); return err },
		errorfs.OpGetDiskUsage: func(f *FS, _ vfs.File) error { _, err := f.GetDiskUsage("db"); return err },
		errorfs.OpFileRead:     func(_ *FS, file vfs.File) error { _, err := file.Read(make([]byte, 1)); return err },
		errorfs.OpFileReadAt:   func(_ *FS, file vfs.File) error { _, err := file.ReadAt(make([]byte, 1), 0); return err },
		errorfs.OpFileStat:     func(_ *FS, file vfs.File) error { _, err := file.Stat(); return err },
		errorfs.OpFileClose:    func(_ *FS, file vfs.File) error { return file.Close() },
		errorfs.OpLock:         func(f *FS, _ vfs.File) error { _, err := f.Lock("db/LOCK"); return err },
	}
	for kind, read := range reads {
		t.Run(fmt.Sprint(kind), func(t *testing.T) {
			t.Parallel()
			f, flt := setup(t, kind, errDisk)
			f.Arm()
			file := open(t, f, "db/a")
			flt.on.Store(true)
			if err := read(f, file); !errors.Is(err, errDisk) {
				t.Errorf("got %v, want the error of the disk", err)
			}
			if err := f.Err(); err != nil {
				t.Errorf("the fuse has blown: %v", err)
			}
		})
	}
}

func TestToleratedErrorsPass(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		op        Op
		err       error
		tolerated bool
	}{
		{OpRemove, fs.ErrNotExist, true},
		{OpRemove, &os.PathError{Op: "remove", Path: "db/a", Err: syscall.ENOENT}, true},
		{OpRemove, syscall.EROFS, false},
		{OpRemoveAll, fs.ErrNotExist, true},
		{OpRemoveAll, syscall.EACCES, false},
		{OpPreallocate, syscall.EOPNOTSUPP, true},
		{OpPreallocate, syscall.ENOSYS, true},
		{OpPreallocate, syscall.EINVAL, true},
		{OpPreallocate, syscall.EINTR, true},
		{OpPreallocate, vfs.ErrUnsupported, true},
		{OpPreallocate, syscall.ENOSPC, false},
		{OpPreallocate, syscall.EIO, false},
		{OpRename, fs.ErrNotExist, false},
		{OpSyncData, syscall.EINTR, false},
	} {
		t.Run(fmt.Sprintf("%s %v", c.op, c.err), func(t *testing.T) {
			t.Parallel()
			at := calls[0]
			for _, at = range calls {
				if at.op == c.op {
					break
				}
			}
			f, flt := setup(t, at.kind, c.err)
			f.Arm()
			call := at.make(t, f)
			flt.on.Store(true)
			if !c.tolerated {
				mustPark(t, f, string(c.op), func() { _ = call() })
				return
			}
			if err := call(); !errors.Is(err, c.err) {
				t.Errorf("got %v, want %v", err, c.err)
			}
			if err := f.Err(); err != nil {
				t.Errorf("the fuse has blown: %v", err)
			}
		})
	}
}

// shortWrites writes half and claims that all went well.
type shortWrites struct{ vfs.FS }

func (s shortWrites) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := s.FS.Create(name, category)
	return shortWriter{f}, err
}

type shortWriter struct{ vfs.File }

func (w shortWriter) Write(p []byte) (int, error) { return w.File.Write(p[:len(p)/2]) }

func (w shortWriter) WriteAt(p []byte, off int64) (int, error) {
	return w.File.WriteAt(p[:len(p)/2], off)
}

func TestSilentShortWriteIsAFailure(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(vfs.File) error{
		"Write":   func(f vfs.File) error { _, err := f.Write([]byte("four")); return err },
		"WriteAt": func(f vfs.File) error { _, err := f.WriteAt([]byte("four"), 0); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := Wrap(shortWrites{vfs.NewMem()})
			f.Arm()
			file, err := f.Create("a", category)
			if err != nil {
				t.Fatal(err)
			}
			mustPark(t, f, name, func() { _ = write(file) })
			if !errors.Is(f.Err(), io.ErrShortWrite) {
				t.Errorf("Err() = %v, want io.ErrShortWrite", f.Err())
			}
		})
	}
}

func TestBlockNeverReturns(t *testing.T) {
	t.Parallel()
	f := Wrap(vfs.NewMem())
	mustPark(t, f, "Block", f.Block)
	if n := f.Parked(); n != 1 {
		t.Errorf("Parked() = %d, want 1", n)
	}
}

func TestErrorSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err       *Error
		text, typ string
	}{
		{&Error{Op: OpSyncData, Path: "db/000004.log", Err: errDisk},
			"fuse: sync_data db/000004.log: disk on fire; close the store and open it again", "disk_sync_data"},
		{&Error{Op: OpTrip, Err: errDisk},
			"fuse: trip: disk on fire; close the store and open it again", "disk_trip"},
		{&Error{Op: OpWrite, Path: "db/000004.log", Err: syscall.ENOSPC},
			"fuse: write db/000004.log: no space left on device; free some space, then close the store and open it again", "disk_full"},
	} {
		if got := c.err.Error(); got != c.text {
			t.Errorf("Error() = %q, want %q", got, c.text)
		}
		if got := c.err.ErrorType(); got != c.typ {
			t.Errorf("ErrorType() = %q, want %q", got, c.typ)
		}
	}
}

func TestIsNoSpace(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]bool{
		syscall.ENOSPC: true,
		syscall.EDQUOT: true,
		&Error{Op: OpWrite, Err: &os.PathError{Op: "write", Err: syscall.ENOSPC}}: true,
		syscall.EIO: false,
		nil:         false,
	} {
		if got := IsNoSpace(err); got != want {
			t.Errorf("IsNoSpace(%v) = %v, want %v", err, got, want)
		}
	}
}

func TestFilesKeepTheirDescriptor(t *testing.T) {
	t.Parallel()
	mem := createFile(t, Wrap(vfs.NewMem()), "a")
	if fd := mem.Fd(); fd != vfs.InvalidFd {
		t.Errorf("Fd() of a file in memory = %d, want InvalidFd", fd)
	}
	disk := createFile(t, Wrap(vfs.Default), t.TempDir()+"/a")
	if fd := disk.Fd(); fd == vfs.InvalidFd {
		t.Error("Fd() of a file on disk is InvalidFd")
	}
	if err := disk.Close(); err != nil {
		t.Error(err)
	}
}

func createFile(t *testing.T, fs *FS, name string) vfs.File {
	t.Helper()
	f, err := fs.Create(name, category)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestRootSeesThroughTheFuse(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	if got := vfs.Root(Wrap(mem)); got != vfs.FS(mem) {
		t.Errorf("vfs.Root = %v, want the innermost file system", got)
	}
}
