package main

import (
	"context"
	"fmt"
)

// The yardsticks of the runtime, in the words of the output.
const (
	againstFold   = "a loop: store.Read, json.Unmarshal, apply to a Go map"
	againstDecode = "a loop: store.Read, json.Unmarshal"
	againstAppend = "the same append on a store without an engine"
	againstNoWork = "the same store and engine without a rebuild"
)

func runtimeFigures() []figure {
	return []figure{
		{
			group: "runtime", name: "model.catchup", unit: "events/s", yardstick: againstFold, bound: atLeast(0.45, 0.8),
			run: modelCatchUp,
		},
		{
			group: "runtime", name: "effect.catchup", unit: "events/s", yardstick: againstDecode, bound: atLeast(0.6, 0.9),
			run: effectCatchUp,
		},
		{
			group: "runtime", name: "effect.delay", unit: "µs", yardstick: againstAppend, bound: atMost(1.4, 1.1),
			run: effectDelay,
		},
		{
			group: "runtime", name: "fanout.100", unit: "ms", yardstick: "1 ms", bound: hopeAtMost(5),
			run: fanOut,
		},
		{
			group: "runtime", name: "idle.1000.cpu", unit: "% of a core", yardstick: "1 % of a core", bound: atMost(2, 0.5),
			run: idleFigure(func(i idleCost) float64 { return i.cpu }),
		},
		{
			group: "runtime", name: "idle.1000.reads", unit: "reads/s", yardstick: "1 read/s", bound: atMost(0, 0), zero: true,
			run: idleFigure(func(i idleCost) float64 { return i.reads }),
		},
		{
			group: "runtime", name: "idle.1000.heap", unit: "KiB", yardstick: "1 KiB", bound: atMost(64, 24),
			run: idleFigure(func(i idleCost) float64 { return i.heap }),
		},
		{
			group: "runtime", name: "state.memory", unit: "MiB", yardstick: "Config.StateCache + 64 MiB", bound: atMost(1, 0.9),
			run: stateMemory,
		},
		{
			group: "runtime", name: "rebuild.cost", unit: "events/s", yardstick: againstNoWork, bound: atLeast(0.5, 0.8),
			run: rebuildCost,
		},
	}
}

// against measures a side alone, where the yardstick is a number.
func (b *bench) against(ctx context.Context, ours side, yardstick float64) ([]pair, error) {
	pairs := make([]pair, b.runs)
	for i := range pairs {
		b.settle()
		v, err := ours(ctx)
		if err != nil {
			return nil, fmt.Errorf("run %d: %w", i+1, err)
		}
		pairs[i] = pair{v, yardstick}
	}
	if b.profiles != "" {
		return pairs, b.profile(ctx, ours)
	}
	return pairs, nil
}
