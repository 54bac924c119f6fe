package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// liveStreams is how many streams the events of live projections go to.
const liveStreams = 1000

// appending appends one event after the other, each to the next stream.
type appending struct {
	*riffle
	versions []uint64
	next     int
}

func (b *bench) openAppending(ctx context.Context, name string) (*appending, error) {
	st, err := openRiffle(b.dir(name), nil)
	if err != nil {
		return nil, err
	}
	a := &appending{riffle: &riffle{st: st, streams: accounts(21, min(liveStreams, b.events))}}
	a.versions = make([]uint64, len(a.streams))
	if err := a.fill(ctx, a.versions, 0, 21); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return a, nil
}

func (a *appending) one(ctx context.Context) error {
	i := a.next % len(a.streams)
	a.next++
	if err := a.append(ctx, i, a.versions[i]); err != nil {
		return err
	}
	a.versions[i]++
	return nil
}

// times repeats f for as long as a side takes and returns how long f took each time, sorted.
func (b *bench) times(f func() (time.Duration, error)) ([]time.Duration, error) {
	var took []time.Duration
	for start := time.Now(); len(took) == 0 || time.Since(start) < b.time; {
		d, err := f()
		if err != nil {
			return nil, err
		}
		took = append(took, d)
	}
	slices.Sort(took)
	return took, nil
}

// handledPatience is how long an event may take to all handlers before the figure fails.
const handledPatience = 30 * time.Second

// audience is a number of effects that all handle each event.
type audience struct {
	left    atomic.Int64
	handled chan time.Time // when the last of them had handled an event
	all     int64
}

func newAudience(n int) (*audience, []projection.Projection) {
	a := &audience{handled: make(chan time.Time, 1), all: int64(n)}
	effects := make([]projection.Projection, n)
	for i := range effects {
		effects[i] = accountEffect(fmt.Sprintf("effect-%03d", i), store.AtHead(), a.see)
	}
	return a, effects
}

func (a *audience) see(event.Event) {
	if a.left.Add(-1) == 0 {
		a.handled <- time.Now()
	}
}

// hears appends an event and returns the time from the beginning of the append until all
// have handled it.
func (a *audience) hears(ctx context.Context, to *appending) (time.Duration, error) {
	a.left.Store(a.all)
	start := time.Now()
	if err := to.one(ctx); err != nil {
		return 0, err
	}
	select {
	case at := <-a.handled:
		return at.Sub(start), nil
	case <-time.After(handledPatience):
		return 0, fmt.Errorf("%d of %d effects did not get an event within %s", a.left.Load(), a.all, handledPatience)
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// effectDelay compares the time from the beginning of an append until a live effect has
// handled the event with the time of an append alone.
func effectDelay(ctx context.Context, b *bench) (_ []pair, err error) {
	with, err := b.openAppending(ctx, "live")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, with.close()) }()
	alone, err := b.openAppending(ctx, "alone")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, alone.close()) }()
	a, effects := newAudience(1)
	e, err := runEngine(ctx, with.st, effects...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.stop()) }()
	ours := b.quantile(50, time.Microsecond, func(ctx context.Context) (time.Duration, error) { return a.hears(ctx, with) })
	theirs := b.quantile(50, time.Microsecond, func(ctx context.Context) (time.Duration, error) {
		start := time.Now()
		err := alone.one(ctx)
		return time.Since(start), err
	})
	return b.pairs(ctx, ours, theirs)
}

// quantile measures a percentile of the times of f.
func (b *bench) quantile(percent int, unit time.Duration, f func(context.Context) (time.Duration, error)) side {
	return func(ctx context.Context) (float64, error) {
		took, err := b.times(func() (time.Duration, error) { return f(ctx) })
		if err != nil {
			return 0, err
		}
		return float64(took[len(took)*percent/100]) / float64(unit), nil
	}
}

// fanOut measures the 99th percentile of the time until all of 100 live effects have
// handled an event.
func fanOut(ctx context.Context, b *bench) (_ []pair, err error) {
	to, err := b.openAppending(ctx, "live")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, to.close()) }()
	a, effects := newAudience(100)
	e, err := runEngine(ctx, to.st, effects...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.stop()) }()
	return b.against(ctx, b.quantile(99, time.Millisecond, func(ctx context.Context) (time.Duration, error) { return a.hears(ctx, to) }), 1)
}
