package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riffle-go/riffle/internal/telemetry"
	"github.com/riffle-go/riffle/store"
)

// work runs sessions under a lease until the lease is to be given back.
func (w *Worker) work(ctx context.Context, lease *store.Lease) (err error) {
	claimed := time.Now()
	handling, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() { cancel(fmt.Errorf("%w: %w", ErrAbandoned, context.Cause(ctx))) })
	defer stop()
	guard := w.keep(lease, claimed, cancel)
	err = w.sessions(handling, cancel, lease)
	guard.end()
	if cause := context.Cause(handling); cause != nil && !errors.Is(err, store.ErrLeaseLost) {
		err = cause
	}
	if errors.Is(err, ErrAbandoned) && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return w.giveBack(ctx, lease, err)
}

// sessions runs one session after the other, until one ends for a reason of its own.
func (w *Worker) sessions(handling context.Context, cancel context.CancelCauseFunc, lease *store.Lease) (err error) {
	defer recovered(&err)
	w.change(func(s *Status) { s.Term, s.Position, s.Covered = lease.Term(), lease.Checkpoint(), lease.Checkpoint() })
	batch, checkpoint := 0, lease.Checkpoint()
	for {
		s := &session{Worker: w, program: w.config.Program, lease: lease, ctx: handling, stop: make(chan struct{})}
		s.commits.batch, s.commits.checkpoint = batch, checkpoint
		err = s.run(cancel)
		if !errors.Is(err, errSmaller) {
			return err
		}
		info, err := w.subscriber.Info(handling) // the session has committed, perhaps until its end
		if err != nil {
			return err
		}
		batch, checkpoint = s.commits.batch, info.Checkpoint
	}
}

// giveBack releases the lease, unless it is lost.
func (w *Worker) giveBack(ctx context.Context, lease *store.Lease, err error) error {
	w.mu.Lock()
	w.idle = false
	w.mu.Unlock()
	if errors.Is(err, store.ErrLeaseLost) {
		w.rec.lease(telemetry.LeaseLost)
		w.change(func(s *Status) { s.Term = 0 })
		return err
	}
	const patience = 5 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	released := lease.Release(ctx)
	w.change(func(s *Status) { s.Term = 0 })
	switch {
	case released == nil:
		w.rec.lease(telemetry.LeaseReleased)
	case errors.Is(err, errFinished) || errors.Is(err, errStandDown):
		if errors.Is(released, store.ErrLeaseLost) { // everything was committed before
			w.rec.lease(telemetry.LeaseLost)
			return err
		}
		return released
	}
	return err
}
