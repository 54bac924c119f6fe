package main

import "context"

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
