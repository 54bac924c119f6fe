package worker

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

func waiting(key string, at event.Position) store.Row {
	return store.Row{Key: key, Position: at, State: store.Waiting}
}

func TestRowsOfAKeyStayInOrderWhateverOrderTheyComeIn(t *testing.T) {
	t.Parallel()
	tab := newRowTable()
	for _, at := range []event.Position{9, 5, 7, 5} {
		if err := tab.put(waiting("a", at)); err != nil {
			t.Fatal(err)
		}
	}
	var got []event.Position
	for _, r := range tab.keys["a"].rows {
		got = append(got, r.Position)
	}
	if !slices.Equal(got, []event.Position{5, 7, 9}) {
		t.Fatalf("rows at %v", got)
	}
	if w, p, k := tab.counts(); w != 3 || p != 0 || k != 1 {
		t.Fatalf("counts %d %d %d", w, p, k)
	}
}

func TestACommitTakesOnlyRowsUpToItsPosition(t *testing.T) {
	t.Parallel()
	tab := newRowTable()
	for _, at := range []event.Position{3, 8} {
		if err := tab.put(waiting("a", at)); err != nil {
			t.Fatal(err)
		}
	}
	tab.remove("a", 3, time.Now())
	c := store.Commit{To: 5}
	taken := tab.take(&c)
	if len(c.Rows) != 0 || !slices.Equal(c.RowsDone, []store.RowKey{{Key: "a", Position: 3}}) {
		t.Fatalf("commit %+v", c)
	}
	tab.refused(taken)
	c = store.Commit{To: 8}
	tab.take(&c)
	if len(c.Rows) != 1 || c.Rows[0].Position != 8 || len(c.RowsDone) != 1 {
		t.Fatalf("commit after a refused one: %+v", c)
	}
}

func TestTheCaps(t *testing.T) {
	t.Parallel()
	full := func(keys, rows int) error {
		tab := newRowTable()
		for k := range keys {
			for r := range rows {
				if err := tab.put(waiting(event.Key("k", string(rune('a'+k%26)), time.Duration(k).String()), event.Position(r+1))); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for _, c := range []struct {
		keys, rows int
		what       string
	}{
		{maxBlockedKeys, 1, ""}, {maxBlockedKeys + 1, 1, "blocked keys"},
		{1, maxKeyRows, ""}, {1, maxKeyRows + 1, "rows of one key"},
		{10, maxKeyRows, ""}, {11, maxKeyRows, "rows"},
	} {
		err := full(c.keys, c.rows)
		over, ok := errors.AsType[*CapError](err)
		if ok != (c.what != "") || ok && over.What != c.what {
			t.Errorf("%d keys with %d rows: %v, want %q", c.keys, c.rows, err, c.what)
		}
	}
}
