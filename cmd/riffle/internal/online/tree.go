package online

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/riffle-go/riffle/event"
)

// States are the values of --state.
var States = []string{"parked", "waiting", "skipped", "all"}

// CheckState refuses other values.
func CheckState(state string) error {
	if !slices.Contains(States, state) {
		return fmt.Errorf("--state %q: use parked, waiting, skipped or all", state)
	}
	return nil
}

const defaultLimit = 100

// Lists are the commands that show something. The command riffle has its own, which read
// directories, too.
func (e *Env) Lists() []*cobra.Command {
	return []*cobra.Command{e.subscriptions(), e.parked(), e.events(), e.streams()}
}

func (e *Env) subscriptions() *cobra.Command {
	c := &cobra.Command{
		Use:               "subscriptions",
		Aliases:           []string{"subs"},
		Short:             "Show how far each subscription is",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	e.remote.Flags(c)
	format := formatFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return e.with(c, func(l *Local) error { return ListSubscriptions(c, l.Client, *format) })
	}
	return c
}

func (e *Env) parked() *cobra.Command {
	var state string
	c := &cobra.Command{
		Use:               "parked [NAME]",
		Short:             "List the events that could not be handled",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: e.completeNames,
	}
	e.remote.Flags(c)
	format := formatFlag(c)
	c.Flags().StringVar(&state, "state", "parked", "parked, waiting, skipped or all")
	complete(c, "state", cobra.FixedCompletions(States, cobra.ShellCompDirectiveNoFileComp))
	limit := limitFlag(c, "events")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := CheckState(state); err != nil {
			return err
		}
		if err := checkLimit(*limit); err != nil {
			return err
		}
		name := ""
		if len(args) == 1 {
			name = args[0]
		}
		return e.with(c, func(l *Local) error { return ListParked(c, l.Client, name, state, *limit, *format) })
	}
	return c
}

func (e *Env) events() *cobra.Command {
	var q EventsQuery
	var routingKey string
	c := &cobra.Command{
		Use:               "events",
		Short:             "Show events, filtered, forward or backward",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	e.remote.Flags(c)
	format := formatFlag(c)
	f := c.Flags()
	f.StringArrayVarP(&q.Types, "type", "t", nil, "a type, such as bank/account.opened, or its name alone; may be repeated")
	f.StringVarP(&q.Aggregate, "aggregate", "a", "", "events of this aggregate, such as bank/account")
	f.StringVar(&q.ID, "id", "", "events of streams with this id")
	f.StringVar(&routingKey, "routing-key", "", `events of streams with this routing key; "" is those without one`)
	f.StringVar(&q.From, "from", "", "from this position or time (RFC 3339) on, inclusive")
	f.StringVar(&q.To, "to", "", "up to this position or time (RFC 3339), inclusive")
	f.BoolVarP(&q.Backward, "backward", "b", false, "newest first")
	limit := limitFlag(c, "events")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if q.Limit = *limit; q.Limit < 0 {
			return checkLimit(q.Limit)
		}
		if q.ID, err = parseText("id", q.ID); err != nil {
			return err
		}
		if c.Flags().Changed("routing-key") {
			if routingKey, err = parseText("routing-key", routingKey); err != nil {
				return err
			}
			q.RoutingKey = &routingKey
		}
		return e.with(c, func(l *Local) error { return ListEvents(c, l.Client, q, *format) })
	}
	return c
}

func (e *Env) streams() *cobra.Command {
	var aggregate, prefix string
	c := &cobra.Command{
		Use:               "streams --aggregate A",
		Short:             "List the streams of an aggregate by id",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	e.remote.Flags(c)
	format := formatFlag(c)
	c.Flags().StringVarP(&aggregate, "aggregate", "a", "", "the aggregate, such as bank/account")
	c.Flags().StringVar(&prefix, "prefix", "", "ids that begin so")
	limit := limitFlag(c, "streams")
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		if prefix, err = parseText("prefix", prefix); err != nil {
			return err
		}
		if err := checkLimit(*limit); err != nil {
			return err
		}
		return e.with(c, func(l *Local) error {
			return ListStreams(c, l.Client, event.Aggregate(aggregate), prefix, "", *limit, *format)
		})
	}
	return c
}

func limitFlag(c *cobra.Command, of string) *int {
	return c.Flags().IntP("limit", "n", defaultLimit, "at most so many "+of+"; 0 is all")
}

func checkLimit(n int) error {
	if n < 0 {
		return fmt.Errorf("--limit %d is negative; 0 is all", n)
	}
	return nil
}
