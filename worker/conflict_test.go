package worker_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

func TestAConflictRunsTheEventAgainAndIsNoAttempt(t *testing.T) {
	bubble(t, func(b *bed) {
		var c calls
		var w *running
		p := mailer(projection.Options{}, func(ctx context.Context, _ Deposited, ev event.Event) error {
			info, err := b.store.Stream(ctx, echoes.Stream("contended"))
			if err != nil {
				return err
			}
			d := projection.DeliveryFrom(ctx)
			c.add("%d attempt %d", ev.Position, d.Attempt)
			if ev.Position == 2 && info.Version < 8 { // somebody else is always faster
				b.append(echoes.Stream("contended"), Echoed{})
			}
			return emit(ctx, "contended", store.Exact(info.Version), ev.Position)
		})
		b.deposit(1, "a", "b", "c")
		at := time.Now()
		w = b.start(b.config(p))
		w.waits(3)
		var own []event.Position
		for _, e := range b.echoed() {
			if e != 0 {
				own = append(own, e)
			}
		}
		if fmt.Sprint(own) != "[1 2 3]" {
			b.Fatalf("emitted %v, want each once and in order", own)
		}
		if n := strings.Count(strings.Join(c.list(), ","), "2 attempt 1"); n != 8 {
			b.Fatalf("calls %q, want eight of position 2, each of them attempt 1", c.list())
		}
		if d := time.Since(at); d < 10*time.Millisecond || d > time.Second {
			b.Fatalf("seven conflicts took %v: from the fifth on there is a pause, and no long one", d)
		}
		b.rowsAre(p)
		w.drains()
	})
}

// Whoever always finds that somebody else was faster gets the stream for itself in the end.
func TestAnEmitterIsNotAlwaysTheLast(t *testing.T) {
	bubble(t, func(b *bed) {
		var others sync.WaitGroup
		tries := 0
		p := mailer(projection.Options{}, func(ctx context.Context, _ Deposited, ev event.Event) error {
			info, err := b.store.Stream(ctx, echoes.Stream("contended"))
			if err != nil {
				return err
			}
			tries++
			faster := make(chan struct{})
			others.Go(func() {
				defer close(faster)
				b.append(echoes.Stream("contended"), Echoed{})
			})
			select {
			case <-faster:
			case <-time.After(5 * time.Millisecond): // it has to wait
			}
			return emit(ctx, "contended", store.Exact(info.Version), ev.Position)
		})
		b.deposit(1, "a")
		w := b.start(b.config(p))
		w.waits(1)
		others.Wait()
		if tries < 5 || tries > 10 {
			b.Errorf("%d tries", tries)
		}
		w.drains()
	})
}

// A decision that takes longer than a turn gets longer ones, and what comes after it need not
// find out anew how long.
func TestALongDecisionGetsALongTurn(t *testing.T) {
	bubble(t, func(b *bed) {
		const events, takes = 5, 60 * time.Millisecond
		tries := map[event.Position]int{}
		p := mailer(projection.Options{}, func(ctx context.Context, _ Deposited, ev event.Event) error {
			info, err := b.store.Stream(ctx, echoes.Stream("contended"))
			if err != nil {
				return err
			}
			tries[ev.Position]++
			pass(takes)
			return emit(ctx, "contended", store.Exact(info.Version), ev.Position)
		})
		b.deposit(1, strings.Split("abcde", "")...)
		stop := make(chan struct{})
		var others sync.WaitGroup
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(3 * time.Millisecond):
					b.append(echoes.Stream("contended"), Echoed{})
				}
			}
		})
		w := b.start(b.config(p))
		w.waits(events)
		close(stop)
		others.Wait()
		if first := tries[1]; first < 4 || first > 10 {
			b.Errorf("%d tries of the first event", first)
		}
		for at := event.Position(2); at <= events; at++ {
			if tries[at] > 3 { // an append may be on its way when the turn begins
				b.Errorf("%d tries of event %d", tries[at], at)
			}
		}
		w.drains()
	})
}
