package main

import (
	"context"
	"errors"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// running is an engine that runs, and whose projections have reached the head.
type running struct {
	*engine.Engine
	cancel context.CancelFunc
	ended  chan error
}

func startEngine(ctx context.Context, c engine.Config) (*running, error) {
	e, err := engine.New(c)
	if err != nil {
		return nil, err
	}
	run, cancel := context.WithCancel(ctx)
	r := &running{Engine: e, cancel: cancel, ended: make(chan error, 1)}
	go func() { r.ended <- e.Run(run) }()
	if err := r.waitAll(ctx); err != nil {
		return nil, errors.Join(err, r.stop())
	}
	return r, nil
}

// waitAll waits until all projections have handled what is in the store.
func (r *running) waitAll(ctx context.Context) error {
	head, err := r.Store().Head(ctx)
	if err != nil {
		return err
	}
	for _, p := range r.Projections() {
		if err := r.Wait(ctx, p, head.Position); err != nil {
			return err
		}
	}
	return nil
}

// stop drains.
func (r *running) stop() error {
	r.cancel()
	return <-r.ended
}

// runEngine starts an engine with the default options.
func runEngine(ctx context.Context, st *store.Store, projections ...projection.Projection) (*running, error) {
	return startEngine(ctx, engine.Config{Store: st, Projections: projections})
}
