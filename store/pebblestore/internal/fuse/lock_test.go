package fuse

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// gate holds one kind of operation inside the file system until it is opened.
type gate struct {
	kind    errorfs.OpKind
	entered chan struct{}
	open    chan struct{}
}

func newGate(kind errorfs.OpKind) *gate {
	return &gate{kind: kind, entered: make(chan struct{}, 16), open: make(chan struct{})}
}

func (g *gate) String() string { return "gate" }

func (g *gate) MaybeError(op errorfs.Op) error {
	if op.Kind == g.kind {
		g.entered <- struct{}{}
		<-g.open
	}
	return nil
}

// locked returns an armed FS that holds the lock of "LOCK" in inner.
func locked(t *testing.T, inner vfs.FS) (*FS, io.Closer) {
	t.Helper()
	f := Wrap(inner)
	l, err := f.Lock("LOCK")
	if err != nil {
		t.Fatal(err)
	}
	f.Arm()
	return f, l
}

func expired(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func isLocked(t *testing.T, inner vfs.FS) bool {
	t.Helper()
	l, err := Wrap(inner).Lock("LOCK")
	if err != nil {
		return true
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return false
}

func TestLockIsReleasedByItsOwner(t *testing.T) {
	t.Parallel()
	for name, fs := range map[string]vfs.FS{"memory": vfs.NewMem(), "disk": vfs.Default} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := "LOCK"
			if name == "disk" {
				path = t.TempDir() + "/LOCK"
			}
			f := Wrap(fs)
			l, err := f.Lock(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Wrap(fs).Lock(path); err == nil {
				t.Error("locked twice")
			}
			for range 2 {
				if err := l.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}
			again, err := Wrap(fs).Lock(path)
			if err != nil {
				t.Fatalf("not released: %v", err)
			}
			if err := again.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAbandonReleasesTheLock(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	f, l := locked(t, mem)
	f.Trip(errDisk)
	if err := l.Close(); !errors.Is(err, errDisk) {
		t.Errorf("Close of the lock of a failed store = %v, want the cause", err)
	}
	if !isLocked(t, mem) {
		t.Fatal("the lock was released without Abandon")
	}
	if err := f.Abandon(expired(t)); err != nil { // nothing runs: no need to wait
		t.Fatalf("Abandon: %v", err)
	}
	if isLocked(t, mem) {
		t.Error("Abandon has not released the lock")
	}
	if err := f.Abandon(t.Context()); err != nil {
		t.Errorf("second Abandon: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("Close after Abandon: %v", err)
	}
	if _, err := f.Lock("LOCK"); !errors.Is(err, ErrBlown) {
		t.Errorf("Lock through a blown fuse = %v, want ErrBlown", err)
	}
	if isLocked(t, mem) {
		t.Error("the lock is held again")
	}
}

func TestAbandonRefusesAnIntactStore(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	f, l := locked(t, mem)
	if err := f.Abandon(t.Context()); !errors.Is(err, ErrIntact) {
		t.Errorf("Abandon = %v, want ErrIntact", err)
	}
	if !isLocked(t, mem) {
		t.Error("the lock was released")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestAbandonKeepsTheLockWhileACallRuns(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	g := newGate(errorfs.OpFileWrite)
	f, _ := locked(t, errorfs.Wrap(mem, g))
	file := createFile(t, f, "a")
	go func() { _, _ = file.Write([]byte("late")) }()
	receive(t, "the write", g.entered)
	f.Trip(errDisk)

	err := f.Abandon(expired(t))
	if !errors.Is(err, ErrBusy) || !errors.Is(err, context.Canceled) {
		t.Errorf("Abandon = %v, want ErrBusy and the error of the context", err)
	}
	if !isLocked(t, mem) {
		t.Fatal("the lock was released while a write was running")
	}

	// Several may wait; all are told when the call ends.
	done := make(chan error)
	for range 3 {
		go func() { done <- f.Abandon(t.Context()) }()
	}
	select {
	case err := <-done:
		t.Fatalf("Abandon returned %v while a write was running", err)
	case <-time.After(20 * time.Millisecond):
	}
	close(g.open)
	for range 3 {
		if err := receive(t, "Abandon", done); err != nil {
			t.Errorf("Abandon: %v", err)
		}
	}
	if isLocked(t, mem) {
		t.Error("the lock is still held")
	}
	eventually(t, "the write parks although it succeeded", func() bool { return f.Parked() == 1 })
}

func TestNothingIsLockedThroughABlownFuse(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	f := Wrap(mem)
	f.Trip(errDisk)
	if _, err := f.Lock("LOCK"); !errors.Is(err, errDisk) {
		t.Errorf("Lock = %v, want the cause", err)
	}
	if isLocked(t, mem) {
		t.Error("the lock is held")
	}
}

// TestAbandonWithLateCallers lets calls arrive, end and park while Abandon waits.
func TestAbandonWithLateCallers(t *testing.T) {
	t.Parallel()
	for range 50 {
		f, _ := locked(t, vfs.NewMem())
		file := createFile(t, f, "a")
		for range 4 {
			go func() {
				for {
					_ = file.Sync()
				}
			}()
		}
		go f.Trip(errDisk)
		receive(t, "Failed", f.Failed())
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		if err := f.Abandon(ctx); err != nil {
			t.Fatalf("Abandon: %v", err)
		}
		cancel()
		eventually(t, "all callers park", func() bool { return f.Parked() == 4 })
	}
}

// lockRace lets the fuse blow and be abandoned while a Lock is on its way.
type lockRace struct {
	vfs.FS
	during func()
}

func (l lockRace) Lock(name string) (io.Closer, error) {
	c, err := l.FS.Lock(name)
	l.during()
	return c, err
}

func TestLockTakenDuringAbandonIsGivenBack(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	var f *FS
	f = Wrap(lockRace{mem, func() {
		f.Trip(errDisk)
		if err := f.Abandon(t.Context()); err != nil {
			t.Error(err)
		}
	}})
	if _, err := f.Lock("LOCK"); !errors.Is(err, errDisk) {
		t.Errorf("Lock = %v, want the cause", err)
	}
	if isLocked(t, mem) {
		t.Error("the lock is held for ever")
	}
}
