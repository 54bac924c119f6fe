package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/worker"
)

// Pause stops a projection until it is resumed: its worker finishes the event in hand,
// commits and releases its lease. The wish is stored with its reason, so it holds for every
// engine and survives restarts. Pause does not wait for the worker. The engine need not run.
//
// ErrUnknown when the engine has no such projection; ErrInvalid without a reason.
func (e *Engine) Pause(ctx context.Context, name, reason string) error {
	if reason == "" {
		return &store.InvalidError{Field: "reason", Reason: "is empty; say why, for whoever finds it paused"}
	}
	return e.wish(ctx, name, func(w *store.Wish) bool {
		changed := w.Paused != reason
		w.Paused = reason
		return changed
	})
}

// Resume lets a projection go on that was paused or has halted. It does not wait for the
// worker. The engine need not run. ErrUnknown when the engine has no such projection.
func (e *Engine) Resume(ctx context.Context, name string) error {
	return e.wish(ctx, name, func(w *store.Wish) bool {
		changed := w.Paused != "" || w.Halted != ""
		w.Paused, w.Halted = "", ""
		return changed
	})
}

// wish changes the stored wish of all generations that workers may work on. The workers of
// this process hear of it at once.
func (e *Engine) wish(ctx context.Context, name string, change func(*store.Wish) bool) error {
	s, err := e.lookup(name)
	if err != nil {
		return err
	}
	numbers, err := s.generations(ctx)
	if err != nil {
		return err
	}
	for _, n := range numbers {
		u := s.subscriber(n)
		w, err := u.Wish(ctx)
		if err != nil {
			return err
		}
		if change(&w) {
			if err := u.SetWish(ctx, func(w *store.Wish) error { change(w); return nil }); err != nil {
				return err
			}
		}
	}
	s.changed.fire()
	return nil
}

// holder returns this engine's worker of a generation if it holds the lease.
func (s *supervisor) holder(generation uint32) *worker.Worker {
	s.mu.Lock()
	t, ok := s.tasks[s.key(generation)]
	s.mu.Unlock()
	if !ok || t.worker.Status().Term == 0 {
		return nil
	}
	return t.worker
}

