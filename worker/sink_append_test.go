package worker_test

import (
	"context"
	"errors"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// author is a target that tries to append.
type author struct {
	table
	try func(ctx context.Context) error
}

func (a *author) Begin(ctx context.Context, s projection.Session, from, head event.Position) (event.Position, error) {
	if err := a.try(ctx); err != nil {
		return 0, projection.Halt(err)
	}
	return a.table.Begin(ctx, s, from, head)
}

func (a *author) Write(ctx context.Context, s projection.Session, from, to event.Position, events []event.Event) error {
	if err := a.try(ctx); err != nil {
		return projection.Halt(err)
	}
	return a.table.Write(ctx, s, from, to, events)
}

// What a sink writes is written again after a crash: appends of its own would be, too.
func TestATargetCannotAppend(t *testing.T) {
	bubble(t, func(b *bed) {
		tries := 0
		a := &author{try: func(ctx context.Context) error {
			tries++
			_, err := b.store.Append(ctx, store.Batch{Stream: echoes.Stream("x"), Expect: store.Any, Events: event.Of(Echoed{})})
			if !errors.Is(err, store.ErrInvalid) {
				return errors.Join(err, errors.New("an append was not refused"))
			}
			return nil
		}}
		p := sinkOf(a, projection.Options{})
		w := b.start(b.config(p))
		w.waits(b.deposit(1, "a", "b"))
		w.waits(b.deposit(1, "a"))
		if tries < 3 || len(a.rows()) != 3 || len(b.echoed()) != 0 {
			b.Errorf("%d tries, %d rows, %d events appended", tries, len(a.rows()), len(b.echoed()))
		}
		w.drains()
	})
}
