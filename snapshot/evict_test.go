package snapshot_test

import (
	"testing"

	"github.com/riffle-go/riffle/snapshot"
)

func TestAUsedStateOutlivesOnesUsedBefore(t *testing.T) {
	t.Parallel()
	b, s := setup(t, func(c *snapshot.Config) { c.Limit = 1000 }) // about three
	for _, key := range []string{"a", "b", "c", "a", "d"} {
		seen(t, s, key)
	}
	b.loads = 0
	if seen(t, s, "a"); b.loads != 0 {
		t.Error("the state that was used a moment ago was evicted")
	}
	if seen(t, s, "b"); b.loads != 1 {
		t.Error("the state that was not used for longest was kept")
	}
}

// What was folded while a commit was under way is in nobody else's hands.
func TestAStateThatChangedDuringItsCommitIsNotEvicted(t *testing.T) {
	t.Parallel()
	b, s := setup(t, func(c *snapshot.Config) { c.Limit = 1 })
	must(t, s.Fold(t.Context(), "a", b.event(1, "ok")))
	cut := mustCut(t, s)
	must(t, s.Fold(t.Context(), "a", b.event(2, "ok")))
	b.commit(cut)
	s.Committed()
	if got := seen(t, s, "a"); got != "[1 2]" {
		t.Fatal(got)
	}
	must(t, s.Fold(t.Context(), "a", b.event(3, "ok")))
	if cut := mustCut(t, s); len(cut.Save) != 1 || string(cut.Save[0].State) != `{"Seen":[1,2,3]}` {
		t.Fatalf("%+v", cut)
	}
}
