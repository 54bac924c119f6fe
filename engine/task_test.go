package engine

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestRestartsComeLaterAndLaterUntilThereIsProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKeeper()
		wait := func() time.Duration { return time.Until(k.notBefore) }
		k.failed(0)
		if first := wait(); first > 2*restartFirst {
			t.Fatalf("the first restart waits %v", first)
		}
		for range 30 {
			k.failed(0)
		}
		if late := wait(); late < restartMost/2 || late > 2*restartMost {
			t.Fatalf("after 30 failures a restart waits %v, want about %v", late, restartMost)
		}
		time.Sleep(time.Hour)
		k.failed(0) // it never gives up
		if late := wait(); late < restartMost/2 || late > 2*restartMost {
			t.Fatalf("after an hour a restart waits %v, want about %v", late, restartMost)
		}
		k.failed(1)
		if soon := wait(); soon > 2*restartFirst {
			t.Fatalf("after progress a restart waits %v", soon)
		}
	})
}
