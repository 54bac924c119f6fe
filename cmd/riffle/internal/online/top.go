package online

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/riffle-go/riffle/cmd/riffle/internal/api"
	"github.com/riffle-go/riffle/cmd/riffle/internal/display"
)

// Top is a live table of the subscriptions.
func (e *Env) Top() *cobra.Command {
	var once bool
	c := &cobra.Command{
		Use:   "top",
		Short: "Watch the subscriptions of a service",
		Long: `Watch a service: its head, its append rate, and how each subscription keeps up.

On a terminal a table is drawn over and over, until Ctrl-C. Piped, there is a line for each
sample, one per second, or with -o json an object. --once shows one sample and ends.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%s takes no argument; name a running service by --url (nobody but its own process can open the directory %s meanwhile)", c.CommandPath(), args[0])
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	e.remote.Flags(c)
	c.Flags().BoolVar(&once, "once", false, "show one sample and end")
	format := formatFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return e.with(c, func(l *Local) error {
			if once || l.Client.Local {
				s, err := l.Client.Sample(c.Context())
				if err != nil {
					return err
				}
				if *format == display.JSON {
					return display.WriteJSON(c.OutOrStdout(), s)
				}
				_, err = c.OutOrStdout().Write(table(s))
				return err
			}
			return watch(c, l.Client, *format)
		})
	}
	return c
}

// watch shows samples until the context ends, which is not an error.
func watch(c *cobra.Command, client *api.Client, format display.Format) error {
	ctx, out := c.Context(), c.OutOrStdout()
	draw := func(s api.Sample) error { return line(out, s) }
	if size := terminal(out); format == display.JSON {
		draw = func(s api.Sample) error { return display.WriteJSON(out, s) }
	} else if size != nil {
		if _, err := io.WriteString(out, enter); err != nil {
			return err
		}
		defer func() { _, _ = io.WriteString(out, leave) }()
		draw = func(s api.Sample) error {
			width, height := size()
			_, err := out.Write(frame(client.URL(), s, width, height))
			return err
		}
	}
	for s, err := range client.Watch(ctx) {
		if err != nil {
			return err
		}
		if err := draw(s); err != nil {
			return err
		}
	}
	return nil
}

// What a terminal understands: a screen of its own without a cursor, and back.
const (
	enter = "\x1b[?1049h\x1b[?25l"
	leave = "\x1b[?25h\x1b[?1049l"
)

// terminal returns how to find the size of a terminal, or nil when out is none.
func terminal(out io.Writer) func() (width, height int) {
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return func() (int, int) {
		width, height, err := term.GetSize(int(f.Fd()))
		if err != nil {
			return 80, 24
		}
		return width, height
	}
}

// frame is a table as bytes that redraw a screen from its first line, and fit on it.
func frame(url string, s api.Sample, width, height int) []byte {
	var b bytes.Buffer
	text := "riffle top   " + url + "   " + s.Overview.Time.Local().Format(time.TimeOnly) + "   Ctrl-C ends\n\n" + string(table(s))
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	b.WriteString("\x1b[H")
	for i, l := range lines[:min(len(lines), max(height, 1))] {
		if i > 0 {
			b.WriteString("\r\n")
		}
		if r := []rune(l); len(r) > width && width > 0 {
			l = string(r[:width-1]) + "…"
		}
		b.WriteString(l + "\x1b[K") // and nothing of what was there
	}
	b.WriteString("\x1b[J")
	return b.Bytes()
}

// table shows one sample.
func table(s api.Sample) []byte {
	o := s.Overview
	var b bytes.Buffer
	fmt.Fprintf(&b, "store %s   head %s   %s events/s", display.Quote(o.Store.Name), display.Count(uint64(o.Store.Head)), perSecond(o.AppendRate))
	if o.Disk != nil {
		fmt.Fprintf(&b, "   disk %s", display.Bytes(o.Disk.Total))
	}
	fmt.Fprintf(&b, "   %s\n\n", health(o))
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	columns := subscriptionColumns[:len(subscriptionColumns)-1]
	_, _ = fmt.Fprintln(w, strings.Join(columns, "\t"))
	for i := range s.Subscriptions {
		_, _ = fmt.Fprintln(w, strings.Join(cells(&s.Subscriptions[i]), "\t"))
	}
	_ = w.Flush() // into memory
	for i := range s.Subscriptions {
		if t := trouble(&s.Subscriptions[i]); t != "" {
			fmt.Fprintf(&b, "\n%s: %s", display.Quote(s.Subscriptions[i].Name), display.Line(t))
		}
	}
	b.WriteString("\n")
	return b.Bytes()
}

func health(o api.Overview) string {
	switch {
	case !o.Health.Live:
		return "FAILED: restart the service"
	case !o.Health.Ready:
		return "not ready"
	}
	return "ready"
}

// line is one sample in a log.
func line(out io.Writer, s api.Sample) error {
	o := s.Overview
	var b strings.Builder
	fmt.Fprintf(&b, "%s head=%d events/s=%s health=%s", display.Time(o.Time), o.Store.Head, perSecond(o.AppendRate), strings.ReplaceAll(health(o), " ", "-"))
	for _, s := range s.Subscriptions {
		fmt.Fprintf(&b, " %s=%s@%d,backlog=%d,lag=%s,events/s=%s", display.Quote(s.Name), strings.ReplaceAll(s.State, " ", "-"), s.Position, s.Backlog, seconds(s.Lag), perSecond(s.Rate))
		if n := s.Parked + s.Waiting; n > 0 {
			fmt.Fprintf(&b, ",set-aside=%d", n)
		}
		if s.Rebuild != nil {
			fmt.Fprintf(&b, ",rebuild=%.0f%%", 100*s.Rebuild.Progress)
		}
	}
	_, err := fmt.Fprintln(out, b.String())
	return err
}
