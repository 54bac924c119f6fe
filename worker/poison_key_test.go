package worker_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
)

// A key whose events fail costs the others the tries that are made at once, a second, and that
// once: nobody waits while it rests between later attempts, or for its later events.
func TestOnePoisonKeyAmongManyDelaysTheOthersOnce(t *testing.T) {
	const keys, unit = 10_000, time.Millisecond
	for _, concurrency := range []int{1, 8} {
		t.Run(fmt.Sprint("concurrency ", concurrency), func(t *testing.T) {
			bubble(t, func(b *bed) {
				var mu sync.Mutex
				var last time.Time
				var delayed time.Duration // in all, beyond a call of their own and one of another
				failures := 0
				p := mailer(projection.Options{Concurrency: concurrency}, func(_ context.Context, _ Deposited, ev event.Event) error {
					pass(unit)
					mu.Lock()
					defer mu.Unlock()
					if ev.Stream.ID == "poison" {
						failures++
						return errBroken
					}
					if now := time.Now(); last.IsZero() {
						last = now
					} else {
						delayed += max(now.Sub(last)-2*unit, 0)
						last = now
					}
					return nil
				})
				var to event.Position
				for i := range keys {
					if i%1000 == 10 {
						b.deposit(1, "poison")
					}
					to = b.deposit(1, fmt.Sprint("k", i))
				}
				w := b.start(b.config(p))
				w.waits(to)
				mu.Lock()
				defer mu.Unlock()
				if delayed > 1010*time.Millisecond {
					b.Errorf("the others were delayed by %v in all, want the tries of one event that are made at once", delayed)
				}
				if failures < 3 {
					b.Errorf("the poison key was tried %d times", failures)
				}
				w.drains()
			})
		})
	}
}
