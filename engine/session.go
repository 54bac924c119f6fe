package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/riffle-go/riffle/store"
)

const (
	// cancelGrace is how long handlers may take to notice that they were cancelled.
	cancelGrace = time.Second
	// resolveAtOnce is how many rows of projections are brought up to date at the same time,
	// so that they share the store's syncs.
	resolveAtOnce = 16
)

// session is one time of running: that of Run, or that of a CatchUp without Run.
type session struct {
	engine  *Engine
	renewer *renewer

	// work is the context of workers and handlers; it is cancelled only to abandon them.
	work    context.Context
	abandon context.CancelCauseFunc
	// prompt is the context of what need not be finished; a drain cancels it.
	prompt context.Context
	hurry  context.CancelCauseFunc

	draining chan struct{} // closed when the drain begins
	drain    sync.Once
	failed   chan struct{} // closed when going on makes no sense
	fail     sync.Once
	err      error         // why; set before failed is closed
	gone     chan struct{} // closed when it is no longer the engine's

	supervising sync.WaitGroup
	helping     sync.WaitGroup
	stopHelpers context.CancelFunc
	unobserve   func()

	// users counts the CatchUps that share it: 0 is a session of Run, -1 one that its last
	// CatchUp ends. Guarded by the engine's mutex.
	users int
}

// admit makes a session the current one, with a number of CatchUps that share it, 0 for Run.
// It answers errBusy with the session that runs.
func (e *Engine) admit(ctx context.Context, users int) (*session, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.session != nil {
		return e.session, errBusy
	}
	if stuck := e.unfinished(); len(stuck) > 0 {
		return nil, fmt.Errorf("%w: handlers of %s have not returned since the last time", ErrRunning, strings.Join(stuck, ", "))
	}
	for _, s := range e.supervisors {
		s.begin()
	}
	e.session = newSession(ctx, e)
	e.session.users = users
	return e.session, nil
}

// dismiss ends what admit began; waiters learn of it.
func (e *Engine) dismiss(ses *session, run bool) {
	ses.abandon(errAbandoned)
	e.mu.Lock()
	e.session, e.ended = nil, e.ended || run
	e.mu.Unlock()
	close(ses.gone)
	e.notifyAll()
}

func newSession(ctx context.Context, e *Engine) *session {
	ses := &session{
		engine: e, renewer: newRenewer(e.store, e.config.LeaseTTL),
		draining: make(chan struct{}), failed: make(chan struct{}), gone: make(chan struct{}),
		unobserve: func() {}, stopHelpers: func() {},
	}
	ses.work, ses.abandon = context.WithCancelCause(context.WithoutCancel(ctx))
	ses.prompt, ses.hurry = context.WithCancelCause(ses.work)
	return ses
}

// resolveAll brings the rows of all projections up to date.
func (e *Engine) resolveAll(ctx context.Context) error {
	var group errgroup.Group
	group.SetLimit(resolveAtOnce)
	errs := make([]error, len(e.supervisors))
	for i, s := range e.supervisors {
		group.Go(func() error {
			_, errs[i] = s.resolve(ctx)
			return nil
		})
	}
	_ = group.Wait() // the errors are in errs, all of them
	return errors.Join(errs...)
}

// start brings the stored rows up to date, then starts everything, what others depend on
// first. ctx bounds only that.
func (ses *session) start(ctx context.Context) error {
	e := ses.engine
	if err := e.resolveAll(ctx); err != nil {
		return err
	}
	unobserve, err := e.runtime.Observe(e.samples)
	if err != nil {
		return fmt.Errorf("engine: instruments: %w", err)
	}
	ses.unobserve = unobserve
	helping, stop := context.WithCancel(context.WithoutCancel(ses.work))
	ses.stopHelpers = stop
	ses.helping.Go(func() { ses.renewer.run(helping) })
	ses.helping.Go(func() { e.measureAll(helping) })
	ses.helping.Go(func() { ses.watchStore(helping) })
	for _, s := range e.supervisors {
		ses.supervising.Go(func() { s.run(ses) })
	}
	e.notifyAll()
	return nil
}

// watchStore ends the session when the store fails for good.
func (ses *session) watchStore(ctx context.Context) {
	select {
	case <-ses.engine.store.Failed():
		ses.giveUp(ses.engine.store.Err())
	case <-ctx.Done():
	}
}

// giveUp ends the session for a reason.
func (ses *session) giveUp(err error) {
	ses.fail.Do(func() {
		ses.err = err
		close(ses.failed)
	})
}

// hopeless says whether an error of the store will never go away.
func hopeless(err error) bool {
	return errors.Is(err, store.ErrClosed) || errors.Is(err, store.ErrFailed)
}

func (ses *session) ending() bool {
	select {
	case <-ses.draining:
		return true
	default:
		return false
	}
}

// end drains, then abandons, and returns when everything has stopped, but for handlers that
// ignore the end of their context.
//
// The order: workers, which need their leases renewed; then the renewal; the measuring
// last, so that it sees the end.
func (ses *session) end() error {
	e := ses.engine
	ses.drain.Do(func() { close(ses.draining) })
	ses.hurry(errDraining)
	e.notifyAll()
	stopped := make(chan struct{})
	go func() {
		ses.supervising.Wait()
		close(stopped)
	}()
	var late *ShutdownError
	select {
	case <-stopped:
	case <-time.After(e.config.ShutdownTimeout):
		late = &ShutdownError{Projections: e.unfinished(), Timeout: e.config.ShutdownTimeout}
		ses.abandon(errAbandoned)
		select {
		case <-stopped:
		case <-time.After(cancelGrace):
			late.Stuck = e.unfinished()
		}
	}
	ses.abandon(errAbandoned)
	ses.stopHelpers()
	ses.helping.Wait()
	ses.unobserve()
	var err error
	select {
	case <-ses.failed:
		err = ses.err
	default:
	}
	if late != nil && len(late.Projections) > 0 {
		err = errors.Join(err, late)
	}
	return err
}

// unfinished names the projections with a worker that has not ended.
func (e *Engine) unfinished() []string {
	var names []string
	for _, s := range e.supervisors {
		if s.busy() {
			names = append(names, s.name)
		}
	}
	slices.Sort(names)
	return names
}
