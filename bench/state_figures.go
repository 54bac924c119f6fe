package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/metrics"
	"time"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

const (
	// stateCache is the limit of the live states in this figure: the engine's default.
	stateCache = engine.DefaultStateCache
	// sampleEvery is how often the memory is looked at.
	sampleEvery = 5 * time.Millisecond
)

// stateMemory measures the live heap of the process while a model catches up over as many
// keys as -n says.
func stateMemory(ctx context.Context, b *bench) (_ []pair, err error) {
	// The block cache is small, so that it does not count, where it is a part of the heap.
	dir := b.dir("states")
	st, err := openRiffle(dir, withCache(smallCache))
	if err != nil {
		return nil, err
	}
	streams := accounts(41, b.events)
	r := &riffle{st: st, streams: streams}
	if err := errors.Join(r.fill(ctx, make([]uint64, len(streams)), 0, 41), st.Close()); err != nil {
		return nil, err
	}
	r.streams, streams = nil, nil
	if st, err = openRiffle(dir, withCache(smallCache)); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	m := accountModel("many")
	e, err := engine.New(engine.Config{Store: st, Projections: []projection.Projection{m}, StateCache: stateCache})
	if err != nil {
		return nil, err
	}
	heapAndStacks() // collects what earlier figures used
	most := watchHeap()
	err = e.CatchUp(ctx)
	used := most()
	if err != nil {
		return nil, err
	}
	states := 0
	for _, err := range m.All(ctx, st, store.Range{}) {
		if err != nil {
			return nil, err
		}
		states++
	}
	if states != b.events {
		return nil, fmt.Errorf("%d states of %d", states, b.events)
	}
	const mib = 1 << 20
	return []pair{{float64(used) / mib, (stateCache + memoryAllowance) / mib}}, nil
}

// watchHeap looks at the live heap, as each collection finds it, until the function that it
// returns is called. That returns the most of it.
func watchHeap() func() uint64 {
	most := liveHeap()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(sampleEvery)
		defer tick.Stop()
		for {
			most = max(most, liveHeap())
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()
	return func() uint64 {
		close(stop)
		<-stopped
		runtime.GC()
		return max(most, liveHeap())
	}
}

// liveHeap is what the last collection found to be in use.
func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
