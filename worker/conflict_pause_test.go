package worker

import (
	"testing"
	"time"
)

// Those who met in a conflict must not meet again at the same distance.
func TestThePausesBetweenConflictsGrowAndDiffer(t *testing.T) {
	t.Parallel()
	for n, most := range map[int]time.Duration{1: 10 * time.Millisecond, 3: 40 * time.Millisecond, 100: time.Second} {
		seen := map[time.Duration]bool{}
		for range 100 {
			d := conflictPause(n)
			if d < most/2 || d > most {
				t.Fatalf("pause %d is %v, want %v to %v", n, d, most/2, most)
			}
			seen[d] = true
		}
		if len(seen) < 50 {
			t.Errorf("%d different pauses of 100", len(seen))
		}
	}
}
