package worker_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
)

// A key that was blocked when the worker before ended is blocked for the next one too, and no
// other key is.
func TestABlockedKeyIsBlockedForTheNextWorker(t *testing.T) {
	for _, kind := range []string{"effect", "effect of many", "model", "sink"} {
		t.Run(kind, func(t *testing.T) {
			bubble(t, func(b *bed) {
				var c calls
				handle := func(ev event.Event) error {
					if ev.Position == 1 {
						return projection.Park(errBroken)
					}
					c.add("%d", ev.Position)
					return nil
				}
				effect := func(o projection.Options) projection.Projection {
					return mailer(o, func(_ context.Context, _ Deposited, ev event.Event) error { return handle(ev) })
				}
				p := map[string]projection.Projection{
					"effect":         effect(projection.Options{}),
					"effect of many": effect(projection.Options{Concurrency: 8}),
					"model":          projection.NewModel("balances", projection.Fold(func(_ *Balance, _ Deposited, ev event.Event) error { return handle(ev) })),
					"sink":           sinkOf(&hooked{table: &table{}, before: handle}, projection.Options{PageSize: 1}),
				}[kind]
				b.deposit(1, "a", "b")
				w := b.start(b.config(p))
				w.waits(2)
				w.drains()
				w = b.start(b.config(p))
				w.waits(b.deposit(1, "a", "c", "a"))
				w.drains()
				if got := fmt.Sprint(c.list()); got != "[2 4]" {
					b.Errorf("handled %s, want what is not behind the parked event", got)
				}
				rows := b.rows(p)
				if len(rows) != 3 || rows[0].Position != 1 || rows[1].Position != 3 || rows[2].Position != 5 {
					b.Errorf("rows are %+v", rows)
				}
			})
		})
	}
}
