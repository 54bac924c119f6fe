package worker_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
	"github.com/riffle-go/riffle/worker"
)

// fragile is a log handler that panics at certain records, in the goroutine that logs: a
// fault of the worker's own loop.
type fragile struct {
	slog.Handler
	breaks func(slog.Record) bool
}

func (h fragile) Enabled(context.Context, slog.Level) bool { return true }

func (h fragile) WithAttrs([]slog.Attr) slog.Handler { return h }

func (h fragile) Handle(_ context.Context, r slog.Record) error {
	if h.breaks(r) {
		panic(errBroken)
	}
	return nil
}

// becoming matches the record of a change to a state.
func becoming(st worker.State) func(slog.Record) bool {
	return func(r slog.Record) (found bool) {
		r.Attrs(func(a slog.Attr) bool {
			found = found || a.Key == "to" && a.Value.String() == string(st)
			return !found
		})
		return found
	}
}

func says(text string) func(slog.Record) bool {
	return func(r slog.Record) bool { return r.Message == text }
}

func TestAPanicOfTheLoopEndsRunWithAStackAndReleases(t *testing.T) {
	t.Parallel()
	park := func(context.Context, Deposited, event.Event) error { return projection.Park(errBroken) }
	folding := projection.NewModel("model", projection.Fold(func(*Balance, Deposited, event.Event) error { return nil }))
	for name, tc := range map[string]struct {
		projection projection.Projection
		breaks     func(slog.Record) bool
	}{
		"before the claim":               {mailer(projection.Options{}, park), becoming(worker.Starting)},
		"while it opens":                 {folding, becoming(worker.CatchingUp)},
		"while it shows its state":       {folding, becoming(worker.Live)},
		"while it sleeps for events":     {mailer(projection.Options{}, park), says("event parked")},
		"with a handler at work":         {mailer(projection.Options{Concurrency: 2}, parkOne()), says("event parked")},
		"in the goroutine of the states": {projection.NewModel("model", projection.Fold(func(*Balance, Deposited, event.Event) error { return projection.Park(errBroken) })), says("event parked")},
		"when Run ends":                  {folding, becoming(worker.Stopped)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupWith(t, &pebblestore.Options{Store: store.Options{Logger: slog.New(fragile{slog.DiscardHandler, tc.breaks})}})
			w := b.start(b.config(tc.projection))
			waited := make(chan error, 1)
			go func() { waited <- w.Wait(context.Background(), 1000) }()
			if name != "before the claim" && name != "while it opens" {
				b.deposit(1, "a", "b")
			}
			if name == "when Run ends" {
				w.waits(2)
				w.Drain()
			}
			err := w.ends()
			if err == nil || !strings.Contains(err.Error(), errBroken.Error()) || !strings.Contains(err.Error(), "panic_test.go") {
				t.Errorf("Run: %v, want the panic with its stack", err)
			}
			if info := b.info(tc.projection); !info.Worker.IsZero() {
				t.Errorf("the lease is held: %+v", info)
			}
			if err := <-waited; !errors.Is(err, worker.ErrUnavailable) {
				t.Errorf("Wait: %v", err)
			}
		})
	}
}

// parkOne is a handler of which one call parks its event while another one is at work, until
// its context ends.
func parkOne() func(context.Context, Deposited, event.Event) error {
	entered := make(chan struct{})
	return func(ctx context.Context, _ Deposited, ev event.Event) error {
		if ev.Position == 1 {
			close(entered)
			<-ctx.Done()
			return ctx.Err()
		}
		<-entered
		return projection.Park(errBroken)
	}
}
