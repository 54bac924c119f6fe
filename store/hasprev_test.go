package store_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

// TestHasPrevIsAboutTheQuery, not about what its cursor was made with: there is something
// before a page when the query selects something there.
func TestHasPrevIsAboutTheQuery(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	for i := range 7 {
		if i == 2 || i == 5 { // at positions 3 and 6
			if _, err := st.Append(t.Context(), store.Batch{Stream: orders.Stream(fmt.Sprint(i)), Events: event.Of(placed{})}); err != nil {
				t.Fatal(err)
			}
			continue
		}
		deposit(t, st, "a", 1)
	}
	cursors := map[event.Position]store.Cursor{}
	for q := (store.Query{Limit: 1}); len(cursors) < 7; {
		page, err := st.Read(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		q.After = page.End
		cursors[page.Items[0].Position] = page.End
	}
	match := store.MatchTypes(placed{}.EventType())
	for _, c := range []struct {
		name  string
		query store.Query
		after event.Position
		want  bool
	}{
		{"the first match is on the page", store.Query{Match: match}, 2, false},
		{"a match right before the page", store.Query{Match: match}, 3, true},
		{"what is before the page is below From", store.Query{From: store.AtPosition(3)}, 2, false},
		{"From is right before the page", store.Query{From: store.AtPosition(2)}, 2, true},
		{"backward, the first match is on the page", store.Query{Match: match, Backward: true}, 7, false},
		{"backward, a match right before the page", store.Query{Match: match, Backward: true}, 6, true},
		{"backward, what is before the page is above To", store.Query{To: store.AtPosition(5), Backward: true}, 6, false},
		{"backward, To is right before the page", store.Query{To: store.AtPosition(6), Backward: true}, 6, true},
	} {
		c.query.After = cursors[c.after]
		page, err := st.Read(t.Context(), c.query)
		if err != nil || page.HasPrev != c.want {
			t.Errorf("%s: HasPrev %v, %v, want %v", c.name, page.HasPrev, err, c.want)
		}
	}
}

// TestHasPrevWhenTheLookGaveUp: there may be something.
func TestHasPrevWhenTheLookGaveUp(t *testing.T) {
	t.Parallel()
	d := memdriver.New(memdriver.Options{})
	deposit(t, open(t, d), "a", 5)
	st := open(t, blind{d.Reopen()})
	first, err := st.Read(t.Context(), store.Query{Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	page, err := st.Read(t.Context(), store.Query{After: first.End})
	if err != nil || !page.HasPrev {
		t.Errorf("HasPrev %v, %v", page.HasPrev, err)
	}
}

// blind finds nothing backwards in the entries that it may look at.
type blind struct{ store.Driver }

func (b blind) Read(ctx context.Context, scan store.Scan) (store.ScanResult, error) {
	res, err := b.Driver.Read(ctx, scan)
	if scan.Backward {
		res.Events, res.More, res.Scanned = nil, true, scan.To
	}
	return res, err
}
