package worker

import (
	"context"
	"slices"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// waiter is a call of Wait.
type waiter struct {
	position event.Position
	done     chan error // of capacity 1
}

type waiters []*waiter

// least returns the lowest position that somebody waits for; 0 is nobody.
func (ws waiters) least() (p event.Position) {
	for _, w := range ws {
		if p == 0 || w.position < p {
			p = w.position
		}
	}
	return p
}

// standbyPoll is how often Wait looks at what another worker committed.
const standbyPoll = 25 * time.Millisecond

// Wait returns nil when everything up to pos is handled, or set aside, and committed. It
// hurries the worker: a commit that it depends on is made at once. While the worker stands
// by, Wait looks at what the holder of the lease commits. A worker that has not started yet
// is waited for. Errors: the context's; *StateError (errors.Is ErrUnavailable) as soon as
// the worker is paused or halted or has ended. A handler must not wait for its own
// projection: package engine refuses that.
func (w *Worker) Wait(ctx context.Context, pos event.Position) error {
	wt := &waiter{position: pos, done: make(chan error, 1)}
	if ready, err := w.enlist(wt); ready || err != nil {
		return err
	}
	defer w.forget(wt)
	w.Nudge()
	look := time.NewTicker(standbyPoll)
	defer look.Stop()
	for {
		select {
		case err := <-wt.done:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-look.C:
			ready, err := w.reachedByOther(ctx, pos)
			if ready || err != nil {
				return err
			}
		}
	}
}

// enlist adds a waiter unless its answer is known.
func (w *Worker) enlist(wt *waiter) (ready bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	st := w.status
	switch {
	case st.Position >= wt.position && st.State.inWork():
		return true, nil
	case st.State == Paused || st.State == Halted || w.over:
		return false, &StateError{Key: st.Key, State: st.State, Err: st.Err}
	}
	w.waiters = append(w.waiters, wt)
	return false, nil
}

func (w *Worker) forget(wt *waiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiters = slices.DeleteFunc(w.waiters, func(x *waiter) bool { return x == wt })
}

// reachedByOther says, while the worker stands by, whether the holder's checkpoint is there,
// or nothing between it and pos concerns the projection.
func (w *Worker) reachedByOther(ctx context.Context, pos event.Position) (bool, error) {
	if w.Status().State != Standby {
		return false, nil
	}
	info, err := w.subscriber.Info(ctx)
	if err != nil {
		return false, err
	}
	if info.Checkpoint >= pos {
		return true, nil
	}
	from := info.Checkpoint + 1
	if info.CreatedAt.IsZero() {
		from = w.config.From
	}
	if from > pos {
		return true, nil
	}
	q := w.config.Program.Query(from)
	q.To, q.Limit = store.AtPosition(pos), 1
	page, err := w.store.Read(ctx, q)
	if err != nil {
		return false, err
	}
	return len(page.Items) == 0 && page.Scanned >= pos, nil
}

// wanted returns the lowest position that somebody waits for; 0 is nobody.
func (w *Worker) wanted() event.Position {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.waiters.least()
}

// beyond says whether somebody waits for what lies behind a position.
func (w *Worker) beyond(p event.Position) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.waiters, func(x *waiter) bool { return x.position > p })
}

// reached answers those who waited for up to p.
func (w *Worker) reached(p event.Position) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiters = slices.DeleteFunc(w.waiters, func(x *waiter) bool {
		if x.position > p {
			return false
		}
		x.done <- nil
		return true
	})
}

// failWaiters answers everybody: the worker will not get there.
func (w *Worker) failWaiters(st State, cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := &StateError{Key: w.config.Key, State: st, Err: cause}
	for _, x := range w.waiters {
		x.done <- err
	}
	w.waiters = nil
}
