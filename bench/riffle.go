package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// riffle appends to a Riffle store through its public API.
type riffle struct {
	st      *store.Store
	streams []stream
}

// openRiffle opens a store as a program does that says nothing special. change may be nil.
func openRiffle(dir string, change func(*pebblestore.Options)) (*store.Store, error) {
	o := pebblestore.Options{Store: store.Options{Logger: quiet()}}
	if change != nil {
		change(&o)
	}
	return pebblestore.Open(dir, &o)
}

// on returns a change of options that puts the store on a file system.
func on(fs vfs.FS) func(*pebblestore.Options) {
	return func(o *pebblestore.Options) { o.FS = fs }
}

// batch makes the batch that brings a stream from one version to the next.
func (s *stream) batch(version uint64, n int) store.Batch {
	payloads := make([]event.Payload, n)
	for i := range payloads {
		payloads[i] = s.payload(version + 1 + uint64(i))
	}
	return store.Batch{
		Stream: s.key, Expect: store.Exact(version), RoutingKey: s.routingKey,
		Events: event.Of(payloads...), Metadata: s.metadata,
	}
}

func (r *riffle) append(ctx context.Context, i int, version uint64) error {
	s := &r.streams[i]
	_, err := r.st.Append(ctx, store.Batch{
		Stream: s.key, Expect: store.Exact(version), RoutingKey: s.routingKey,
		Events: event.Of(s.payload(version + 1)), Metadata: s.metadata,
	})
	return err
}

func (r *riffle) close() error { return r.st.Close() }

// appendMany is how many events one append of a bulk load has.
const appendMany = 500

// fill appends n events to streams picked at random, or one to each stream when n is 0.
// versions is kept up to date.
func (r *riffle) fill(ctx context.Context, versions []uint64, n int, seed uint64) error {
	group, ctx := errgroup.WithContext(ctx)
	workers := min(runtime.GOMAXPROCS(0), len(r.streams))
	for w := range workers {
		lo, hi := w*len(r.streams)/workers, (w+1)*len(r.streams)/workers
		count := (w+1)*n/workers - w*n/workers
		pick := randomPicks(seed+uint64(w), lo, hi)
		if n == 0 {
			count, pick = hi-lo, func(k int) int { return lo + k }
		}
		group.Go(func() error { return r.fillPart(ctx, versions, count, pick) })
	}
	return group.Wait()
}

func randomPicks(seed uint64, lo, hi int) func(int) int {
	rng := rand.New(rand.NewPCG(seed, 2))
	return func(int) int { return lo + rng.IntN(hi-lo) }
}

func (r *riffle) fillPart(ctx context.Context, versions []uint64, count int, pick func(int) int) error {
	for k := 0; k < count; {
		var order []int
		times := map[int]int{}
		for range min(appendMany, count-k) {
			i := pick(k)
			k++
			if times[i]++; times[i] == 1 {
				order = append(order, i)
			}
		}
		batches := make([]store.Batch, len(order))
		for j, i := range order {
			batches[j] = r.streams[i].batch(versions[i], times[i])
			versions[i] += uint64(times[i])
		}
		if _, err := r.st.Append(ctx, batches...); err != nil {
			return fmt.Errorf("fill: %w", err)
		}
	}
	return nil
}
