package fuse

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// disk returns a file system with the given bytes available, out of a thousand
// that are not used: the rest is reserved.
func disk(avail uint64) *vfs.MemFS {
	mem := vfs.NewMem()
	setAvailable(mem, avail)
	return mem
}

func setAvailable(mem *vfs.MemFS, avail uint64) {
	mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: avail, TotalBytes: 5000, UsedBytes: 4000})
}

func TestSpaceIsLowBelowTheThreshold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		avail, threshold uint64
		low              bool
	}{
		{0, 100, true},
		{99, 100, true},
		{100, 100, false},
		{101, 100, false},
		{0, 0, false},
	} {
		s := NewSpace(disk(c.avail), "db", c.threshold)
		if got := s.Low(); got != c.low {
			t.Errorf("%d of %d: Low() = %v, want %v", c.avail, c.threshold, got, c.low)
		}
		if got, known := s.Available(); got != c.avail || !known {
			t.Errorf("Available() = %d, %v, want %d", got, known, c.avail)
		}
	}
}

func TestSpaceHeals(t *testing.T) {
	t.Parallel()
	mem := disk(1000)
	s := NewSpace(mem, "db", 100)
	for _, c := range []struct {
		avail uint64
		low   bool
	}{{50, true}, {100, false}, {99, true}, {1000, false}} {
		setAvailable(mem, c.avail)
		s.Poll()
		if got := s.Low(); got != c.low {
			t.Errorf("%d available: Low() = %v, want %v", c.avail, got, c.low)
		}
	}
}

func TestSpaceThatCannotBeToldIsNeverLow(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem()
	s := NewSpace(mem, "db", 100)
	if s.Low() {
		t.Error("Low() = true")
	}
	if _, known := s.Available(); known {
		t.Error("Available() claims to know")
	}
	if err := s.Err(); err != nil {
		t.Errorf("Err() = %v", err)
	}
	setAvailable(mem, 1)
	s.Poll()
	if !s.Low() {
		t.Error("Low() = false once the file system can tell")
	}
	mem.TestingSetDiskUsage(vfs.DiskUsage{})
	s.Poll()
	if s.Low() {
		t.Error("Low() = true, but the file system cannot tell any more")
	}
}

func TestSpaceKeepsItsAnswerWhenAPollFails(t *testing.T) {
	t.Parallel()
	mem := disk(50)
	flt := newFault(func(op errorfs.Op) bool { return op.Kind == errorfs.OpGetDiskUsage }, errDisk)
	s := NewSpace(faulty(mem, flt), "db", 100)
	flt.on.Store(true)
	s.Poll()
	if !s.Low() {
		t.Error("a failed poll has healed the space")
	}
	if avail, known := s.Available(); avail != 50 || !known {
		t.Errorf("Available() = %d, %v, want the last answer", avail, known)
	}
	if err := s.Err(); err != errDisk {
		t.Errorf("Err() = %v, want the error of the poll", err)
	}
	s.Poll() // the fault is over
	if err := s.Err(); err != nil {
		t.Errorf("Err() = %v after a good poll", err)
	}
}

func TestSpaceRunPollsUntilItsContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mem := disk(1000)
		s := NewSpace(mem, "db", 100)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.Run(ctx, time.Second)
		}()

		setAvailable(mem, 10)
		<-time.After(999 * time.Millisecond)
		synctest.Wait()
		if s.Low() {
			t.Error("polled before the interval has passed")
		}
		<-time.After(2 * time.Millisecond)
		synctest.Wait()
		if !s.Low() {
			t.Error("has not polled after the interval")
		}
		setAvailable(mem, 1000)
		<-time.After(time.Second)
		synctest.Wait()
		if s.Low() {
			t.Error("has not healed")
		}
		cancel()
		<-done
	})
}
