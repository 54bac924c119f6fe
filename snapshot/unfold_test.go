package snapshot_test

import "testing"

// An event that cannot be folded into all of its keys is taken out of those that have it.
func TestUnfoldTakesTheLastEventOutOfEveryState(t *testing.T) {
	t.Parallel()
	b, s := setup(t, nil)
	must(t, s.Fold(t.Context(), "old", b.event(1, "ok")))
	b.commit(mustCut(t, s))
	s.Committed()
	must(t, s.Fold(t.Context(), "other", b.event(2, "ok")))
	for _, key := range []string{"old", "new", "other"} {
		must(t, s.Fold(t.Context(), key, b.event(3, "ok")))
	}
	must(t, s.Fold(t.Context(), "later", b.event(4, "ok")))
	s.Unfold(3)
	for key, want := range map[string]string{"old": "[1]", "new": "none", "other": "[2]", "later": "[4]"} {
		if got := seen(t, s, key); got != want {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}
	must(t, s.Fold(t.Context(), "new", b.event(5, "ok")))
	b.commit(mustCut(t, s))
	s.Reset()
	for key, want := range map[string]string{"old": "[1]", "new": "[5]", "other": "[2]", "later": "[4]"} {
		if got := seen(t, s, key); got != want {
			t.Errorf("%s was committed as %s, want %s", key, got, want)
		}
	}
}
