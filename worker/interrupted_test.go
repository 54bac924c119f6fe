package worker_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/worker"
)

// The worker is told to stop while an event that has failed waits for its next try in hand.
func TestAnEventBetweenTwoTriesIsLeftToTheNextWorker(t *testing.T) {
	for kind, stops := range map[string][]string{"effect": {"drain", "pause"}, "model": {"drain"}} {
		for _, stop := range stops {
			t.Run(kind+" "+stop, func(t *testing.T) {
				bubble(t, func(b *bed) {
					var broken switchable
					broken.set(errBroken)
					var c calls
					handle := func(ev event.Event) error {
						c.add("%d", ev.Position)
						return broken.get()
					}
					var p projection.Projection = mailer(projection.Options{}, func(_ context.Context, _ Deposited, ev event.Event) error { return handle(ev) })
					if kind == "model" {
						p = projection.NewModel("balances", projection.Fold(func(_ *Balance, _ Deposited, ev event.Event) error { return handle(ev) }))
					}
					b.deposit(1, "a", "b")
					w := b.start(b.config(p))
					b.until("tried twice", func() bool { return len(c.list()) == 2 })
					if stop == "pause" {
						wish := b.store.Subscriber(b.config(p).Key)
						if err := wish.SetPaused(b.Context(), "in the middle"); err != nil {
							b.Fatal(err)
						}
						w.becomes(worker.Paused)
						if err := wish.SetPaused(b.Context(), ""); err != nil {
							b.Fatal(err)
						}
					}
					w.drains()
					b.rowsAre(p)
					if info := b.info(p); info.Checkpoint != 0 {
						b.Fatalf("the checkpoint is %d, and nothing was handled", info.Checkpoint)
					}
					broken.set(nil)
					w = b.start(b.config(p))
					w.waits(2)
					w.drains()
					if got := fmt.Sprint(c.list()); got != "[1 1 1 2]" {
						b.Errorf("called for %s", got)
					}
				})
			})
		}
	}
}

// The drain finds a commit under way that does not have the last event yet: the first one is
// due 100 ms behind its event, and takes a few more.
func TestADrainDuringACommitCommitsWhatCameAfterIt(t *testing.T) {
	for at := 98; at < 110; at++ {
		t.Run(fmt.Sprintf("%d ms behind the first", at), func(t *testing.T) {
			bubble(t, func(b *bed) {
				var c calls
				p := mailer(projection.Options{}, func(_ context.Context, _ Deposited, ev event.Event) error {
					if ev.Position == 2 {
						pass(102 * time.Millisecond)
					}
					c.add("%d", ev.Position)
					return nil
				})
				w := b.start(b.config(p))
				w.becomes(worker.Live)
				b.append(accounts.Stream("a"), Deposited{Cents: 1}, Deposited{Cents: 1})
				pass(time.Duration(at) * time.Millisecond)
				w.drains()
				if got, info := c.list(), b.info(p); len(got) != int(info.Checkpoint) {
					b.Errorf("handled %s, and the checkpoint is %d", got, info.Checkpoint)
				}
			})
		})
	}
}

// Behind an event that takes long come others of its key, some of which were looked at while
// there was a handler to spare.
func TestEventsOfAKeyKeepTheirOrderBehindASlowOne(t *testing.T) {
	bubble(t, func(b *bed) {
		var c calls
		busy, done := make(chan struct{}), make(chan struct{})
		p := mailer(projection.Options{Concurrency: 2}, func(_ context.Context, _ Deposited, ev event.Event) error {
			switch {
			case ev.Position == 1:
				<-busy // the other handler has passed 2 over
			case ev.Stream.ID == "b":
				close(busy)
				<-done
				return nil
			}
			c.add("%d", ev.Position)
			if ev.Position == 5 {
				close(done)
			}
			return nil
		})
		b.deposit(1, "a", "a", "b", "a", "a")
		w := b.start(b.config(p))
		w.waits(5)
		if got := fmt.Sprint(c.list()); got != "[1 2 4 5]" {
			b.Errorf("handled %s", got)
		}
		w.drains()
	})
}
