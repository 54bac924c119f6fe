package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// maxRounds bounds how often CatchUp follows what effects have emitted.
const maxRounds = 1000

// LoopError says that effects kept emitting events that made effects emit: CatchUp gave up.
type LoopError struct {
	Rounds   int
	Position event.Position // that all projections have reached
	_        struct{}
}

func (e *LoopError) Error() string {
	return fmt.Sprintf("engine: catch-up: still new events at position %d after %d rounds of what effects emitted; do they answer each other?", e.Position, e.Rounds)
}

// ErrorType is the error.type attribute of telemetry.
func (*LoopError) ErrorType() string { return "loop" }

// CatchUp returns when every projection has handled everything up to the head at the call,
// and what handlers have emitted or appended on the way, as far as it carries the causation
// of an event; rebuilds are finished. Without Run it runs the workers itself, and stops them
// before it returns: for tests, tools and batch jobs. While Run runs it only waits.
//
// Events that failed and were set aside count as handled. A projection that is paused or
// halted, or stands by as older code, is a *StateError, returned when the others are there.
// When effects go on emitting for 1,000 rounds it is a *LoopError. The end of ctx ends
// CatchUp, and drains what it runs.
func (e *Engine) CatchUp(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ses, err := e.join(ctx)
	if err != nil {
		return err
	}
	err = e.catchUp(ctx, ses)
	return errors.Join(err, e.part(ses))
}

// join takes part in the session that runs, or begins one.
func (e *Engine) join(ctx context.Context) (*session, error) {
	for {
		e.mu.Lock()
		ses := e.session
		joined := ses != nil && ses.users >= 0
		if joined && ses.users > 0 {
			ses.users++
		}
		e.mu.Unlock()
		if joined {
			return ses, nil
		}
		if ses != nil { // it ends
			select {
			case <-ses.gone:
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
		ses, err := e.admit(ctx, 1)
		if errors.Is(err, errBusy) {
			continue // somebody was faster
		}
		if err != nil {
			return nil, err
		}
		if err := ses.start(ctx); err != nil {
			e.dismiss(ses, false)
			return nil, err
		}
		return ses, nil
	}
}

// part leaves a session; the last one that shares it without a Run ends it.
func (e *Engine) part(ses *session) error {
	e.mu.Lock()
	switch {
	case ses.users > 1:
		ses.users--
		fallthrough
	case e.session != ses || ses.users == 0: // its start failed, or it is Run's
		e.mu.Unlock()
		return nil
	}
	ses.users = -1 // nobody joins what ends
	e.mu.Unlock()
	defer e.dismiss(ses, false)
	return ses.end()
}

// catchUp follows the head.
func (e *Engine) catchUp(ctx context.Context, ses *session) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-ses.failed:
			cancel(ses.err)
		case <-ses.gone:
			cancel(fmt.Errorf("%w: what ran the projections has ended", ErrUnavailable))
		case <-ctx.Done():
		}
	}()
	defer func() {
		cancel(nil)
		<-watched
	}()
	head, err := e.store.Head(ctx)
	if err != nil {
		return err
	}
	target := head.Position
	for range maxRounds {
		if err := e.waitAll(ctx, target); err != nil {
			return err
		}
		next, err := e.caused(ctx, target)
		if err != nil || next == 0 {
			return err
		}
		target = next
	}
	return &LoopError{Rounds: maxRounds, Position: target}
}

// waitAll waits for all projections, and returns what kept any of them from getting there.
func (e *Engine) waitAll(ctx context.Context, pos event.Position) error {
	var all sync.WaitGroup
	errs := make([]error, len(e.supervisors))
	for i, s := range e.supervisors {
		all.Go(func() {
			errs[i] = s.settle(ctx, pos)
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errors.Join(errs...)
}

// settle waits for a position, and then for the end of a rebuild.
func (s *supervisor) settle(ctx context.Context, pos event.Position) error {
	if err := s.wait(ctx, pos, true); err != nil {
		return err
	}
	for {
		changed := s.changed.next()
		s.mu.Lock()
		g, rebuilding := s.plan.builds()
		s.mu.Unlock()
		if !rebuilding {
			return nil
		}
		if err := s.wished(ctx, g.Number); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// caused returns the position of the last event behind pos that another event has caused,
// 0 when there is none.
func (e *Engine) caused(ctx context.Context, pos event.Position) (last event.Position, err error) {
	for ev, err := range e.store.Events(ctx, store.Query{From: store.AtPosition(pos + 1)}) {
		if err != nil {
			return 0, err
		}
		if ev.Metadata.Get(event.CausationID) != "" {
			last = ev.Position
		}
	}
	return last, nil
}
