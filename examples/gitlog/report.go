package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// top is how many authors and files are shown.
const top = 10

// report is what the models say.
type report struct {
	total   Activity
	authors []entry // of most commits first, at most top
	files   []entry // of most churn first, at most top
	days    []entry // all seven
}

// entry is a state with its key.
type entry struct {
	name string
	Activity
}

func readReport(ctx context.Context, st *store.Store, m models) (r report, err error) {
	if r.authors, err = list(ctx, st, m.authors); err != nil {
		return r, err
	}
	for _, a := range r.authors {
		r.total.Commits += a.Commits
		r.total.Changes += a.Changes
		r.total.Added += a.Added
		r.total.Deleted += a.Deleted
	}
	if r.files, err = list(ctx, st, m.files); err != nil {
		return r, err
	}
	r.authors = best(r.authors, func(e entry) int { return e.Commits })
	r.files = best(r.files, func(e entry) int { return e.Churn() })
	days, err := list(ctx, st, m.weekdays)
	for _, name := range weekdays {
		day := entry{name: name}
		if i := slices.IndexFunc(days, func(e entry) bool { return e.name == name }); i >= 0 {
			day = days[i]
		}
		r.days = append(r.days, day)
	}
	return r, err
}

// list reads all states of a model.
func list(ctx context.Context, st *store.Store, m *projection.Model[Activity]) (all []entry, err error) {
	for state, err := range m.All(ctx, st, store.Range{}) {
		if err != nil {
			return nil, err
		}
		all = append(all, entry{state.Key, state.Value})
	}
	return all, nil
}

// best returns the entries with the highest values; those of equal value by name.
func best(all []entry, value func(entry) int) []entry {
	slices.SortFunc(all, func(a, b entry) int { return cmp.Or(value(b)-value(a), cmp.Compare(a.name, b.name)) })
	return all[:min(top, len(all))]
}

func (r report) print(out io.Writer) {
	_, _ = fmt.Fprintf(out, "%d commits, %d changes of files, +%d -%d lines\n", r.total.Commits, r.total.Changes, r.total.Added, r.total.Deleted)
	for _, part := range []struct {
		title   string
		entries []entry
	}{{"author", r.authors}, {"file", r.files}, {"weekday", r.days}} {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
		_, _ = fmt.Fprintf(w, "\ncommits\tchanges\tadded\tdeleted\t  %s\n", part.title)
		for _, e := range part.entries {
			// The name comes last and is no cell of the table, so that it stands on the left.
			_, _ = fmt.Fprintf(w, "%d\t%d\t%d\t%d\t  %s\n", e.Commits, e.Changes, e.Added, e.Deleted, printable(e.name))
		}
		_ = w.Flush() // a report that nobody can read is no reason to fail
	}
	_, _ = fmt.Fprintln(out)
}