// Retry makes the set-aside events of a key due now; "" is those of all keys. Whoever holds
// the lease tries them again, in order; Retry runs no handler and does not wait. The engine
// need not run. ErrUnknown when the engine has no such projection.
func (e *Engine) Retry(ctx context.Context, name, key string) error {
	s, err := e.lookup(name)
	if err != nil {
		return err
	}
	if key != "" {
		if err := program.CheckKey(key); err != nil {
			return err
		}
	}
	numbers, err := s.generations(ctx)
	if err != nil {
		return err
	}
	for _, n := range numbers {
		err := s.subscriber(n).SetWish(ctx, func(w *store.Wish) error {
			if !slices.Contains(w.Retry, key) {
				w.Retry = append(w.Retry, key)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Skip decides that an event is never handled for a key, in no later generation either: one
// that was set aside, whose followers then go on, or one still to come, such as the one that
// halted the projection. It is durable when Skip returns. A rebuild that is under way and has
// handled the event already keeps what came of it: rebuild once more after such a Skip.
//
// ErrNotFound when the event was handled already; ErrInvalid for position 0; ErrUnknown when
// the engine has no such projection, or it has never run. When a worker of another engine
// holds the lease, it is asked to drain first.
func (e *Engine) Skip(ctx context.Context, name, key string, position event.Position) error {
	s, err := e.lookup(name)
	if err != nil {
		return err
	}
	if position == 0 {
		return &store.InvalidError{Field: "position", Reason: "is 0; name the event that was set aside"}
	}
	if err := program.CheckKey(key); err != nil {
		return err
	}
	row, err := s.known(ctx)
	if err != nil {
		return err
	}
	if w := s.holder(row.Active); w != nil {
		if err := w.Skip(ctx, key, position); !errors.Is(err, worker.ErrUnavailable) {
			return err
		}
	}
	return s.exclusively(ctx, row.Active, func(ctx context.Context, lease *store.Lease) error {
		return s.skip(ctx, lease, key, position)
	})
}

// skip does what a worker would do, without one. First the row of the projection, then that
// of the event: after a crash in between, a later generation leaves out an event that this
// one still has, and Skip can be called again.
func (s *supervisor) skip(ctx context.Context, lease *store.Lease, key string, position event.Position) error {
	var found *store.Row
	for row, err := range s.subscriber(lease.Key().Generation).KeyRows(ctx, key) {
		if err != nil {
			return err
		}
		if row.Position == position {
			found = &row
			break
		}
	}
	if found == nil && position <= lease.Checkpoint() {
		return fmt.Errorf("%w: %q has handled the event at position %d of key %q already", store.ErrNotFound, s.name, position, key)
	}
	skip := store.Skip{Key: key, Position: position}
	_, err := s.update(ctx, func(row *store.ProjectionRow) (bool, error) {
		if slices.Contains(row.Skips, skip) {
			return false, nil
		}
		row.Skips = append(slices.Clone(row.Skips), skip)
		return true, nil
	})
	if err != nil || found == nil || found.State == store.Skipped {
		return err
	}
	found.State, found.Due, found.Updated = store.Skipped, time.Time{}, time.Now()
	at := lease.Checkpoint()
	_, err = lease.Commit(ctx, store.Commit{From: at, To: at, Rows: []store.Row{*found}, InHand: lease.InHand()})
	return err
}

// ReleaseLease ends the lease of a projection, whoever holds it, also a worker that has
// frozen: the next one gets in at once, and the former one can commit nothing more. Its
// handler may still act on the world until it notices. The engine need not run. ErrUnknown
// when the engine has no such projection.
func (e *Engine) ReleaseLease(ctx context.Context, name string) error {
	s, err := e.lookup(name)
	if err != nil {
		return err
	}
	numbers, err := s.generations(ctx)
	if err != nil {
		return err
	}
	for _, n := range numbers {
		if err := s.subscriber(n).ReleaseLease(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Rewind makes an effect or a sink go back to a point and handle again what follows; set-aside
// events behind that point are forgotten. Its worker drains first, and Rewind returns when
// the new checkpoint is durable. The engine need not run.
//
// An effect must allow it by Options.Repeat, since everything it did happens again; a sink
// needs a target that can be reset: else ErrInvalid. A model answers projection.ErrUseRebuild.
// A point beyond what is handled is ErrInvalid. ErrUnknown when the engine has no such
// projection, or it has never run.
func (e *Engine) Rewind(ctx context.Context, name string, to store.Point) error {
	s, err := e.lookup(name)
	if err != nil {
		return err
	}
	switch p := s.program; {
	case p.Kind == program.Model:
		return fmt.Errorf("engine: projection %q: %w", name, projection.ErrUseRebuild)
	case p.Kind == program.Effect && !p.Repeat:
		return &store.InvalidError{Field: "name", Reason: fmt.Sprintf("%q is an effect without Options.Repeat; set it if everything the effect does may happen again", name)}
	case p.Kind == program.Sink && p.Sink.Resetter() == nil:
		return &store.InvalidError{Field: "name", Reason: fmt.Sprintf("%q is a sink whose target has no Reset; give it one that removes what it wrote", name)}
	}
	position, err := s.store.ResolveFrom(ctx, to)
	if err != nil {
		return err
	}
	s.logger.WarnContext(ctx, "rewinding", "to", position)
	return s.goBack(ctx, position)
}

// Rebuild builds a model anew, beside the running one, which is read until the new one has
// caught up; then they are switched in one step and the old one is deleted 10 minutes
// later. Rebuild returns when that is decided, durably: an engine that runs begins at once,
// another one when it runs. Status tells the progress, and a restart goes on with it.
//
// A sink is set back to its start instead, which needs a target that can be reset. An effect
// is ErrInvalid: see Rewind. A rebuild under way is a *StateError, unless it has halted: then
// another one takes its place. ErrUnknown when the engine has no such projection, or it has
// never run.
func (e *Engine) Rebuild(ctx context.Context, name string) error {
	s, err := e.lookup(name)
	if err != nil {
		return err
	}
	switch p := s.program; {
	case p.Kind == program.Effect:
		return &store.InvalidError{Field: "name", Reason: fmt.Sprintf("%q is an effect, which has nothing to rebuild; Rewind makes it act again", name)}
	case p.Kind == program.Sink && p.Sink.Resetter() == nil:
		return &store.InvalidError{Field: "name", Reason: fmt.Sprintf("%q is a sink whose target has no Reset; give it one that removes what it wrote", name)}
	}
	row, err := s.known(ctx)
	if err != nil {
		return err
	}
	if s.program.Kind == program.Sink {
		s.logger.WarnContext(ctx, "rebuilding from the start", "from", row.Start)
		return s.goBack(ctx, row.Start)
	}
	if err := s.rebuild(ctx); err != nil {
		return err
	}
	s.logger.WarnContext(ctx, "rebuilding beside the running model")
	return nil
}

// rebuild adds a generation to build to the row.
func (s *supervisor) rebuild(ctx context.Context) error {
	var begun decision
	row, err := s.update(ctx, func(row *store.ProjectionRow) (bool, error) {
		for _, g := range row.Generations {
			if g.Revision > s.identity.revision {
				return false, &StateError{Projection: s.name, State: worker.Standby, Reason: fmt.Sprintf("this program has revision %d, the store has %d already", s.identity.revision, g.Revision)}
			}
			if g.State != store.Building || identityOf(g) != s.identity {
				continue
			}
			wish, err := s.subscriber(g.Number).Wish(ctx)
			if err != nil {
				return false, err
			}
			if wish.Halted == "" {
				return false, &StateError{Projection: s.name, State: worker.Rebuilding, Reason: fmt.Sprintf("generation %d is being built already", g.Number)}
			}
		}
		begun = decision{plan: plan{row: *row, roles: map[uint32]role{}}}
		begun.begin(s.identity, time.Now())
		*row = begun.row
		return true, nil
	})
	if err != nil {
		return err
	}
	s.inheritPause(ctx, begun)
	return s.follow(ctx, row.Revision)
}

// follow returns when a supervisor that is at work has seen a revision of the row, so that
// whoever waits next does not get an answer of the time before.
func (s *supervisor) follow(ctx context.Context, revision uint64) error {
	s.poke()
	for {
		changed := s.changed.next()
		s.mu.Lock()
		seen := s.planned && s.plan.row.Revision >= revision || s.trouble != nil
		s.mu.Unlock()
		if seen || s.engine.working() == nil {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Delete forgets a projection that no engine runs any more: its row, its checkpoints, its
// states and what was set aside. A projection of this engine is ErrRunning; ErrNotFound
// when the store knows none of that name. After an error it can be called again.
func (e *Engine) Delete(ctx context.Context, name string) error {
	if _, ok := e.byName[name]; ok {
		return fmt.Errorf("%w: %q is a projection of this engine; take it out of the Config first", ErrRunning, name)
	}
	row, err := e.store.Projection(ctx, name)
	if err != nil {
		return err
	}
	return deleteProjection(ctx, e.store, row)
}

// deleteProjection removes a projection. The row goes first but for its numbers, so that
// nobody reads what is half gone.
func deleteProjection(ctx context.Context, st *store.Store, row store.ProjectionRow) error {
	if err := st.DeleteProjection(ctx, row.Name); err != nil {
		return err
	}
	for n := range row.Next {
		if err := deleteGeneration(ctx, st, row.Name, n); err != nil {
			return err
		}
	}
	return st.DeleteSnapshots(ctx, row.Name)
}

// deleteGeneration removes the subscriber of a generation and then its states: a worker of it,
// in whatever engine, writes no more of them from then on.
func deleteGeneration(ctx context.Context, st *store.Store, name string, n uint32) error {
	if err := st.Subscriber(store.SubscriberKey{Projection: name, Generation: n}).Delete(ctx); err != nil {
		return fmt.Errorf("subscriber of generation %d: %w", n, err)
	}
	if err := st.DeleteStates(ctx, name, n); err != nil {
		return fmt.Errorf("states of generation %d: %w", n, err)
	}
	return nil
}
