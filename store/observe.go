package store

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/riffle-go/riffle/event"
)

// observeHead reports the head to OpenTelemetry whenever metrics are collected, until the
// store is closed. A driver that cannot say is reported with what it said last.
func (c *core) observeHead() error {
	var last atomic.Int64
	unregister, err := c.meter.ObserveHead(func() int64 {
		ctx, cancel := context.WithTimeout(c.closing, time.Second)
		defer cancel()
		if h, err := c.head(ctx, c.driver); err == nil {
			last.Store(signed(h.Position))
		}
		return last.Load()
	})
	c.unobserve = unregister
	return err
}

// signed cuts a position to what a gauge can show.
func signed(p event.Position) int64 { return int64(min(p, 1<<63-1)) }
