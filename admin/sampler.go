package admin

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

const (
	// sampleFor is how old a sample may be: requests that come together share one.
	sampleFor = 200 * time.Millisecond
	// rateOver is the time over which events per second are counted.
	rateOver = 10 * time.Second
	// rateLeast is the shortest time that says anything about a rate.
	rateLeast = 900 * time.Millisecond
	// rateKeep is how long a sample counts for the rates of later ones.
	rateKeep = time.Minute
)

// sample is how everything is at one moment.
type sample struct {
	at         time.Time
	head       store.Head
	health     engine.Health
	statuses   []engine.Status
	appendRate *float64 // events per second; nil is unknown
	rates      map[string]*float64
	disk       *Disk
	diskErr    error
}

// sampler takes samples, and shares them among those who ask at the same time.
type sampler struct {
	h     *Handler
	turn  chan struct{} // held by whoever uses what is below
	last  *sample
	seen  []seen
	disk  diskCache
	stale atomic.Bool // something was changed: the next one wants a new sample
}

// seen is what later samples need of an earlier one.
type seen struct {
	at          time.Time
	head        event.Position
	checkpoints map[string]checkpoint
}

type checkpoint struct {
	generation uint32
	position   event.Position
}

func newSampler(h *Handler) *sampler {
	return &sampler{h: h, turn: make(chan struct{}, 1), disk: diskCache{ask: h.options.Disk, within: min(diskWithin, h.options.Timeout/2)}}
}

// now returns a sample of this moment or a moment ago.
func (s *sampler) now(ctx context.Context) (*sample, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s.last != nil && !s.stale.Load() && time.Since(s.last.at) < sampleFor {
		return s.last, nil
	}
	s.stale.Store(false)
	n, err := s.take(ctx)
	if err != nil {
		s.stale.Store(true)
		return nil, err
	}
	s.last = n
	return n, nil
}

func (s *sampler) take(ctx context.Context) (*sample, error) {
	n := &sample{at: time.Now(), health: s.h.engine.Health(), rates: make(map[string]*float64)}
	var err error
	if n.head, err = s.h.store.Head(ctx); err != nil {
		return nil, err
	}
	if n.statuses, err = s.h.engine.Status(ctx); err != nil {
		return nil, err
	}
	n.disk, n.diskErr = s.disk.now(ctx)
	s.rate(ctx, n)
	return n, nil
}

// rate compares a sample with an earlier one, of up to rateOver ago.
func (s *sampler) rate(ctx context.Context, n *sample) {
	now := seen{at: n.at, head: n.head.Position, checkpoints: make(map[string]checkpoint)}
	for _, st := range n.statuses {
		now.checkpoints[st.Projection] = checkpoint{st.Subscriber.Key.Generation, st.Subscriber.Checkpoint}
	}
	for len(s.seen) > 0 && n.at.Sub(s.seen[0].at) > rateKeep || len(s.seen) > 1 && n.at.Sub(s.seen[1].at) >= rateOver {
		s.seen = s.seen[1:]
	}
	if len(s.seen) > 0 && n.at.Sub(s.seen[0].at) >= rateLeast {
		base := s.seen[0]
		for name, c := range now.checkpoints {
			if b, ok := base.checkpoints[name]; ok && b.generation == c.generation && b.position <= c.position {
				n.rates[name] = new(perSecond(b.position, c.position, n.at.Sub(base.at)))
			}
		}
		n.appendRate = new(perSecond(base.head, now.head, n.at.Sub(base.at)))
	} else {
		n.appendRate = s.fromTimes(ctx, n)
	}
	if len(s.seen) == 0 || n.at.Sub(s.seen[len(s.seen)-1].at) >= sampleFor {
		s.seen = append(s.seen, now)
	}
}

// fromTimes counts the events of the last seconds by their times, where that costs a search:
// so that the first sample knows the rate too.
func (s *sampler) fromTimes(ctx context.Context, n *sample) *float64 {
	if t := s.h.store.Traits(); !t.Dense || !t.MonotoneTime {
		return nil
	}
	first, err := s.h.store.ResolveFrom(ctx, store.AtTime(n.at.Add(-rateOver)))
	if err != nil {
		return nil
	}
	return new(perSecond(first-1, max(n.head.Position, first-1), rateOver))
}

func perSecond(from, to event.Position, d time.Duration) float64 {
	return float64(to-from) / d.Seconds()
}
