package worker

import (
	"context"
	"iter"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/telemetry"
)

// logger logs what happens to a worker: never a payload, and no key above Debug, since keys
// may be personal.
type logger struct{ *slog.Logger }

func newLogger(c Config) logger {
	return logger{c.Logger.With("projection", c.Key.Projection, "generation", c.Key.Generation, "worker", c.Worker.String())}
}

// stateChanged logs a change of state.
func (w *Worker) stateChanged(from State, now Status) {
	level := slog.LevelInfo
	switch now.State {
	case Retrying:
		level = slog.LevelWarn
	case Halted:
		level = slog.LevelError
	}
	attrs := []slog.Attr{slog.String("from", string(from)), slog.String("to", string(now.State)),
		slog.Uint64("position", uint64(now.Position)), slog.Uint64("term", now.Term)}
	if now.Err != nil {
		attrs = append(attrs, slog.String("error", now.Err.Error()))
	}
	w.log.LogAttrs(context.Background(), level, "worker changed its state", attrs...)
}

func (l logger) retry(at event.Position, attempt int, err error, pause time.Duration) {
	l.Warn("handler failed, will try again", "position", uint64(at), "attempt", attempt, "in", pause, "error", err.Error())
}

func (l logger) setAside(what string, at event.Position, attempts int, err error) {
	l.Error("event "+what, "position", uint64(at), "attempts", attempts, "error", err.Error())
}

// recorder records telemetry, or nothing.
type recorder struct {
	sub atomic.Pointer[telemetry.Subscription]
}

func (r *recorder) use(s *telemetry.Subscription) { r.sub.Store(s) }

func (r *recorder) lease(t telemetry.Transition) {
	if s := r.sub.Load(); s != nil {
		s.Lease(t)
	}
}

func (r *recorder) retried() {
	if s := r.sub.Load(); s != nil {
		s.Retried()
	}
}

func (r *recorder) skipped(n int) {
	if s := r.sub.Load(); s != nil && n > 0 {
		s.Skipped(n)
	}
}

func (r *recorder) checkpoint(d time.Duration, err error) {
	if s := r.sub.Load(); s != nil {
		s.Checkpoint(d, err)
	}
}

// maxDelays bounds how many delays are recorded of a page: while catching up they only say
// how old the log is.
const maxDelays = 64

// process is the handling of one page, as telemetry sees it.
type process struct {
	sub     *telemetry.Subscription // nil: nothing is recorded
	span    telemetry.Process
	events  []event.Event
	started time.Time
}

// page starts the span of a page; the context is for its handlers.
func (r *recorder) page(ctx context.Context, events []event.Event) (context.Context, *process) {
	p := &process{sub: r.sub.Load(), events: events}
	if p.sub == nil || len(events) == 0 {
		p.sub = nil
		return ctx, p
	}
	p.started = time.Now()
	ctx, p.span = p.sub.StartPage(ctx, telemetry.Page{Events: len(events), Traceparents: traceparents(events)})
	return ctx, p
}

// end ends the span; delivered is how many events of the page were handled.
func (p *process) end(delivered int, err error) {
	if p == nil || p.sub == nil {
		return
	}
	p.span.End(delivered, err)
	now := time.Now()
	p.sub.Busy(now.Sub(p.started))
	done := p.events[:min(delivered, len(p.events))]
	if len(done) > maxDelays {
		done = done[len(done)-1:]
	}
	for i := range done {
		p.sub.Delay(now.Sub(done[i].Time))
	}
	p.sub = nil
}

func traceparents(events []event.Event) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range events {
			if tp := events[i].Metadata.Get(event.Traceparent); tp != "" && !yield(tp) {
				return
			}
		}
	}
}
