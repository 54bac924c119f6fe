package engine

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/handling"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/worker"
)

// WaitMode changes what Wait waits for.
type WaitMode uint8

// WaitThrough makes Wait wait while a changed model is rebuilt, instead of failing fast.
const WaitThrough WaitMode = 1

// lookAgain is how soon Wait looks again when a worker has ended and its successor is not
// there yet.
const lookAgain = 5 * time.Millisecond

// Wait returns nil when a projection has handled everything up to pos: read your writes.
// Events that failed and were set aside count as handled; the State of their key says
// Blocked.
//
// Before Run, Wait waits for it. It does not wait for what may never come: a *StateError
// (errors.Is ErrUnavailable) says at once that the projection is paused, halted, or stands
// by as older code; that Run has ended; or that the stored states are of another definition
// and being rebuilt, unless mode is WaitThrough. ErrUnknown when the engine has no such
// projection; projection.ErrWaitSelf in one of its own handlers; else the context's error.
func (e *Engine) Wait(ctx context.Context, p projection.Projection, pos event.Position, mode ...WaitMode) error {
	if isNil(p) {
		return &store.InvalidError{Field: "p", Reason: "is nil; pass the definition of the projection"}
	}
	s, err := e.lookup(p.Name())
	if err != nil {
		return err
	}
	if scope := handling.From(ctx); scope != nil && scope.Projection == s.name {
		return fmt.Errorf("engine: %w: %q", projection.ErrWaitSelf, s.name)
	}
	through := false
	for _, m := range mode {
		through = through || m == WaitThrough
	}
	return s.wait(ctx, pos, through)
}

func (s *supervisor) wait(ctx context.Context, pos event.Position, through bool) error {
	for {
		changed := s.changed.next()
		done, again, err := s.waitOnce(ctx, pos, through)
		if done || err != nil {
			return err
		}
		var look <-chan time.Time
		if again {
			look = time.After(lookAgain)
		}
		select {
		case <-changed:
		case <-look:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// outlook is what a waiter has to expect.
type outlook struct {
	running   bool // a session runs
	ended     bool // Run has ended, and nothing runs
	planned   bool
	blocked   *StateError
	replacing bool // the active generation is of another definition
	// generation is the one to wait for, and work its worker, or nil.
	generation uint32
	work       *task
}

func (s *supervisor) outlook() (o outlook) {
	ses, ended := s.engine.current()
	o.running, o.ended = ses != nil, ended && ses == nil
	s.mu.Lock()
	defer s.mu.Unlock()
	o.planned = s.planned
	if !s.planned {
		return o
	}
	o.blocked, o.replacing = s.plan.blocked, !s.plan.serves()
	o.generation = s.plan.row.Active
	if g, ok := s.plan.builds(); ok && o.replacing {
		o.generation = g.Number
	}
	o.work = s.tasks[s.key(o.generation)]
	return o
}

// waitOnce answers with done or an error. Else it is to be asked again after a change, and,
// with again, after a short while without one.
func (s *supervisor) waitOnce(ctx context.Context, pos event.Position, through bool) (done, again bool, err error) {
	if ctx.Err() != nil {
		return false, false, context.Cause(ctx)
	}
	if done, err := s.reached(ctx, pos); done || err != nil {
		return done, false, err
	}
	o := s.outlook()
	switch {
	case o.ended:
		return false, false, &StateError{Projection: s.name, State: worker.Stopped, Reason: "Run has ended"}
	case !o.running || !o.planned:
		return false, false, nil
	case o.blocked != nil:
		return false, false, o.blocked
	case o.replacing && !through:
		// a wish counts before its worker has come to obey it
		return false, false, cmp.Or(s.wished(ctx, o.generation), s.rebuildingError(o))
	case o.work == nil: // one is started soon, unless an operator wished otherwise
		return false, false, s.wished(ctx, o.generation)
	}
	err = o.work.worker.Wait(ctx, pos)
	switch {
	case err == nil:
		return !o.replacing, true, nil // what was rebuilt has to become active too
	case ctx.Err() != nil:
		return false, false, context.Cause(ctx)
	case hopeless(err):
		return false, false, err
	}
	// Its worker ended, and the next one comes; or it rests, perhaps by a wish that has just
	// been taken back.
	return false, true, s.wished(ctx, o.generation)
}

// wished returns a *StateError when a generation is paused or halted by a stored wish.
func (s *supervisor) wished(ctx context.Context, generation uint32) error {
	wish, err := s.subscriber(generation).Wish(ctx)
	switch {
	case err != nil:
		return err
	case wish.Halted != "":
		return &StateError{Projection: s.name, State: worker.Halted, Reason: wish.Halted}
	case wish.Paused != "":
		return &StateError{Projection: s.name, State: worker.Paused, Reason: wish.Paused}
	}
	return nil
}

func (s *supervisor) rebuildingError(o outlook) error {
	e := &StateError{Projection: s.name, State: worker.Rebuilding, Reason: "what is stored was built by another definition"}
	if o.work == nil {
		return e
	}
	st := o.work.worker.Status()
	e.Reason += fmt.Sprintf(", the new ones are at position %d of %d", st.Position, uint64(st.Covered)+st.Backlog)
	return e
}

// reached says whether the active generation is at pos and may be read by this program.
func (s *supervisor) reached(ctx context.Context, pos event.Position) (bool, error) {
	s.mu.Lock()
	planned, serves, active := s.planned, s.plan.serves(), s.plan.row.Active
	t := s.tasks[s.key(active)]
	s.mu.Unlock()
	switch {
	case planned && !serves:
		return false, nil
	case !planned && pos > 0:
		return false, nil
	case pos == 0:
		return true, nil
	}
	if t != nil {
		if st := t.worker.Status(); st.Term != 0 {
			return st.Position >= pos, nil
		}
	}
	info, err := s.subscriber(active).Info(ctx)
	return err == nil && info.Checkpoint >= pos, err
}
