package store

import (
	"sort"
)

// Paginate returns a page of a slice in memory, with cursors that work as those of
// [Store.Read] do. The slice is sorted by key, ascending in byte order, and keys are
// unique. A cursor holds the key at which a page ended, so it stays good when the slice
// changes: the next page goes on with the keys behind it. (The key can be read from the
// cursor.)
//
// Of the query only After, Limit (0 is 500) and Backward count; anything else is ErrInvalid.
// Page.Items share memory with the slice, unless the page is backward. Page.Scanned is 0.
func Paginate[T any](sorted []T, key func(T) string, q Query) (Page[T], error) {
	switch {
	case q.Match != nil || q.RoutingKey != nil:
		return Page[T]{}, &InvalidError{Field: "Query.Match", Reason: "means nothing to a slice; filter it before"}
	case !q.From.IsZero() || !q.To.IsZero():
		return Page[T]{}, &InvalidError{Field: "Query.From", Reason: "means nothing to a slice; cut it before"}
	case q.Limit < 0:
		return Page[T]{}, &InvalidError{Field: "Query.Limit", Reason: "is negative"}
	}
	limit, err := pageSize(q.Limit)
	if err != nil {
		return Page[T]{}, err
	}
	at := mark{side: first}
	if q.Backward {
		at.side = behindAll
	}
	if q.After != "" {
		if at, err = parseMark(q.After); err != nil {
			return Page[T]{}, err
		}
	}
	var page Page[T]
	lo, hi := cut(sorted, key, at, limit, q.Backward)
	page.HasPrev, page.HasNext = lo > 0, hi < len(sorted)
	start, end := at, at
	if lo < hi {
		start, end = mark{atKey, key(sorted[lo])}, mark{atKey, key(sorted[hi-1])}
	}
	page.Items = sorted[lo:hi:hi]
	if q.Backward {
		page.HasPrev, page.HasNext = page.HasNext, page.HasPrev
		start, end = end, start
		page.Items = reversed(page.Items)
	}
	if q.After == "" {
		page.HasPrev = false
	}
	page.Start, page.End = start.cursor(), end.cursor()
	return page, nil
}

// cut returns the bounds of the page beyond a mark.
func cut[T any](sorted []T, key func(T) string, at mark, limit int, backward bool) (lo, hi int) {
	switch at.side {
	case behindAll:
		lo, hi = len(sorted), len(sorted)
	case atKey:
		hi = sort.Search(len(sorted), func(i int) bool { return key(sorted[i]) >= at.key })
		lo = hi
		if !backward && lo < len(sorted) && key(sorted[lo]) == at.key {
			lo++
		}
	}
	if backward {
		return max(hi-limit, 0), hi
	}
	return lo, min(lo+limit, len(sorted))
}

func reversed[T any](items []T) []T {
	out := make([]T, len(items))
	for i, item := range items {
		out[len(items)-1-i] = item
	}
	return out
}

// mark is a place in a sorted slice.
type mark struct {
	side side
	key  string
}

type side byte

const (
	atKey side = iota
	first
	behindAll
)

func (m mark) cursor() Cursor {
	return seal(cursorPaginate, append([]byte{byte(m.side)}, m.key...))
}

func parseMark(c Cursor) (mark, error) {
	b, err := unseal(cursorPaginate, c)
	if err != nil {
		return mark{}, err
	}
	if len(b) == 0 || side(b[0]) > behindAll {
		return mark{}, invalidCursor("is of no known form")
	}
	return mark{side(b[0]), string(b[1:])}, nil
}
