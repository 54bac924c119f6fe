package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/riffle-go/riffle/cmd/riffle/internal/display"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

func newVerify() *cobra.Command {
	c := &cobra.Command{
		Use:   "verify DIR",
		Short: "Check a whole store for damage",
		Long: `Check a whole store: positions and versions without gaps, every event readable, and
indexes that say what the log says. The exit status is 1 when there is a fault.

The faults are listed, the first ones if there are many. A store with faults goes on working
where it is whole; restore a backup, or look at what the faults name with riffle events.`,
		Args:              oneDir,
		ValidArgsFunction: completeDirs,
	}
	format := formatFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		report, err := verify(c.Context(), args[0], c.ErrOrStderr())
		if err != nil {
			return err
		}
		if err := report.write(c.OutOrStdout(), *format); err != nil {
			return err
		}
		if len(report.Faults) > 0 {
			fmt.Fprintf(c.ErrOrStderr(), "riffle: %s is damaged: %s\n", report.Dir, display.Plural(uint64(len(report.Faults)), "fault"))
			return errReported
		}
		return nil
	}
	return c
}

// verifyReport is the result of verify.
type verifyReport struct {
	Dir     string         `json:"dir"`
	OK      bool           `json:"ok"`
	Head    event.Position `json:"head"`
	Seconds float64        `json:"seconds"`
	Faults  []faultReport  `json:"faults"`
}

type faultReport struct {
	What  string `json:"what"`
	Key   string `json:"key"`
	Error string `json:"error"`
}

// verify checks a store. Damage is in the report; the error is for what kept it from
// looking.
func verify(ctx context.Context, dir string, stderr io.Writer) (verifyReport, error) {
	report := verifyReport{Dir: dir, Faults: []faultReport{}}
	progress := display.NewProgress(stderr, "verify", display.Count, "events")
	defer progress.Clear()
	st, err := openReadOnly(dir, stderr)
	if err == nil {
		err = closing(st, check(ctx, st, &report, progress))
	}
	report.Seconds = progress.Elapsed().Seconds()
	report.Faults, err = faults(report.Faults, err)
	report.OK = len(report.Faults) == 0
	return report, err
}

func check(ctx context.Context, st *store.Store, report *verifyReport, progress *display.Progress) error {
	head, err := st.Head(ctx)
	if err != nil {
		return err
	}
	report.Head = head.Position
	logDone := false
	return st.Verify(ctx, func(done, total uint64) {
		if done < total {
			progress.Update(done, total)
		} else if !logDone && progress.Elapsed() > time.Second {
			logDone = true
			progress.Note("the log is checked; comparing its indexes")
		}
	})
}

// faults takes the damage out of an error, which may be many joined, and returns what is
// left of it.
func faults(list []faultReport, err error) ([]faultReport, error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok && !errors.Is(err, context.Canceled) {
		var rest []error
		for _, e := range joined.Unwrap() {
			var left error
			if list, left = faults(list, e); left != nil {
				rest = append(rest, left)
			}
		}
		return list, errors.Join(rest...)
	}
	if c, ok := errors.AsType[*store.CorruptError](err); ok {
		text := ""
		if c.Err != nil {
			text = c.Err.Error()
		}
		return append(list, faultReport{What: c.What, Key: c.Key, Error: text}), nil
	}
	return list, err
}

func (r *verifyReport) write(w io.Writer, format display.Format) error {
	if format == display.JSON {
		return display.WriteJSON(w, r)
	}
	if r.OK {
		_, err := fmt.Fprintf(w, "%s is whole: %s checked in %s\n", r.Dir, display.Plural(uint64(r.Head), "event"),
			time.Duration(r.Seconds*float64(time.Second)).Round(time.Millisecond))
		return err
	}
	l := display.NewList(w, format, "FAULT IN", "AT", "WHAT")
	for _, f := range r.Faults {
		if err := l.Add(f, f.What, display.Line(f.Key), display.Line(f.Error)); err != nil {
			return err
		}
	}
	return l.Close()
}
