package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/riffle-go/riffle/cmd/riffle/internal/display"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

func newTypes() *cobra.Command {
	c := &cobra.Command{
		Use:               "types DIR",
		Short:             "List the types of the stored events",
		Args:              oneDir,
		ValidArgsFunction: completeDirs,
	}
	format := formatFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		st, err := openReadOnly(args[0], c.ErrOrStderr())
		if err != nil {
			return err
		}
		return closing(st, listTypes(c.Context(), st, c.OutOrStdout(), *format))
	}
	return c
}

// typeReport is a type with its first and its last event.
type typeReport struct {
	Aggregate event.Aggregate `json:"aggregate"`
	Name      string          `json:"name"`
	First     event.Position  `json:"first"`
	Last      event.Position  `json:"last"`
	LastTime  time.Time       `json:"last_time"`
}

func listTypes(ctx context.Context, st *store.Store, w io.Writer, format display.Format) error {
	types, err := st.Types(ctx)
	if err != nil {
		return err
	}
	l := display.NewList(w, format, "TYPE", "FIRST", "LAST", "LAST AT")
	for _, t := range types {
		first, err := oneEvent(ctx, st, t, false)
		if err != nil {
			return err
		}
		last, err := oneEvent(ctx, st, t, true)
		if err != nil {
			return err
		}
		r := typeReport{Aggregate: t.Aggregate, Name: t.Name, First: first.Position, Last: last.Position, LastTime: last.Time}
		if err := l.Add(r, t.String(), r.First.String(), r.Last.String(), display.Time(r.LastTime)); err != nil {
			return err
		}
	}
	return l.Close()
}

// oneEvent returns the first or the last event of a type.
func oneEvent(ctx context.Context, st *store.Store, t event.Type, last bool) (event.Event, error) {
	for ev, err := range st.Events(ctx, store.Query{Match: store.MatchTypes(t), Limit: 1, Backward: last}) {
		return ev, err
	}
	return event.Event{}, fmt.Errorf("type %s has no events; run riffle verify", t)
}

// findTypes returns the stored types that an argument names: a whole type as it is
// listed, or the name alone.
func findTypes(types []event.Type, arg string) ([]event.Type, error) {
	var found []event.Type
	for _, t := range types {
		if t.String() == arg || t.Name == arg {
			found = append(found, t)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("there are no events of type %q; stored are: %s", arg, someOf(types, event.Type.String))
	}
	return found, nil
}

// checkAggregate refuses an aggregate that no event has.
func checkAggregate(types []event.Type, a event.Aggregate) error {
	if slices.ContainsFunc(types, func(t event.Type) bool { return t.Aggregate == a }) {
		return nil
	}
	return fmt.Errorf("there are no events of aggregate %q; stored are: %s", a, someOf(aggregates(types), func(a event.Aggregate) string { return string(a) }))
}

// aggregates are those of types that are sorted.
func aggregates(types []event.Type) []event.Aggregate {
	var all []event.Aggregate
	for _, t := range types {
		all = append(all, t.Aggregate)
	}
	return slices.Compact(all)
}

// someOf names things in an error, not more than fit there.
func someOf[T any](things []T, name func(T) string) string {
	const most = 20
	if len(things) == 0 {
		return "none"
	}
	var names []string
	for _, t := range things[:min(len(things), most)] {
		names = append(names, name(t))
	}
	if len(things) > most {
		names = append(names, fmt.Sprintf("and %d more", len(things)-most))
	}
	return strings.Join(names, ", ")
}
