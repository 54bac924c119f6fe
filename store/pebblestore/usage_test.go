package pebblestore

import (
	"errors"
	"strings"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

type filler struct{ Text string }

func (filler) EventType() event.Type { return event.Aggregate("usage").Event("filled") }

func TestUsageTellsWhatLiesOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 2 { // closing flushes: the second time the events are in tables
		st, err := Open(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			_, err := st.Append(t.Context(), store.Batch{
				Stream: event.Aggregate("usage").Stream("s"), Expect: store.Any, Events: event.Of(filler{strings.Repeat(string(rune('a'+i)), 4096)}),
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := st.Usage(t.Context()); !errors.Is(err, store.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
	st, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}()
	u, err := st.Usage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if u.Free <= 0 || u.Total < u.Tables || u.Tables == 0 || u.ReadAmplification == 0 || len(u.Levels) != 7 {
		t.Errorf("%+v", u)
	}
	bytes := map[string]int64{}
	for _, s := range u.Spaces {
		bytes[s.Space] = s.Bytes
	}
	if len(u.Spaces) != 12 || bytes["e"] <= 0 || bytes["n"] != 0 {
		t.Errorf("%+v", u.Spaces)
	}
}
