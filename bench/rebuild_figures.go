package main

import (
	"context"
	"errors"

	"github.com/riffle-go/riffle/engine"
)

// rebuildAppenders is how many goroutines append beside a rebuild.
const rebuildAppenders = 8

// rebuildCost compares the rate of appends while a model is rebuilt beside the live one with
// the rate while it is not. What is appended concerns the model in both cases.
func rebuildCost(ctx context.Context, b *bench) (_ []pair, err error) {
	h, err := b.history(ctx)
	if err != nil {
		return nil, err
	}
	st, err := h.open(ctx, b)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	m := accountModel("accounts")
	e, err := runEngine(ctx, st, m)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.stop()) }()
	l := &load{to: &riffle{st: st, streams: h.streams}, versions: append([]uint64(nil), h.versions...), goroutines: rebuildAppenders}
	alone := func(ctx context.Context) (float64, error) { return l.run(ctx, b.time) }
	return b.pairs(ctx, func(ctx context.Context) (float64, error) {
		if err := e.Rebuild(ctx, m.Name()); err != nil {
			return 0, err
		}
		during, stop := context.WithCancel(ctx)
		rebuilding := make(chan error, 1)
		go func() { rebuilding <- rebuildOn(during, e.Engine, m.Name()) }()
		rate, err := alone(ctx)
		stop()
		// The last rebuild ends with nobody in its way.
		return rate, errors.Join(err, <-rebuilding, e.CatchUp(ctx))
	}, func(ctx context.Context) (float64, error) {
		rate, err := alone(ctx)
		return rate, errors.Join(err, e.CatchUp(ctx))
	})
}

// rebuildOn begins another rebuild whenever one has ended, until ctx ends.
func rebuildOn(ctx context.Context, e *engine.Engine, name string) error {
	for {
		err := e.CatchUp(ctx)
		if err == nil {
			err = e.Rebuild(ctx, name)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
	}
}
