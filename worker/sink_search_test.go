package worker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// falling is a target that goes down when it gets one event alone.
type falling struct {
	*table
	alone event.Position
}

func (f *falling) Write(ctx context.Context, s projection.Session, from, to event.Position, events []event.Event) error {
	f.do(func() {
		if len(events) == 1 && events[0].Position == f.alone {
			f.down = errBroken
		}
	})
	return f.table.Write(ctx, s, from, to, events)
}

// A target that goes down while it is searched for the event to blame takes that event no
// less than any other.
func TestNoEventIsBlamedForATargetThatGoesDownMeanwhile(t *testing.T) {
	bubble(t, func(b *bed) {
		f := &falling{table: &table{bad: map[event.Position]error{2: projection.Park(errBroken)}}, alone: 2}
		p := sinkOf(f, projection.Options{})
		last := b.deposit(1, "a", "b", "c")
		w := b.start(b.config(p))
		pass(time.Minute)
		b.rowsAre(p)
		f.do(func() { f.down, f.bad, f.alone = nil, nil, 0 })
		w.waits(last)
		b.rowsAre(p)
		if got := fmt.Sprint(f.rows()); got != "[1 2 3]" {
			b.Fatalf("wrote %s", got)
		}
		w.drains()
	})
}

// The target has been taken over by a worker with a higher term.
func TestASinkThatComesTooLateStops(t *testing.T) {
	bubble(t, func(b *bed) {
		w := b.start(b.config(sinkOf(&table{began: true, term: 1000}, projection.Options{})))
		if err := w.ends(); !errors.Is(err, store.ErrLeaseLost) {
			b.Fatalf("Run: %v", err)
		}
	})
}
