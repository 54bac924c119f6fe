package pebblestore

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/store"
)

// smallDisk mounts a file system of some bytes.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	if os.Getenv("RIFFLE_CI") == "" {
		t.Skip("SKIPPED: a full disk of its own is mounted under RIFFLE_CI=1 only; elsewhere disks are full in memory")
	}
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size)
	if errors.Is(err, syscall.EPERM) {
		t.Skip("SKIPPED: this machine lets nobody mount a file system, so no real disk can be filled: run as root with CAP_SYS_ADMIN")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// noise is an append of 256 KiB that cannot be compressed.
func noise(n int) store.Appending {
	a := appending("a", store.Any, 1)
	a.Events[0].Data = make([]byte, 256<<10)
	rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}).Read(a.Events[0].Data)
	return a
}

// fill appends until that fails, and returns how many events were acknowledged.
func fill(t *testing.T, d *driver, before func()) (int, error) {
	t.Helper()
	for n := range 1000 {
		before()
		if _, err := d.try(t.Context(), noise(n)); err != nil {
			return n, err
		}
	}
	t.Fatal("the disk is never full")
	return 0, nil
}

func tiny(o *Options) {
	quiet(o)
	o.Tune = func(p *pebble.Options) { p.MemTableSize = 2 << 20 }
}

// TestARealDiskThatIsNearlyFullRefusesWritesAndHeals.
func TestARealDiskThatIsNearlyFullRefusesWritesAndHeals(t *testing.T) {
	disk := smallDisk(t, "96m")
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 50<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := openRaw(vfs.Default, filepath.Join(disk, "db"), tiny, func(o *Options) { o.FreeSpace = 24 << 20 })
	if err != nil {
		t.Fatal(err)
	}
	events, refused := fill(t, d, d.space.Poll) // which by itself looks once a second
	if !errors.Is(refused, store.ErrDiskFull) || d.failed() {
		t.Fatalf("after %d events: %v, want ErrDiskFull of a store that works", events, refused)
	}
	if all, err := scanAll(t.Context(), d, store.Scan{}); err != nil || len(all) != events {
		t.Errorf("read: %d events of %d, %v", len(all), events, err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	d.space.Poll()
	mustAppend(t, d, "a", 1)
	if err := errors.Join(d.Verify(t.Context(), nil), d.Close()); err != nil {
		t.Error(err)
	}
}

// TestARealDiskThatIsFullFailsTheStoreAndLosesNothing: when even the space that is kept free is
// gone, the store fails closed, and opens again in the same process when there is space.
func TestARealDiskThatIsFullFailsTheStoreAndLosesNothing(t *testing.T) {
	disk := smallDisk(t, "64m")
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 24<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(disk, "db")
	d, err := openRaw(vfs.Default, dir, tiny)
	if err != nil {
		t.Fatal(err)
	}
	acked, err := fill(t, d, func() {})
	if !errors.Is(err, store.ErrFailed) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("after %d events: %v, want ErrFailed for want of space", acked, err)
	}
	if all, err := scanAll(t.Context(), d, store.Scan{}); err != nil || len(all) != acked {
		t.Errorf("a failed store: %d events of %d, %v", len(all), acked, err)
	}
	if err := d.Close(); err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	d, err = openRaw(vfs.Default, dir, tiny)
	if err != nil {
		t.Fatal(err)
	}
	all, err := scanAll(t.Context(), d, store.Scan{})
	if err != nil || len(all) < acked || len(all) > acked+1 {
		t.Errorf("opened again: %d events of %d, %v", len(all), acked, err)
	}
	mustAppend(t, d, "a", 1)
	if err := errors.Join(d.Verify(t.Context(), nil), d.Close()); err != nil {
		t.Error(err)
	}
}
