package main

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// appender appends one event to stream i, which has the given version.
type appender interface {
	append(ctx context.Context, i int, version uint64) error
	close() error
}

// load lets goroutines append, each to streams of its own, one event per append, each as
// soon as the last one is acknowledged.
type load struct {
	to         appender
	versions   []uint64 // of the streams; kept from one run to the next
	goroutines int
}

// run appends for some time and returns the rate in events per second.
func (l *load) run(ctx context.Context, d time.Duration) (float64, error) {
	return l.timed(ctx, d, nil)
}

// p99 appends for some time and returns how many milliseconds 99 % of the appends took at
// most.
func (l *load) p99(ctx context.Context, d time.Duration) (float64, error) {
	took := make([][]time.Duration, l.goroutines)
	for g := range took {
		took[g] = make([]time.Duration, 0, 1<<12)
	}
	if _, err := l.timed(ctx, d, took); err != nil {
		return 0, err
	}
	all := slices.Concat(took...)
	slices.Sort(all)
	return float64(all[len(all)*99/100]) / float64(time.Millisecond), nil
}

// timed notes the time of each append in took, if that is not nil.
func (l *load) timed(ctx context.Context, d time.Duration, took [][]time.Duration) (float64, error) {
	if l.goroutines > len(l.versions) {
		return 0, fmt.Errorf("%d goroutines need as many streams, there are %d", l.goroutines, len(l.versions))
	}
	var (
		stop   atomic.Bool
		events atomic.Int64
	)
	group, ctx := errgroup.WithContext(ctx)
	timer := time.AfterFunc(d, func() { stop.Store(true) })
	defer timer.Stop()
	start := time.Now()
	for g := range l.goroutines {
		lo, hi := g*len(l.versions)/l.goroutines, (g+1)*len(l.versions)/l.goroutines
		group.Go(func() error {
			n := 0
			defer func() { events.Add(int64(n)) }()
			for i := lo; n == 0 || !stop.Load(); i++ {
				if i == hi {
					i = lo
				}
				var began time.Time
				if took != nil {
					began = time.Now()
				}
				if err := l.to.append(ctx, i, l.versions[i]); err != nil {
					return err
				}
				if took != nil {
					took[g] = append(took[g], time.Since(began))
				}
				l.versions[i]++
				n++
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	return float64(events.Load()) / time.Since(start).Seconds(), nil
}
