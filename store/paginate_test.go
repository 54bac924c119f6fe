package store_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/riffle-go/riffle/store"
)

func itself(s string) string { return s }

func TestPaginateGoesThereAndBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfNDistinct(rapid.StringN(0, 4, -1), 0, 30, itself).Draw(t, "keys")
		slices.Sort(keys)
		want := slices.Clone(keys)
		q := store.Query{Limit: rapid.IntRange(1, 9).Draw(t, "limit"), Backward: rapid.Bool().Draw(t, "backward")}
		if q.Backward {
			slices.Reverse(want)
		}
		read := func() store.Page[string] {
			p, err := store.Paginate(keys, itself, q)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		var got []string
		var p store.Page[string]
		for {
			p = read()
			got = append(got, p.Items...)
			if p.HasPrev != (q.After != "" && len(got) > len(p.Items)) {
				t.Fatalf("HasPrev %v after %d", p.HasPrev, len(got))
			}
			if p.HasNext != (len(got) < len(want)) {
				t.Fatalf("HasNext %v after %d of %d", p.HasNext, len(got), len(want))
			}
			q.After = p.End
			if !p.HasNext {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
		if p = read(); len(p.Items) > 0 || p.HasNext || p.HasPrev != (len(keys) > 0) {
			t.Fatalf("behind the end: %+v", p)
		}
		q.Backward, got = !q.Backward, nil
		q.After = p.End
		// From behind the end back to the beginning; a cursor itself is not read again.
		for {
			p = read()
			got = append(got, p.Items...)
			q.After = p.End
			if !p.HasNext {
				break
			}
		}
		slices.Reverse(want)
		if len(want) > 0 {
			want = want[1:]
		}
		if !slices.Equal(got, want) {
			t.Fatalf("back: got %q, want %q", got, want)
		}
	})
}

func TestPaginateGoesOnWhenTheSliceChanges(t *testing.T) {
	t.Parallel()
	p, err := store.Paginate([]string{"a", "c", "e"}, itself, store.Query{Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	p, err = store.Paginate([]string{"b", "d", "e"}, itself, store.Query{After: p.End})
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, "behind c", p.Items, []string{"d", "e"})
	if !p.HasPrev {
		t.Fatal("b is before the page")
	}
	empty, err := store.Paginate(nil, itself, store.Query{})
	if err != nil {
		t.Fatal(err)
	}
	p, err = store.Paginate([]string{"x"}, itself, store.Query{After: empty.End})
	if err != nil {
		t.Fatal(err)
	}
	wantList(t, "behind the end of nothing", p.Items, []string{"x"})
}

func TestPaginateRefusesWhatMeansNothing(t *testing.T) {
	t.Parallel()
	for field, q := range map[string]store.Query{
		"Query.Match": {RoutingKey: new("eu")},
		"Query.From":  {To: store.AtHead()},
		"Query.Limit": {Limit: -1},
		"Query.After": {After: forge(3)},
	} {
		_, err := store.Paginate([]string{"a"}, itself, q)
		wantInvalid(t, err, field)
	}
	_, err := store.Paginate([]string{"a"}, itself, store.Query{Limit: store.MaxPageSize + 1})
	wantInvalid(t, err, "Query.Limit")
	_, err = store.Paginate([]string{"a"}, itself, store.Query{After: forge(3, 7)})
	wantInvalid(t, err, "Query.After")
}

func ExamplePaginate() {
	users := []string{"ann", "bob", "cid", "dan", "eve"}
	q := store.Query{Limit: 2}
	for {
		page, err := store.Paginate(users, func(u string) string { return u }, q)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(page.Items)
		if !page.HasNext {
			return
		}
		q.After = page.End
	}
	// Output:
	// [ann bob]
	// [cid dan]
	// [eve]
}
