package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
)

// show reports until ctx ends: as a table that is drawn over itself, or as a line per second.
func (a *app) show(ctx context.Context, t *town) error {
	every := time.Second
	if a.live {
		every = 500 * time.Millisecond
		_, _ = fmt.Fprint(a.out, "\x1b[2J") // an empty screen
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	before, err := a.look(ctx, t)
	for {
		if err != nil {
			return abandoned(ctx, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		var now look
		if now, err = a.look(ctx, t); err != nil {
			continue
		}
		if a.live {
			_, err = a.out.Write(frame(a.title(), before, now))
		} else {
			_, err = fmt.Fprintln(a.out, line(before, now))
		}
		before = now
	}
}

// look is what can be seen at a moment.
type look struct {
	at              time.Time
	head            event.Position
	obeyed, refused int64
	projections     []engine.Status
}

func (a *app) look(ctx context.Context, t *town) (look, error) {
	head, err := a.bank.Store.Head(ctx)
	if err != nil {
		return look{}, err
	}
	all, err := a.eng.Status(ctx)
	return look{time.Now(), head.Position, t.obeyed.Load(), t.refused.Load(), all}, err
}

// rate is how much there is more than before, per second.
func rate[N int64 | event.Position](before, now N, passed time.Duration) string {
	return fmt.Sprintf("%.0f", float64(now-before)/passed.Seconds())
}

// title says what the table shows, and where there is more.
func (a *app) title() string {
	title := fmt.Sprintf("Riffle's bank in %s   (Ctrl-C closes it; kill -9 is fine, too)", a.dir)
	if a.page != nil {
		title += "\nadmin page " + a.page.url
	}
	return title
}

// frame is the table, as bytes that redraw a terminal from its first line.
func frame(title string, before, now look) []byte {
	passed := now.at.Sub(before.at)
	var b bytes.Buffer
	b.WriteString(title + "\n\n")
	fmt.Fprintf(&b, "head %d   %s events/s   %s commands/s   %s refused/s\n\n", now.head,
		rate(before.head, now.head, passed), rate(before.obeyed, now.obeyed, passed), rate(before.refused, now.refused, passed))
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "PROJECTION\tKIND\tSTATE\tPOSITION\tBACKLOG\tLAG\tEVENTS/S\tPARKED\tTERM\tWORKER\tLEASE\t")
	for i, p := range now.projections {
		worker, lease := "-", "-"
		if id := p.Subscriber.Worker; !id.IsZero() {
			worker, lease = id.String()[20:], p.Subscriber.Until.Sub(now.at).Round(time.Second).String()
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%d\t%d\t%s\t%s\t\n", p.Projection, p.Kind, p.State,
			p.Subscriber.Checkpoint, p.Backlog, p.Lag.Round(time.Millisecond), speed(before, i, p, passed), p.Parked+p.Waiting,
			p.Subscriber.Term, worker, lease)
	}
	_ = w.Flush() // into memory
	for _, p := range now.projections {
		if p.Err != nil {
			fmt.Fprintf(&b, "\n%s: %v", p.Projection, p.Err)
		}
	}
	// Each line ends by clearing what the frame before had there, the last one all below.
	text := strings.ReplaceAll(b.String(), "\n", "\x1b[K\n")
	return []byte("\x1b[H" + text + "\x1b[J")
}

// line is one line of a log.
func line(before, now look) string {
	passed := now.at.Sub(before.at)
	var b strings.Builder
	fmt.Fprintf(&b, "head=%d events/s=%s commands/s=%s", now.head,
		rate(before.head, now.head, passed), rate(before.obeyed, now.obeyed, passed))
	for i, p := range now.projections {
		fmt.Fprintf(&b, " %s=%s@%d,lag=%s,%s/s", p.Projection, strings.ReplaceAll(string(p.State), " ", "-"),
			p.Subscriber.Checkpoint, p.Lag.Round(time.Millisecond), speed(before, i, p, passed))
		if n := p.Parked + p.Waiting; n > 0 {
			fmt.Fprintf(&b, ",parked=%d", n)
		}
	}
	return b.String()
}

// speed is how many positions a projection has passed per second.
func speed(before look, i int, now engine.Status, passed time.Duration) string {
	if i >= len(before.projections) || before.projections[i].Projection != now.Projection {
		return "-"
	}
	return rate(before.projections[i].Subscriber.Checkpoint, now.Subscriber.Checkpoint, passed)
}
