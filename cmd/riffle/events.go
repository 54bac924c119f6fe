package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/riffle-go/riffle/cmd/riffle/internal/display"
	"github.com/riffle-go/riffle/cmd/riffle/internal/online"
	"github.com/riffle-go/riffle/cmd/riffle/internal/report"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// eventsFlags say which events to show, and how.
type eventsFlags struct {
	types                     []string
	aggregate, id, routingKey string
	from, to                  string
	backward, payloads        bool
	limit                     *int
}

func newEvents() *cobra.Command {
	var flags eventsFlags
	c := &cobra.Command{
		Use:   "events DIR | --url URL",
		Short: "Show events, filtered, forward or backward",
		Long: `Show the events of a store in the order of their positions, or backward: of a directory, or
of a running service.

Without --payloads the data of events is masked: field names and the types of the values are
shown, the values are not. A service shows what it is set to, whatever is asked for. The metadata of events is shown with -o json, never masked.

Text with characters that cannot be seen is shown as a Go string in double quotes; --id and
--routing-key read it so.`,
		Example: `  riffle events bank.db --type bank/account.deposited --backward --limit 10
  riffle events bank.db --aggregate bank/account --id ann --payloads
  riffle events bank.db --from 2026-01-31T08:00:00Z --limit 0 -o json | jq .name`,
		ValidArgsFunction: completeDirs,
	}
	format := formatFlag(c)
	f := c.Flags()
	f.StringArrayVarP(&flags.types, "type", "t", nil, "a type as riffle types lists it, or its name alone; may be repeated")
	f.StringVarP(&flags.aggregate, "aggregate", "a", "", "events of this aggregate, such as bank/account")
	f.StringVar(&flags.id, "id", "", "events of the stream with this id, with --aggregate or --type")
	f.StringVar(&flags.routingKey, "routing-key", "", `events of streams with this routing key; "" is those without one`)
	f.StringVar(&flags.from, "from", "", "from this position or time (RFC 3339) on, inclusive")
	f.StringVar(&flags.to, "to", "", "up to this position or time (RFC 3339), inclusive")
	f.BoolVarP(&flags.backward, "backward", "b", false, "newest first")
	f.BoolVar(&flags.payloads, "payloads", false, "show the data of the events")
	flags.limit = limitFlag(c, "events")
	var remote online.Remote
	remote.Flags(c)
	c.Args = dirOrURL(&remote, oneDir)
	c.RunE = func(c *cobra.Command, args []string) error {
		q, err := flags.query(c.Flags().Changed("routing-key"))
		if err != nil {
			return err
		}
		if remote.URL != "" {
			return flags.ask(c, &remote, q, *format)
		}
		st, err := openReadOnly(args[0], c.ErrOrStderr())
		if err != nil {
			return err
		}
		q.Match, err = flags.match(c.Context(), st)
		if err == nil {
			err = listEvents(c, st, q, &flags, *format)
		}
		return closing(st, err)
	}
	return c
}

// ask asks a running service.
func (f *eventsFlags) ask(c *cobra.Command, remote *online.Remote, q store.Query, format display.Format) error {
	id, err := parseText("id", f.id)
	if err != nil {
		return err
	}
	client, err := remote.Client()
	if err != nil {
		return err
	}
	ask := online.EventsQuery{
		Types: f.types, Aggregate: f.aggregate, ID: id, RoutingKey: q.RoutingKey,
		From: f.from, To: f.to, Backward: q.Backward, Limit: q.Limit,
	}
	if f.payloads {
		ask.WantPayloads()
	}
	return online.ListEvents(c, client, ask, format)
}

// query reads the flags that need no store.
func (f *eventsFlags) query(routed bool) (q store.Query, err error) {
	if routed {
		key, err := parseText("routing-key", f.routingKey)
		if err != nil {
			return q, err
		}
		q.RoutingKey = &key
	}
	if q.From, err = parsePoint("from", f.from); err != nil {
		return q, err
	}
	if q.To, err = parsePoint("to", f.to); err != nil {
		return q, err
	}
	if f.id != "" && f.aggregate == "" && len(f.types) == 0 {
		return q, errors.New("--id needs --aggregate or --type: an id names a stream of one aggregate")
	}
	q.Backward, q.Limit = f.backward, *f.limit
	return q, checkLimit(q.Limit)
}

// match finds what the flags name among the types of the store.
func (f *eventsFlags) match(ctx context.Context, st *store.Store) ([]store.Match, error) {
	id, err := parseText("id", f.id)
	if err != nil {
		return nil, err
	}
	types, err := st.Types(ctx)
	if err != nil {
		return nil, err
	}
	if f.aggregate != "" {
		if err := checkAggregate(types, event.Aggregate(f.aggregate)); err != nil {
			return nil, err
		}
		kept := types[:0]
		for _, t := range types {
			if t.Aggregate == event.Aggregate(f.aggregate) {
				kept = append(kept, t)
			}
		}
		types = kept
	}
	var match []store.Match
	for _, arg := range f.types {
		found, err := findTypes(types, arg)
		if err != nil {
			return nil, err
		}
		for _, t := range found {
			match = append(match, store.Match{Aggregate: t.Aggregate, ID: id, Name: t.Name})
		}
	}
	if len(match) == 0 && f.aggregate != "" {
		match = []store.Match{{Aggregate: event.Aggregate(f.aggregate), ID: id}}
	}
	return match, nil
}

func newEventReport(ev event.Event, payloads bool) report.Event {
	r := report.Event{
		Position: ev.Position, Time: ev.Time, ID: ev.ID, Aggregate: ev.Stream.Aggregate, StreamID: ev.Stream.ID,
		Version: ev.Version, Name: ev.Name, SchemaVersion: ev.SchemaVersion, RoutingKey: ev.RoutingKey,
		Metadata: ev.Metadata, ContentType: cmp.Or(ev.ContentType, "application/json"), Masked: !payloads,
	}
	if payloads {
		r.Data = display.Payload(ev.ContentType, ev.Data)
	} else {
		r.Data = display.Masked(ev.ContentType, ev.Data)
	}
	return r
}

func listEvents(c *cobra.Command, st *store.Store, q store.Query, flags *eventsFlags, format display.Format) error {
	more := moreThan(&q.Limit)
	note := ""
	n := 0
	l := display.NewList(c.OutOrStdout(), format, report.EventColumns...)
	for ev, err := range st.Events(c.Context(), q) {
		if err != nil {
			return errors.Join(err, l.Close())
		}
		if more() {
			note = fmt.Sprintf("there are more events: go on with --%s %d, or see all with --limit 0", flags.bound(), ev.Position)
			break
		}
		n++
		r := newEventReport(ev, flags.payloads)
		if err := l.Add(r, r.Cells()...); err != nil {
			return err
		}
	}
	if n == 0 {
		note = "no events match"
	}
	return closeList(c, l, note)
}

// bound is the flag that a read goes on with.
func (f *eventsFlags) bound() string {
	if f.backward {
		return "to"
	}
	return "from"
}
