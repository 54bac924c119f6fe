package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/riffle-go/riffle/cmd/riffle/internal/display"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

func newStats() *cobra.Command {
	c := &cobra.Command{
		Use:   "stats DIR",
		Short: "Show what a store holds and what it takes on disk",
		Long: `Show the head of a store, how many streams of each aggregate there are, and what lies on
disk by key space.

Events that were written since the last flush are in the write-ahead log, not in tables: the
sizes of the key spaces do not count them. What the cache of a running service does is in its
metrics; a store at rest has none.`,
		Args:              oneDir,
		ValidArgsFunction: completeDirs,
	}
	format := formatFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		r, err := stats(c.Context(), args[0], c.ErrOrStderr())
		if err != nil {
			return err
		}
		return r.write(c.OutOrStdout(), *format)
	}
	return c
}

// statsReport is the result of stats.
type statsReport struct {
	Dir           string            `json:"dir"`
	Head          event.Position    `json:"head"`
	HeadTime      time.Time         `json:"head_time,omitzero"`
	History       event.ID          `json:"history"`
	Types         int               `json:"types"`
	Streams       uint64            `json:"streams"`
	Aggregates    []aggregateReport `json:"aggregates"`
	Subscriptions int               `json:"subscriptions"`
	Disk          diskReport        `json:"disk"`
}

type aggregateReport struct {
	Aggregate event.Aggregate `json:"aggregate"`
	Types     int             `json:"types"`
	Streams   uint64          `json:"streams"`
}

func stats(ctx context.Context, dir string, stderr io.Writer) (statsReport, error) {
	r := statsReport{Dir: dir, Aggregates: []aggregateReport{}}
	st, err := openReadOnly(dir, stderr)
	if err != nil {
		return r, err
	}
	usage, err := st.Usage(ctx)
	if err := closing(st, errors.Join(err, r.count(ctx, st, stderr))); err != nil {
		return r, err
	}
	r.Disk, err = readDisk(dir)
	r.Disk.Spaces = spacesOf(usage)
	return r, err
}

func (r *statsReport) count(ctx context.Context, st *store.Store, stderr io.Writer) error {
	head, err := st.Head(ctx)
	if err != nil {
		return err
	}
	r.Head, r.HeadTime, r.History = head.Position, head.Time, head.History
	types, err := st.Types(ctx)
	if err != nil {
		return err
	}
	r.Types = len(types)
	progress := display.NewProgress(stderr, "stats", display.Count, "streams counted")
	defer progress.Clear()
	for _, a := range aggregates(types) {
		report := aggregateReport{Aggregate: a}
		for _, t := range types {
			if t.Aggregate == a {
				report.Types++
			}
		}
		for _, err := range st.Streams(ctx, a, store.Range{}) {
			if err != nil {
				return err
			}
			report.Streams++
			if r.Streams++; r.Streams%1000 == 0 {
				progress.Update(r.Streams, 0)
			}
		}
		r.Aggregates = append(r.Aggregates, report)
	}
	for _, err := range st.Subscribers(ctx) {
		if err != nil {
			return err
		}
		r.Subscriptions++
	}
	return nil
}

func (r *statsReport) write(w io.Writer, format display.Format) error {
	if format == display.JSON {
		return display.WriteJSON(w, r)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "store\t%s\n", r.Dir)
	if r.Disk.Backup != nil {
		fmt.Fprintf(&b, "backup\tof history %s, never opened for writing\n", r.Disk.Backup.History)
	}
	fmt.Fprintf(&b, "head\t%s, at %s\nhistory\t%s\nlayout\t%d, Pebble format %d\n", display.Count(uint64(r.Head)), display.Time(r.HeadTime), r.History, r.Disk.Layout, r.Disk.PebbleFormat)
	fmt.Fprintf(&b, "streams\t%s\ntypes\t%d\nsubscriptions\t%d\n", display.Count(r.Streams), r.Types, r.Subscriptions)
	if len(r.Aggregates) > 0 {
		fmt.Fprintf(&b, "\nAGGREGATE\tSTREAMS\tTYPES\n")
	}
	for _, a := range r.Aggregates {
		fmt.Fprintf(&b, "%s\t%s\t%d\n", a.Aggregate, display.Count(a.Streams), a.Types)
	}
	r.Disk.text(&b)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if _, err := io.WriteString(t, b.String()); err != nil {
		return err
	}
	return t.Flush()
}
