package admin

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A client that goes away must not take the numbers of the disk from all others.
func TestARequestThatEndsTellsNothingAboutTheDisk(t *testing.T) {
	t.Parallel()
	c := diskCache{within: time.Second, ask: func(ctx context.Context) (Disk, error) { return Disk{Total: 7}, ctx.Err() }}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.now(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if d, err := c.now(t.Context()); err != nil || d == nil || d.Total != 7 {
		t.Errorf("the next request gets %v, %v", d, err)
	}
}

func TestASlowDiskIsNotWaitedForByEachRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		c := diskCache{within: time.Second, ask: func(ctx context.Context) (Disk, error) {
			asked++
			<-ctx.Done()
			return Disk{}, ctx.Err()
		}}
		began := time.Now()
		for range 3 {
			if _, err := c.now(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		}
		if took := time.Since(began); asked != 1 || took != time.Second {
			t.Errorf("asked %d times for %v", asked, took)
		}
	})
}
