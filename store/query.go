package store

import (
	"github.com/riffle-go/riffle/event"
)

// Match selects events: those of an aggregate type, of one stream (ID), with one name
// (Name), or both. The aggregate is required.
type Match struct {
	Aggregate event.Aggregate
	ID        string // "" is every stream of the aggregate
	Name      string // "" is every event of the aggregate
}

// MatchTypes selects events by type. MatchTypes() of nothing selects nothing.
func MatchTypes(types ...event.Type) []Match {
	m := make([]Match, 0, len(types))
	for _, t := range types {
		m = append(m, Match{Aggregate: t.Aggregate, Name: t.Name})
	}
	return m
}

// MatchStreams selects the events of streams. MatchStreams() of nothing selects nothing.
func MatchStreams(streams ...event.Stream) []Match {
	m := make([]Match, 0, len(streams))
	for _, s := range streams {
		m = append(m, Match{Aggregate: s.Aggregate, ID: s.ID})
	}
	return m
}

// Query says which events to read, from where, and how many.
type Query struct {
	// Match selects events that fit any of its entries. nil is every event; an empty slice
	// that is not nil is none.
	Match []Match

	// RoutingKey: nil is every event, new("eu") those of streams with that routing key, new("")
	// those of streams without one.
	RoutingKey *string

	From Point // inclusive; the zero Point is the beginning
	To   Point // inclusive; the zero Point is the head

	// After is a cursor of an earlier page: the read goes on behind it, in its direction. With
	// another filter than the page had, it means "from there".
	After Cursor

	// Limit is the size of a page in Read (0 is 500, at most 10,000; a page of large events ends
	// earlier, in the embedded driver at 8 MiB, and HasNext tells), and the total in Events
	// (0 is all).
	Limit    int
	Backward bool // newest first
	_        struct{}
}

// DefaultPageSize is the size of a page when a Query does not say.
const DefaultPageSize = 500

// MaxPageSize is the largest page a Query may ask for.
const MaxPageSize = 10_000

// Page is one page of a read.
type Page[T any] struct {
	Items []T // in the order of the read; they belong to the caller

	// Start and End are cursors for Query.After: End goes on behind this page in the same
	// direction, Start with the other direction goes back before it. They are set even when
	// the page is empty.
	Start, End Cursor

	// HasNext says that there may be more behind End, HasPrev that there may be some before
	// Start. They are exact, but for a page that stopped at Limits.Examine.
	HasPrev, HasNext bool

	// Scanned is how far the read looked: everything that matches up to here (going forward)
	// or down to here (going backward) has been returned. A reader is caught up when Scanned
	// is the head.
	Scanned event.Position
	_       struct{}
}

// Range bounds a listing by key.
type Range struct {
	Prefix string // keys that begin so
	After  string // keys greater than this one; it need not exist
	Limit  int    // 0 is all
	_      struct{}
}
