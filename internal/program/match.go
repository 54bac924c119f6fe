package program

import (
	"cmp"
	"slices"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// Restrict narrows a selection to streams: nil is everything, and stays so without
// streams. Streams of aggregates that the selection does not name add nothing.
func Restrict(match []store.Match, streams []event.Stream) []store.Match {
	switch {
	case len(streams) == 0:
		return match
	case match == nil:
		return store.MatchStreams(streams...)
	}
	out := make([]store.Match, 0, len(streams))
	for _, m := range match {
		for _, s := range streams {
			if s.Aggregate == m.Aggregate && (m.ID == "" || m.ID == s.ID) {
				out = append(out, store.Match{Aggregate: m.Aggregate, ID: s.ID, Name: m.Name})
			}
		}
	}
	return Tidy(out)
}

// Widen drops the names of a selection: all events of its aggregates and streams.
func Widen(match []store.Match) []store.Match {
	out := slices.Clone(match)
	for i := range out {
		out[i].Name = ""
	}
	return Tidy(out)
}

// Tidy sorts a selection, and removes what is there twice or is part of a wider entry.
func Tidy(match []store.Match) []store.Match {
	if match == nil {
		return nil
	}
	sorted := slices.Clone(match)
	slices.SortFunc(sorted, compareMatches)
	sorted = slices.Compact(sorted)
	out := sorted[:0:0]
	for _, m := range sorted {
		if !slices.ContainsFunc(sorted, func(w store.Match) bool { return w != m && covers(w, m) }) {
			out = append(out, m)
		}
	}
	return out
}

func covers(wide, m store.Match) bool {
	return wide.Aggregate == m.Aggregate && (wide.ID == "" || wide.ID == m.ID) && (wide.Name == "" || wide.Name == m.Name)
}

func compareMatches(a, b store.Match) int {
	return cmp.Or(cmp.Compare(a.Aggregate, b.Aggregate), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Name, b.Name))
}
