package snapshot_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/snapshot"
)

// Whatever fails, is committed, is lost or evicted: the states are the fold of the events
// that were folded without an error, and only whole commits survive a reset.
func TestStatesAreTheFoldOfWhatSucceeded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := newBackend()
		c := b.config()
		c.Limit = int64(rapid.IntRange(1, 3000).Draw(t, "limit"))
		s, err := snapshot.NewStates(c)
		if err != nil {
			t.Fatal(err)
		}
		live := make(map[string][]uint64) // what States must have
		var underWay, durable map[string][]uint64
		var pending *snapshot.Cut
		at := event.Position(0)
		key := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g"})
		settle := func() {
			if pending != nil {
				b.commit(*pending)
				s.Committed()
				durable, pending = underWay, nil
			}
		}
		copied := func(m map[string][]uint64) map[string][]uint64 {
			out := make(map[string][]uint64)
			for k, v := range m {
				out[k] = slices.Clone(v)
			}
			return out
		}
		t.Repeat(map[string]func(*rapid.T){
			"fold": func(t *rapid.T) {
				at++
				k := key.Draw(t, "key")
				how := rapid.SampledFrom([]string{"ok", "ok", "ok", "refuse", "panic", "delete"}).Draw(t, "how")
				err := fold(t.Context(), s, k, b.event(at, how))
				switch how {
				case "ok":
					live[k] = append(live[k], uint64(at))
				case "delete":
					delete(live, k)
				}
				if failed := how == "refuse" || how == "panic"; (err != nil) != failed {
					t.Fatalf("%s: %v", how, err)
				}
			},
			"cut": func(t *rapid.T) {
				settle()
				cut, err := s.Cut(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				pending, underWay = &cut, copied(live)
			},
			"committed": func(*rapid.T) { settle() },
			"reset": func(*rapid.T) {
				s.Reset()
				pending, live = nil, copied(durable)
			},
			"": func(t *rapid.T) {
				k := key.Draw(t, "looked at")
				state, err := s.View(t.Context(), k)
				if err != nil {
					t.Fatal(err)
				}
				var got []uint64
				if state != nil {
					got = state.(*journal).Seen
				}
				if !slices.Equal(got, live[k]) {
					t.Fatalf("%s is %v, want %v", k, got, live[k])
				}
				if len(b.committed) != len(durable) {
					t.Fatalf("committed %v, want %v", slices.Sorted(maps.Keys(b.committed)), durable)
				}
				for k, want := range durable {
					if got := string(b.committed[k].State); got != encoded(want) {
						t.Fatalf("%s was committed as %s, want %s", k, got, encoded(want))
					}
				}
			},
		})
	})
}

func encoded(seen []uint64) string {
	s := `{"Seen":[`
	for i, at := range seen {
		if i > 0 {
			s += ","
		}
		s += fmt.Sprint(at)
	}
	return s + "]}"
}
