package main

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/spf13/cobra"

	"github.com/riffle-go/riffle/cmd/riffle/internal/display"
	"github.com/riffle-go/riffle/cmd/riffle/internal/online"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

func newSubscriptions() *cobra.Command {
	c := &cobra.Command{
		Use:   "subscriptions DIR | --url URL",
		Short: "Show how far each subscription is",
		Long: `Show what the store keeps of each subscription: its checkpoint, whether it is paused or
halted, and how many events it has set aside.

BEHIND is the number of positions from the checkpoint to the head. Events that do not concern
the subscription count too, so a subscription that is behind may have nothing left to do; a
running service, asked by --url, measures that as its backlog; it knows lag and rates, too.`,
		Aliases:           []string{"subs"},
		ValidArgsFunction: completeDirs,
	}
	format := formatFlag(c)
	var remote online.Remote
	remote.Flags(c)
	c.Args = dirOrURL(&remote, oneDir)
	c.RunE = func(c *cobra.Command, args []string) error {
		if remote.URL != "" {
			client, err := remote.Client()
			if err != nil {
				return err
			}
			return online.ListSubscriptions(c, client, *format)
		}
		st, err := openReadOnly(args[0], c.ErrOrStderr())
		if err != nil {
			return err
		}
		return closing(st, listSubscriptions(c, st, *format))
	}
	return c
}

// subscriptionReport describes a subscriber key.
type subscriptionReport struct {
	Name        string         `json:"name"`
	Kind        string         `json:"kind,omitempty"` // left out when the store has no row of the projection
	Generation  uint32         `json:"generation"`
	Segment     uint16         `json:"segment"`
	Role        string         `json:"role,omitempty"` // of the generation: active, building, retired
	Revision    int            `json:"revision,omitempty"`
	State       string         `json:"state"` // ready, paused or halted
	Reason      string         `json:"reason,omitempty"`
	Checkpoint  event.Position `json:"checkpoint"`
	Behind      uint64         `json:"behind"`
	InHand      event.Position `json:"in_hand,omitzero"`
	Term        uint64         `json:"term"`
	Waiting     uint64         `json:"waiting"`
	Parked      uint64         `json:"parked"`
	Skipped     uint64         `json:"skipped"`
	Retry       []string       `json:"retry,omitempty"` // keys that somebody asked to try again
	CreatedAt   time.Time      `json:"created_at,omitzero"`
	CommittedAt time.Time      `json:"committed_at,omitzero"` // the last commit
}

func listSubscriptions(c *cobra.Command, st *store.Store, format display.Format) error {
	l := display.NewList(c.OutOrStdout(), format, "SUBSCRIPTION", "KIND", "GENERATION", "STATE", "CHECKPOINT", "BEHIND",
		"WAITING", "PARKED", "SKIPPED", "COMMITTED AT", "REASON")
	n := 0
	for r, err := range subscriptions(c.Context(), st) {
		if err != nil {
			return err
		}
		n++
		generation := fmt.Sprint(r.Generation)
		if r.Role != "" {
			generation += " " + r.Role
		}
		behind := fmt.Sprint(r.Behind)
		if r.Role == store.Retired.String() {
			behind = "-" // it stays where it is
		}
		if err := l.Add(r, r.Name, display.Or(r.Kind), generation, r.State, r.Checkpoint.String(), behind,
			fmt.Sprint(r.Waiting), fmt.Sprint(r.Parked), fmt.Sprint(r.Skipped), display.Time(r.CommittedAt), display.Or(display.Line(r.Reason))); err != nil {
			return err
		}
	}
	note := ""
	if n == 0 {
		note = "nothing has subscribed to this store yet"
	}
	return closeList(c, l, note)
}

// subscriptions yields every subscriber key with its events counted.
func subscriptions(ctx context.Context, st *store.Store) iter.Seq2[subscriptionReport, error] {
	return func(yield func(subscriptionReport, error) bool) {
		head, err := st.Head(ctx)
		if err != nil {
			yield(subscriptionReport{}, err)
			return
		}
		projections := map[string]store.ProjectionRow{}
		for row, err := range st.Projections(ctx) {
			if err != nil {
				yield(subscriptionReport{}, err)
				return
			}
			projections[row.Name] = row
		}
		for info, err := range st.Subscribers(ctx) {
			var r subscriptionReport
			if err == nil {
				r = newSubscriptionReport(info, projections[info.Key.Projection], head.Position)
				err = r.countRows(ctx, st.Subscriber(info.Key))
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

func newSubscriptionReport(info store.SubscriberInfo, row store.ProjectionRow, head event.Position) subscriptionReport {
	r := subscriptionReport{
		Name: info.Key.Projection, Kind: row.Kind, Generation: info.Key.Generation, Segment: info.Key.Segment,
		State: "ready", Checkpoint: info.Checkpoint, InHand: info.InHand, Term: info.Term, Retry: info.Wish.Retry,
		Behind: uint64(head - min(info.Checkpoint, head)), CreatedAt: info.CreatedAt, CommittedAt: info.UpdatedAt,
	}
	for _, g := range row.Generations {
		if g.Number == r.Generation {
			r.Role, r.Revision = g.State.String(), g.Revision
		}
	}
	switch {
	case info.Wish.Halted != "":
		r.State, r.Reason = "halted", info.Wish.Halted
	case info.Paused != "":
		r.State, r.Reason = "paused", info.Paused
	}
	return r
}

func (r *subscriptionReport) countRows(ctx context.Context, u *store.Subscriber) error {
	for row, err := range u.Rows(ctx, store.Range{}) {
		if err != nil {
			return err
		}
		switch row.State {
		case store.Waiting:
			r.Waiting++
		case store.Parked:
			r.Parked++
		case store.Skipped:
			r.Skipped++
		}
	}
	return nil
}
