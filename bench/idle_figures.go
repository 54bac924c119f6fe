package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"runtime/metrics"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

const (
	idleSubscriptions = 1000
	// idleTimes is for how many times the time of a side one look at idle subscriptions
	// lasts: in ten seconds the engine renews its leases three times and measures twice.
	idleTimes = 10
)

// idleCost is what subscriptions cost that have nothing to do.
type idleCost struct {
	cpu   float64 // percent of one core, of the whole process
	reads float64 // of the store, per second
	heap  float64 // KiB per subscription, with stacks
}

// idleFigure reports one of the costs, which are measured together.
func idleFigure(of func(idleCost) float64) func(context.Context, *bench) ([]pair, error) {
	return func(ctx context.Context, b *bench) ([]pair, error) {
		if b.shared.idle == nil {
			costs, err := measureIdle(ctx, b)
			if err != nil {
				return nil, err
			}
			b.shared.idle = costs
		}
		pairs := make([]pair, len(b.shared.idle))
		for i, c := range b.shared.idle {
			pairs[i] = pair{of(c), 1}
		}
		return pairs, nil
	}
}

func measureIdle(ctx context.Context, b *bench) (_ []idleCost, err error) {
	counting, err := openCounting(b.dir("idle"))
	if err != nil {
		return nil, err
	}
	st := counting.store
	defer func() { err = errors.Join(err, st.Close()) }()
	r := &riffle{st: st, streams: accounts(31, 1)}
	versions := make([]uint64, 1)
	if err := r.fill(ctx, versions, 0, 31); err != nil {
		return nil, err
	}
	before := heapAndStacks()
	e, err := runEngine(ctx, st, idleProjections()...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.stop()) }()
	// All of them have worked once, as they would in a program.
	if err := errors.Join(r.append(ctx, 0, versions[0]), e.waitAll(ctx)); err != nil {
		return nil, err
	}
	costs := make([]idleCost, b.runs)
	for i := range costs {
		b.settle()
		heap := heapAndStacks() - before
		if costs[i], err = idleFor(ctx, idleTimes*b.time, counting); err != nil {
			return nil, err
		}
		costs[i].heap = heap / idleSubscriptions / 1024
	}
	if b.profiles != "" {
		return costs, b.profile(ctx, func(ctx context.Context) (float64, error) {
			c, err := idleFor(ctx, b.time, counting)
			return c.cpu, err
		})
	}
	return costs, nil
}

// idleProjections are as many models as effects.
func idleProjections() []projection.Projection {
	all := make([]projection.Projection, idleSubscriptions)
	for i := range all {
		if name := fmt.Sprintf("idle-%04d", i); i%2 == 0 {
			all[i] = accountModel(name)
		} else {
			all[i] = accountEffect(name, store.AtPosition(1), func(event.Event) {})
		}
	}
	return all
}

// idleFor looks on for a while.
func idleFor(ctx context.Context, d time.Duration, counting *counting) (idleCost, error) {
	reads, start := counting.reads.Load(), time.Now()
	cpu, err := cpuTime()
	if err != nil {
		return idleCost{}, err
	}
	select {
	case <-time.After(d):
	case <-ctx.Done():
		return idleCost{}, context.Cause(ctx)
	}
	after, err := cpuTime()
	took := time.Since(start).Seconds()
	return idleCost{
		cpu:   100 * (after - cpu).Seconds() / took,
		reads: float64(counting.reads.Load()-reads) / took,
	}, err
}

// heapAndStacks is what is in use of the Go heap, and what goroutines use as stacks, in
// bytes. Garbage is collected until that frees nothing more for a while: what earlier figures
// used goes in several steps, by pools, finalizers and goroutines that end.
func heapAndStacks() float64 {
	const same, most = 5, 60
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	least, since := uint64(math.MaxUint64), 0
	for n := 0; n < most && since < same; n++ {
		runtime.GC()
		metrics.Read(samples)
		used := samples[0].Value.Uint64() + samples[1].Value.Uint64()
		if since++; used+64<<10 < least {
			since = 0
		}
		least = min(least, used)
		time.Sleep(20 * time.Millisecond)
	}
	return float64(least)
}
