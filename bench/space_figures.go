package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/riffle-go/riffle/store"
)

func spaceFigures() []figure {
	return []figure{
		{
			group: "store", name: "open.large", unit: "ms", yardstick: againstSmaller, bound: atMost(3, 1.5),
			run: openLarge,
		},
		{
			group: "store", name: "write.amplification", unit: "B/event",
			yardstick: "bytes of the encoded envelopes", bound: atMost(3.0, 2.5),
			run: func(ctx context.Context, b *bench) ([]pair, error) {
				return b.perEvent(ctx, func(f *fixture) int64 { return f.wal + f.tables })
			},
		},
		{
			group: "store", name: "disk.payload", unit: "B/event",
			yardstick: "bytes of the encoded envelopes", bound: atMost(0.65, 0.55),
			run: func(ctx context.Context, b *bench) ([]pair, error) {
				return b.perEvent(ctx, func(f *fixture) int64 { return f.size })
			},
		},
		{
			group: "store", name: "memory.streams1m", unit: "MiB", yardstick: "block cache + 64 MiB", bound: atMost(1, 0.9),
			run: memoryOfStreams,
		},
	}
}

// perEvent compares bytes that the large store cost with those of its events.
func (b *bench) perEvent(ctx context.Context, bytes func(*fixture) int64) ([]pair, error) {
	f, err := b.big(ctx)
	if err != nil {
		return nil, err
	}
	n := float64(f.events)
	return []pair{{float64(bytes(f)) / n, float64(f.payload) / n}}, nil
}

// openTail is how many events a store has in its write-ahead log when it is opened.
const openTail = 1000

// openLarge compares the time to open a large store with that of a small one.
func openLarge(ctx context.Context, b *bench) ([]pair, error) {
	var sides [2]side
	for i, of := range []func(context.Context) (*fixture, error){b.big, b.small} {
		f, err := of(ctx)
		if err != nil {
			return nil, err
		}
		dir := f.copy
		sides[i] = func(ctx context.Context) (float64, error) { return openOnce(ctx, dir) }
		if _, err := sides[i](ctx); err != nil { // leaves the tail
			return nil, err
		}
	}
	return b.pairs(ctx, sides[0], sides[1])
}

// openOnce opens a store and leaves a tail for the next time. It returns the milliseconds
// until the store was open and could be read.
func openOnce(ctx context.Context, dir string) (_ float64, err error) {
	start := time.Now()
	st, err := openRiffle(dir, nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	head, err := st.Head(ctx)
	if err != nil {
		return 0, err
	}
	if _, err := st.Event(ctx, head.Position); err != nil {
		return 0, err
	}
	took := time.Since(start)
	streams := newStreams(6, openTail, rareShare)
	for part := range slices.Chunk(streams, appendMany) {
		batches := make([]store.Batch, len(part))
		for i := range part {
			batches[i] = part[i].batch(0, 1)
			batches[i].Expect = store.Any
		}
		if _, err := st.Append(ctx, batches...); err != nil {
			return 0, err
		}
	}
	return float64(took) / float64(time.Millisecond), nil
}
