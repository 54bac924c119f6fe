package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/riffle-go/riffle/cmd/riffle/internal/display"
	"github.com/riffle-go/riffle/cmd/riffle/internal/online"
	"github.com/riffle-go/riffle/cmd/riffle/internal/report"
	"github.com/riffle-go/riffle/store"
)

// parkedFlags say which rows to list.
type parkedFlags struct {
	state string
	limit *int
}

func newParked() *cobra.Command {
	var flags parkedFlags
	c := &cobra.Command{
		Use:   "parked DIR [SUBSCRIPTION] | [SUBSCRIPTION] --url URL",
		Short: "List the events that could not be handled",
		Long: `List the events that subscriptions have set aside: parked ones, whose attempts are used up
or which wait behind such a one of the same key; or with --state those that wait for their
next attempt, or that were skipped.

To try them again or to leave them out, use riffle retry and riffle skip, which ask the
running service, or its admin page.`,
		ValidArgsFunction: completeDirs,
	}
	format := formatFlag(c)
	var remote online.Remote
	remote.Flags(c)
	c.Args = func(c *cobra.Command, args []string) error {
		given, err := remote.Given()
		switch {
		case err != nil:
			return err
		case given && len(args) > 1:
			return fmt.Errorf("%s with --url takes at most the name of a subscription; it got %d arguments", c.CommandPath(), len(args))
		case !given && (len(args) < 1 || len(args) > 2):
			return fmt.Errorf("%s takes the directory of a store and, if you like, the name of a subscription; it got %d arguments", c.CommandPath(), len(args))
		}
		return nil
	}
	c.Flags().StringVar(&flags.state, "state", "parked", "parked, waiting, skipped or all")
	if err := c.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(online.States, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag was not defined
	}
	flags.limit = limitFlag(c, "events")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := checkLimit(*flags.limit); err != nil {
			return err
		}
		if err := online.CheckState(flags.state); err != nil {
			return err
		}
		if remote.URL != "" {
			client, err := remote.Client()
			if err != nil {
				return err
			}
			return online.ListParked(c, client, strings.Join(args, ""), flags.state, *flags.limit, *format)
		}
		name := ""
		if len(args) == 2 {
			name = args[1]
		}
		st, err := openReadOnly(args[0], c.ErrOrStderr())
		if err != nil {
			return err
		}
		return closing(st, listRows(c, st, name, &flags, *format))
	}
	return c
}

func listRows(c *cobra.Command, st *store.Store, name string, flags *parkedFlags, format display.Format) error {
	ctx := c.Context()
	keys, err := subscriberKeys(ctx, st, name)
	if err != nil {
		return err
	}
	limit := *flags.limit
	more := moreThan(&limit)
	note := ""
	n := 0
	l := display.NewList(c.OutOrStdout(), format, report.RowColumns...)
list:
	for _, key := range keys {
		for row, err := range st.Subscriber(key).Rows(ctx, store.Range{}) {
			if err != nil {
				return errors.Join(err, l.Close())
			}
			if flags.state != "all" && row.State.String() != flags.state {
				continue
			}
			if more() {
				note = "there are more; see all with --limit 0"
				break list
			}
			n++
			r, err := newRowReport(ctx, st, key, row)
			if err != nil {
				return err
			}
			if err := l.Add(r, r.Cells()...); err != nil {
				return err
			}
		}
	}
	if n == 0 && flags.state == "all" {
		note = "no event is set aside"
	} else if n == 0 {
		note = fmt.Sprintf("no event is %s", flags.state)
	}
	return closeList(c, l, note)
}

// subscriberKeys are those of one projection, or of all when name is "".
func subscriberKeys(ctx context.Context, st *store.Store, name string) ([]store.SubscriberKey, error) {
	var keys []store.SubscriberKey
	var names []string
	for info, err := range st.Subscribers(ctx) {
		if err != nil {
			return nil, err
		}
		names = append(names, info.Key.Projection)
		if name == "" || info.Key.Projection == name {
			keys = append(keys, info.Key)
		}
	}
	if name != "" && len(keys) == 0 {
		return nil, fmt.Errorf("there is no subscription %q; stored are: %s", name, someOf(slices.Compact(names), func(s string) string { return s }))
	}
	return keys, nil
}

func newRowReport(ctx context.Context, st *store.Store, key store.SubscriberKey, row store.Row) (report.Row, error) {
	r := report.Row{
		Subscription: key.Projection, Generation: key.Generation, Segment: key.Segment,
		Key: row.Key, Position: row.Position, State: row.State.String(), Attempts: row.Attempts,
		FirstError: row.First, LastError: row.Last, Since: row.Since, Due: row.Due,
	}
	ev, err := st.Event(ctx, row.Position)
	if errors.Is(err, store.ErrNotFound) { // a row of another history says nothing about this log
		return r, nil
	}
	r.Aggregate, r.StreamID, r.Name = ev.Stream.Aggregate, ev.Stream.ID, ev.Name
	return r, err
}
