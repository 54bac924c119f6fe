package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/riffle-go/riffle/cmd/riffle/internal/display"
	"github.com/riffle-go/riffle/cmd/riffle/internal/online"
	"github.com/riffle-go/riffle/cmd/riffle/internal/report"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// streamsFlags say which streams to list.
type streamsFlags struct {
	aggregate, prefix, after string
	limit                    *int
}

func newStreams() *cobra.Command {
	var flags streamsFlags
	c := &cobra.Command{
		Use:   "streams DIR --aggregate A | --url URL --aggregate A",
		Short: "List the streams of an aggregate by id",
		Long: `List the streams of an aggregate by id, in byte order.

Ids with characters that cannot be seen are shown as Go strings in double quotes; --prefix and
--after read them so.`,
		ValidArgsFunction: completeDirs,
	}
	format := formatFlag(c)
	c.Flags().StringVarP(&flags.aggregate, "aggregate", "a", "", "the aggregate, such as bank/account; riffle types lists them")
	c.Flags().StringVar(&flags.prefix, "prefix", "", "ids that begin so")
	c.Flags().StringVar(&flags.after, "after", "", "ids behind this one")
	flags.limit = limitFlag(c, "streams")
	var remote online.Remote
	remote.Flags(c)
	c.Args = dirOrURL(&remote, oneDir)
	c.RunE = func(c *cobra.Command, args []string) error {
		r, err := flags.rng()
		if err != nil {
			return err
		}
		if remote.URL != "" {
			client, err := remote.Client()
			if err != nil {
				return err
			}
			return online.ListStreams(c, client, event.Aggregate(flags.aggregate), r.Prefix, r.After, r.Limit, *format)
		}
		st, err := openReadOnly(args[0], c.ErrOrStderr())
		if err != nil {
			return err
		}
		return closing(st, listStreams(c, st, event.Aggregate(flags.aggregate), r, *format))
	}
	return c
}

func (f *streamsFlags) rng() (r store.Range, err error) {
	if r.Prefix, err = parseText("prefix", f.prefix); err != nil {
		return r, err
	}
	if r.After, err = parseText("after", f.after); err != nil {
		return r, err
	}
	r.Limit = *f.limit
	return r, checkLimit(r.Limit)
}

func listStreams(c *cobra.Command, st *store.Store, a event.Aggregate, r store.Range, format display.Format) error {
	ctx := c.Context()
	types, err := st.Types(ctx)
	if err != nil {
		return err
	}
	if a == "" {
		return fmt.Errorf("say which streams by --aggregate; stored are: %s", someOf(aggregates(types), func(a event.Aggregate) string { return string(a) }))
	}
	if err := checkAggregate(types, a); err != nil {
		return err
	}
	more := moreThan(&r.Limit)
	l := display.NewList(c.OutOrStdout(), format, report.StreamColumns...)
	last, note := "", ""
	for stream, err := range st.Streams(ctx, a, r) {
		if err != nil {
			return err
		}
		if more() {
			note = fmt.Sprintf("there are more streams: go on with --after %s, or see all with --limit 0", shellQuote(display.Quote(last)))
			break
		}
		info, err := st.Stream(ctx, stream)
		if err != nil {
			return err
		}
		r := report.Stream{Aggregate: a, ID: stream.ID, Version: info.Version, RoutingKey: info.RoutingKey, First: info.First, Last: info.Last}
		if err := l.Add(r, r.Cells()...); err != nil {
			return err
		}
		last = stream.ID
	}
	return closeList(c, l, note)
}

// moreThan makes a limit one larger, to see whether there is more, and returns a function
// to call for every item: it says whether the item is beyond the limit.
func moreThan(limit *int) func() bool {
	if *limit == 0 {
		return func() bool { return false }
	}
	left := *limit
	*limit++
	return func() bool {
		left--
		return left < 0
	}
}

// closeList ends a list, and then makes a remark that is no part of it.
func closeList(c *cobra.Command, l *display.List, note string) error {
	if err := l.Close(); err != nil || note == "" {
		return err
	}
	_, err := fmt.Fprintln(c.ErrOrStderr(), note)
	return err
}
