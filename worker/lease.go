package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/telemetry"
	"github.com/riffle-go/riffle/store"
)

// Why a session ends in order; Run goes on, or returns nil.
var (
	errFinished  = errors.New("worker: finished")   // Drain, or Until is reached
	errStandDown = errors.New("worker: stand down") // a wish: another worker, a pause, a halt
)

// live claims and works, again and again, until there is a reason to return.
func (w *Worker) live(ctx context.Context) error {
	takeover := w.config.Takeover
	for {
		if w.draining() {
			return nil
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		lease, err := w.next(ctx, takeover)
		switch {
		case err != nil && ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return err
		case lease == nil:
			continue
		}
		takeover = false
		err = w.work(ctx, lease)
		switch {
		case errors.Is(err, errFinished):
			return nil
		case !errors.Is(err, errStandDown):
			return err
		}
	}
}

// next claims the lease, or waits until there is a reason to try anew and returns nil.
func (w *Worker) next(ctx context.Context, takeover bool) (*store.Lease, error) {
	if ready, err := w.mayClaim(ctx); err != nil || !ready {
		return nil, err
	}
	lease, err := w.claim(ctx, takeover)
	if errors.Is(err, store.ErrHeld) {
		return nil, w.standBy(ctx)
	}
	return lease, err
}

// claim takes the lease, or returns ErrHeld.
func (w *Worker) claim(ctx context.Context, takeover bool) (*store.Lease, error) {
	w.change(func(s *Status) { s.State, s.Err = Starting, nil })
	ttl := w.config.LeaseTTL
	if !takeover {
		lease, err := w.subscriber.Claim(ctx, w.config.Worker, ttl)
		if err == nil {
			w.rec.lease(telemetry.LeaseAcquired)
		}
		return lease, err
	}
	lease, err := w.subscriber.Takeover(ctx, w.config.Worker, ttl, ttl)
	if lease == nil {
		return nil, err
	}
	if err != nil { // the wish for a drain is still there; its owner ignores it
		w.log.Warn("took the lease over, but could not take the wish for it back", "error", err.Error())
	}
	w.rec.lease(telemetry.LeaseTakenOver)
	return lease, nil
}

// standBy waits until the lease is free, or there is another reason to look.
func (w *Worker) standBy(ctx context.Context) error {
	w.change(func(s *Status) { s.State, s.Term, s.Err = Standby, 0, nil })
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	free := make(chan error, 1)
	go func() { free <- w.subscriber.WaitFree(waiting) }()
	select {
	case err := <-free:
		return err
	case <-w.drain:
	case <-w.nudge:
	}
	cancel()
	if err := <-free; err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// mayClaim obeys the stored wish. When it returns false, some time has passed and the wish
// is to be read again.
func (w *Worker) mayClaim(ctx context.Context) (bool, error) {
	wish, err := w.subscriber.Wish(ctx)
	if err != nil {
		return false, err
	}
	switch {
	case wish.Halted != "":
		return false, w.rest(ctx, Halted, wish.Halted)
	case wish.Paused != "":
		return false, w.rest(ctx, Paused, wish.Paused)
	case !wish.Drain.IsZero() && wish.Drain != w.config.Worker:
		return false, w.giveWay(ctx, wish.Drain)
	}
	return true, nil
}

// rest waits, paused or halted, for the next look at the wish.
func (w *Worker) rest(ctx context.Context, st State, why string) error {
	reason := w.haltedBy(st, why)
	w.change(func(s *Status) { s.State, s.Term, s.Err = st, 0, reason })
	w.failWaiters(st, reason)
	if w.config.Until > 0 {
		return &StateError{Key: w.config.Key, State: st, Err: reason}
	}
	return w.sleep(ctx, w.config.LeaseTTL/3)
}

// haltedBy keeps the error itself when it was this worker that halted with it.
func (w *Worker) haltedBy(st State, why string) error {
	if err := w.halt; st == Halted && err != nil && haltText(err) == why {
		return err
	}
	return errors.New(why)
}

// giveWay stands by for a worker that wishes to take over. One that has died before it
// did, or that left its wish behind, is not waited for longer than two lease times.
func (w *Worker) giveWay(ctx context.Context, to event.ID) error {
	w.change(func(s *Status) { s.State, s.Term, s.Err = Standby, 0, nil })
	if w.yield.to != to {
		w.yield.to, w.yield.until = to, time.Now().Add(2*w.config.LeaseTTL)
	}
	h, err := w.subscriber.Running(ctx, to)
	switch {
	case err != nil:
		return err
	case time.Now().Before(w.yield.until) && !h:
		return w.sleep(ctx, max(w.config.LeaseTTL/100, time.Millisecond))
	}
	return w.subscriber.SetWish(ctx, func(wish *store.Wish) error {
		if wish.Drain == to {
			wish.Drain = event.ID{}
		}
		return nil
	})
}

// sleep waits for a while, or until the worker is nudged or told to stop.
func (w *Worker) sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.nudge:
	case <-w.drain:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// guard keeps a lease alive and cancels the session's context when it cannot.
type guard struct {
	extend  func(context.Context) error // renews the lease
	ttl     time.Duration
	cancel  context.CancelCauseFunc
	trouble chan struct{} // of capacity 1: a renewal failed
	remove  func()
	stop    context.CancelFunc
	ended   chan struct{}
}

// keep starts to renew a lease that was claimed just now.
func (w *Worker) keep(lease *store.Lease, claimed time.Time, cancel context.CancelCauseFunc) *guard {
	g := &guard{
		extend: lease.Renew, ttl: w.config.LeaseTTL, cancel: cancel,
		trouble: make(chan struct{}, 1), remove: func() {}, ended: make(chan struct{}),
	}
	ctx, stop := context.WithCancel(context.Background())
	g.stop = stop
	if w.config.Renewer != nil {
		g.remove = w.config.Renewer.Add(lease, g.failed)
		go g.standIn(ctx)
	} else {
		go g.renew(ctx, claimed.Add(g.ttl))
	}
	return g
}

// end stops renewing.
func (g *guard) end() {
	g.remove()
	g.stop()
	<-g.ended
}

// failed is told of renewals that failed elsewhere.
func (g *guard) failed(err error) {
	if err == nil {
		return
	}
	if errors.Is(err, store.ErrLeaseLost) {
		g.cancel(err)
		return
	}
	select {
	case g.trouble <- struct{}{}:
	default:
	}
}

// standIn renews the lease itself as long as the Renewer cannot.
func (g *guard) standIn(ctx context.Context) {
	defer close(g.ended)
	for {
		select {
		case <-ctx.Done():
			return
		case <-g.trouble:
		}
		// The last renewal was at most a third of the TTL before the one that failed.
		if _, ok := g.untilRenewed(ctx, time.Now().Add(g.ttl/3)); !ok {
			return
		}
	}
}

// renew renews the lease at a third of its TTL.
func (g *guard) renew(ctx context.Context, deadline time.Time) {
	defer close(g.ended)
	tick := time.NewTicker(g.ttl / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		renewed, ok := g.untilRenewed(ctx, deadline)
		if !ok {
			return
		}
		deadline = renewed.Add(g.ttl)
	}
}

// untilRenewed renews, tries again while it fails, and gives up when the lease may have
// ended: nobody else may know better, since the store does not answer. It returns when the
// call began that succeeded: nobody knows at which moment of it the lease was extended.
func (g *guard) untilRenewed(ctx context.Context, deadline time.Time) (renewed time.Time, ok bool) {
	expired := time.AfterFunc(time.Until(deadline), func() {
		g.cancel(fmt.Errorf("%w: it could not be renewed before it ran out", store.ErrLeaseLost))
	})
	defer expired.Stop()
	again := time.NewTicker(max(g.ttl/10, time.Millisecond))
	defer again.Stop()
	for {
		renewed = time.Now()
		err := g.extend(ctx)
		switch {
		case err == nil:
			return renewed, true
		case errors.Is(err, store.ErrLeaseLost):
			g.cancel(err)
			return renewed, false
		case time.Now().After(deadline):
			return renewed, false
		}
		select {
		case <-ctx.Done():
			return renewed, false
		case <-again.C:
		}
	}
}
