package engine

import (
	"context"
	"errors"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/worker"
)

// Orphaned is the state of a projection that the store has and this engine does not.
const Orphaned worker.State = "orphaned"

// Status is what is known of a projection.
type Status struct {
	Projection string
	Kind       string // "model", "effect" or "sink"
	// State is what this engine's worker does; without one, what the store says. Standby means
	// that another engine works on it, or newer code has taken over: then Err says so.
	State worker.State
	// Subscriber is that of the generation that is served.
	Subscriber store.SubscriberInfo
	// Row is what the store keeps of the projection: its generations, start and skips.
	Row store.ProjectionRow

	Backlog uint64        // positions up to the head that may hold events for it
	Lag     time.Duration // age of the first event that is not handled; 0 when there is none
	Stuck   time.Duration // time without progress while behind; 0 when not behind

	Waiting     int // events set aside that are tried again
	Parked      int // events set aside until an operator decides
	ParkedSince time.Time

	// Rebuild is nil when no other generation is being built.
	Rebuild  *RebuildStatus
	Restarts uint64 // of workers that ended unasked, since the engine runs
	Err      error  // what is wrong now; nil when all is well
	_        struct{}
}

// RebuildStatus is how far a rebuild is.
type RebuildStatus struct {
	Generation uint32
	State      worker.State // as in Status
	Position   event.Position
	Progress   float64 // 0 to 1
	Err        error
	_          struct{}
}

// Status returns the state of all projections of the engine, in the order of the Config,
// and after them of those that the store has and the engine does not, by name. It reads
// the store; the engine need not run.
func (e *Engine) Status(ctx context.Context) ([]Status, error) {
	out := make([]Status, 0, len(e.supervisors))
	for _, s := range e.supervisors {
		st, err := s.fullStatus(ctx)
		if err != nil {
			return nil, err
		}
		out = append(out, st)
	}
	for row, err := range e.store.Projections(ctx) {
		if err != nil {
			return nil, err
		}
		if _, own := e.byName[row.Name]; own || row.Deleted {
			continue
		}
		st, err := e.orphan(ctx, row)
		if err != nil {
			return nil, err
		}
		out = append(out, st)
	}
	return out, nil
}

func (e *Engine) orphan(ctx context.Context, row store.ProjectionRow) (Status, error) {
	u := e.store.Subscriber(store.SubscriberKey{Projection: row.Name, Generation: row.Active})
	info, err := u.Info(ctx)
	if err != nil {
		return Status{}, err
	}
	st := Status{Projection: row.Name, Kind: row.Kind, State: Orphaned, Subscriber: info, Row: row}
	for r, err := range u.Rows(ctx, store.Range{Limit: countRowsMost}) {
		if err != nil {
			return Status{}, err
		}
		switch r.State {
		case store.Waiting:
			st.Waiting++
		case store.Parked:
			st.Parked++
			if st.ParkedSince.IsZero() || r.Since.Before(st.ParkedSince) {
				st.ParkedSince = r.Since
			}
		}
	}
	return st, nil
}

func (s *supervisor) fullStatus(ctx context.Context) (Status, error) {
	m, err := s.measure(ctx)
	if err != nil {
		return Status{}, err
	}
	row, err := s.store.Projection(ctx, s.name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return Status{}, err
	}
	info, err := s.subscriber(m.generation).Info(ctx)
	if err != nil {
		return Status{}, err
	}
	st := Status{
		Projection: s.name, Kind: s.program.Kind.String(), Subscriber: info, Row: row,
		Backlog: m.backlog(), Lag: m.lag(m.at), Stuck: m.stuck(m.at),
		Waiting: m.rows.waiting, Parked: m.rows.parked, ParkedSince: m.rows.oldest,
	}
	st.State, st.Err = s.state()
	if !s.engine.runs() {
		st.State, st.Err = stored(info), nil
	}
	s.mu.Lock()
	for _, k := range s.keepers {
		st.Restarts += k.restarts
	}
	s.mu.Unlock()
	st.Rebuild, err = s.rebuildStatus(ctx, row, m.head)
	return st, err
}

// rebuildStatus describes the generation that is being built, by this engine or another.
func (s *supervisor) rebuildStatus(ctx context.Context, row store.ProjectionRow, head event.Position) (*RebuildStatus, error) {
	for _, g := range row.Generations {
		if g.State != store.Building {
			continue
		}
		info, err := s.subscriber(g.Number).Info(ctx)
		if err != nil {
			return nil, err
		}
		r := &RebuildStatus{Generation: g.Number, State: stored(info), Position: info.Checkpoint}
		if ws, found, _ := s.status(g.Number); found {
			r.State, r.Err, r.Position = ws.State, ws.Err, max(ws.Position, info.Checkpoint)
		}
		if head > 0 {
			r.Progress = min(float64(r.Position)/float64(head), 1)
		}
		return r, nil
	}
	return nil, nil
}

// stored is the state that the store's records tell, when there is no worker here.
func stored(info store.SubscriberInfo) worker.State {
	switch {
	case info.Wish.Halted != "":
		return worker.Halted
	case info.Paused != "":
		return worker.Paused
	case !info.Worker.IsZero():
		return worker.Standby
	default:
		return worker.Stopped
	}
}

// state is what happens to the projection here, from memory.
func (s *supervisor) state() (worker.State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.plan.blocked != nil:
		return s.plan.blocked.State, s.plan.blocked
	case !s.planned:
		return worker.Stopped, s.trouble
	case s.plan.reset:
		return worker.Rebuilding, s.trouble
	}
	generation := s.plan.row.Active
	if g, ok := s.plan.builds(); ok && !s.plan.serves() {
		generation = g.Number
	}
	key := s.key(generation)
	if t, ok := s.tasks[key]; ok {
		st := t.worker.Status()
		if st.Err == nil {
			st.Err = s.trouble
		}
		return st.State, st.Err
	}
	if k, ok := s.keepers[key]; ok && k.err != nil {
		return worker.Starting, k.err // after a failure, it is started again soon
	}
	return worker.Starting, s.trouble
}

// runs says whether a session runs.
func (e *Engine) runs() bool {
	ses, _ := e.current()
	return ses != nil
}
