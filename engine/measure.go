package engine

import (
	"context"
	"errors"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/telemetry"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/worker"
)

const (
	// measureEvery is how often a running engine measures how far its projections are. One
	// that is idle, and whose worker is here, costs no read.
	measureEvery = 5 * time.Second
	// countRowsEvery is how often the events set aside are looked at for their age, as long
	// as their number stays the same.
	countRowsEvery = 30 * time.Second
	// countRowsMost bounds that look.
	countRowsMost = 10_000
	// sampleFor bounds how long a collection of metrics may measure.
	sampleFor = 200 * time.Millisecond
)

// measurement is how far the generation that is served was at some time.
type measurement struct {
	at         time.Time
	generation uint32
	here       bool                 // a worker of this engine has the lease
	info       store.SubscriberInfo // read from the store only when no worker of this engine has the lease
	position   event.Position       // the checkpoint
	covered    event.Position       // up to here nothing is left to do
	scanned    event.Position       // nothing between position and here concerns it, as a read has found
	head       event.Position
	first      event.Position // the first event that is not handled; 0 when none was found
	since      time.Time      // its time
	behind     time.Time      // since when it is behind; zero is not
	moved      time.Time      // last progress that anybody saw
	rows       rowCount
	rebuilding bool
	rebuilt    event.Position // checkpoint of the generation that is being built
}

// rowCount is what is set aside.
type rowCount struct {
	parked, waiting int
	oldest          time.Time // of the parked ones
	at              time.Time // of the count
}

func (m *measurement) backlog() uint64 {
	if m.head <= m.covered {
		return 0
	}
	return uint64(m.head - m.covered)
}

// lag is the age of the first event that is not handled.
func (m *measurement) lag(now time.Time) time.Duration {
	if m.backlog() == 0 || m.first <= m.covered {
		return 0
	}
	return max(now.Sub(m.since), 0)
}

// stuck is the time without progress while behind.
func (m *measurement) stuck(now time.Time) time.Duration {
	if m.backlog() == 0 || m.behind.IsZero() {
		return 0
	}
	from := m.behind
	if m.moved.After(from) {
		from = m.moved
	}
	return max(now.Sub(from), 0)
}

func (m *measurement) progress() float64 {
	if m.head == 0 {
		return 0
	}
	return min(float64(m.rebuilt)/float64(m.head), 1)
}

// measureAll measures all projections now and then.
func (e *Engine) measureAll(ctx context.Context) {
	tick := time.NewTicker(measureEvery)
	defer tick.Stop()
	for {
		for _, s := range e.supervisors {
			if _, err := s.measure(ctx); err != nil && ctx.Err() == nil && !hopeless(err) {
				s.logger.WarnContext(ctx, "cannot measure the projection", "error", err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// measure finds out how far the projection is: from its worker, or, when that is elsewhere
// or nowhere, from the store. It reads at most one page, under Limits.Examine.
func (s *supervisor) measure(ctx context.Context) (measurement, error) {
	s.measuring.Lock()
	defer s.measuring.Unlock()
	return s.measureLocked(ctx)
}

// measureLocked is measure for who has locked s.measuring.
func (s *supervisor) measureLocked(ctx context.Context) (measurement, error) {
	s.mu.Lock()
	old, p, planned := s.measured, s.plan, s.planned
	s.mu.Unlock()
	if !planned || !s.engine.runs() {
		row, err := s.store.Projection(ctx, s.name)
		if errors.Is(err, store.ErrNotFound) || err == nil && row.Deleted {
			row, err = store.ProjectionRow{Active: row.Next, Start: 1}, nil
		}
		if err != nil {
			return old, err
		}
		p = plan{row: row}
	}
	m := measurement{at: time.Now(), generation: p.row.Active}
	if err := s.measurePosition(ctx, &m, p.row); err != nil {
		return old, err
	}
	if g, ok := p.builds(); ok {
		m.rebuilding = true
		if err := s.measureRebuild(ctx, &m, g.Number); err != nil {
			return old, err
		}
	}
	if old.generation == m.generation && old.position <= m.position {
		m.scanned = old.scanned
		m.covered = max(m.covered, m.scanned)
		m.behind, m.first, m.since = old.behind, old.first, old.since
	}
	if err := s.findFirst(ctx, &m); err != nil {
		return old, err
	}
	switch {
	case m.backlog() == 0:
		m.behind = time.Time{}
	case m.behind.IsZero():
		m.behind = m.at
	}
	if err := s.countRows(ctx, &m, old.rows); err != nil {
		return old, err
	}
	s.mu.Lock()
	s.measured = m
	s.mu.Unlock()
	return m, nil
}

// status returns the status of this engine's worker of a generation, and whether it holds
// the lease.
func (s *supervisor) status(generation uint32) (st worker.Status, found, holds bool) {
	s.mu.Lock()
	t, ok := s.tasks[s.key(generation)]
	s.mu.Unlock()
	if !ok {
		return st, false, false
	}
	st = t.worker.Status()
	return st, true, st.Term != 0
}

func (s *supervisor) measurePosition(ctx context.Context, m *measurement, row store.ProjectionRow) error {
	st, _, holds := s.status(m.generation)
	m.here = holds
	if holds {
		m.position, m.covered, m.moved = st.Position, st.Covered, st.LastProgress
		m.rows = rowCount{parked: st.Parked, waiting: st.Waiting}
	} else {
		info, err := s.subscriber(m.generation).Info(ctx)
		if err != nil {
			return err
		}
		m.info, m.position, m.moved = info, info.Checkpoint, info.UpdatedAt
		if info.CreatedAt.IsZero() && row.Start > 0 {
			m.position = row.Start - 1
		}
		m.covered = m.position
		m.rows = rowCount{parked: -1}
	}
	head, err := s.store.Head(ctx)
	m.head = head.Position
	return err
}

// measureRebuild counts progress of a rebuild as progress of the projection.
func (s *supervisor) measureRebuild(ctx context.Context, m *measurement, generation uint32) error {
	if st, _, holds := s.status(generation); holds {
		m.rebuilt = st.Position
		if st.LastProgress.After(m.moved) {
			m.moved = st.LastProgress
		}
		return nil
	}
	info, err := s.subscriber(generation).Info(ctx)
	m.rebuilt = info.Checkpoint
	if info.UpdatedAt.After(m.moved) {
		m.moved = info.UpdatedAt
	}
	return err
}

// findFirst looks for the first event that is not handled.
func (s *supervisor) findFirst(ctx context.Context, m *measurement) error {
	if m.backlog() == 0 || m.first > m.covered {
		return nil
	}
	q := s.program.Query(m.covered + 1)
	q.To, q.Limit = store.AtPosition(m.head), 1
	page, err := s.store.Read(ctx, q)
	if err != nil {
		return err
	}
	m.first, m.since = 0, time.Time{}
	if len(page.Items) > 0 {
		m.first, m.since = page.Items[0].Position, page.Items[0].Time
		m.covered = max(m.covered, m.first-1)
	} else {
		m.covered = max(m.covered, page.Scanned)
	}
	if !m.here { // what a worker says of itself may be ahead for a moment
		m.scanned = m.covered
	}
	return nil
}

// countRows counts what is set aside; a worker knows the numbers, but not the age.
func (s *supervisor) countRows(ctx context.Context, m *measurement, old rowCount) error {
	known := m.rows
	switch {
	case known.parked == 0:
		m.rows.at = m.at
		return nil
	case known.parked == old.parked && m.at.Sub(old.at) < countRowsEvery:
		m.rows.oldest, m.rows.at = old.oldest, old.at
		return nil
	}
	count := rowCount{at: m.at}
	for row, err := range s.subscriber(m.generation).Rows(ctx, store.Range{Limit: countRowsMost}) {
		if err != nil {
			return err
		}
		switch row.State {
		case store.Waiting:
			count.waiting++
		case store.Parked:
			count.parked++
			if count.oldest.IsZero() || row.Since.Before(count.oldest) {
				count.oldest = row.Since
			}
		}
	}
	if known.parked > 0 { // the worker's numbers have no bound
		count.parked, count.waiting = known.parked, known.waiting
		if count.oldest.IsZero() { // it was parked a moment ago, and is not stored yet: look again
			count.oldest, count.at = m.at, time.Time{}
		}
	}
	m.rows = count
	return nil
}

// samples are what metrics are made of. A projection that keeps up, with its worker here,
// is read from memory; the others are measured, as many as the time allows, and else
// reported as they were.
func (e *Engine) samples() []telemetry.SubscriptionSample {
	ctx, cancel := context.WithTimeout(context.Background(), sampleFor)
	defer cancel()
	out := make([]telemetry.SubscriptionSample, 0, len(e.supervisors))
	for _, s := range e.supervisors {
		m, holds := s.latest()
		if (!holds || m.backlog() > 0) && s.measuring.TryLock() {
			if fresh, err := s.measureLocked(ctx); err == nil {
				m = fresh
			}
			s.measuring.Unlock()
		}
		if !m.at.IsZero() {
			out = append(out, s.sample(m))
		}
	}
	return out
}

func (s *supervisor) sample(m measurement) telemetry.SubscriptionSample {
	now := time.Now()
	state, _ := s.state()
	out := telemetry.SubscriptionSample{
		Name: s.name, State: string(state), Position: int64(m.position), Backlog: int64(m.backlog()),
		Lag: m.lag(now), ProgressAge: m.stuck(now), Parked: int64(max(m.rows.parked, 0)),
		Rebuilding: m.rebuilding, Rebuilt: m.progress(),
	}
	if !m.rows.oldest.IsZero() {
		out.ParkedAge = max(now.Sub(m.rows.oldest), 0)
	}
	return out
}

// latest is the last measurement, with what a worker of this engine that holds the lease
// knows better by now.
func (s *supervisor) latest() (m measurement, holds bool) {
	s.mu.Lock()
	m = s.measured
	active := s.plan.row.Active
	s.mu.Unlock()
	st, _, holds := s.status(active)
	if !holds || m.at.IsZero() || m.generation != active {
		return m, false
	}
	m.position, m.moved = st.Position, st.LastProgress
	m.covered = max(m.scanned, st.Covered)
	m.head = max(m.head, st.Covered+event.Position(st.Backlog))
	if m.rows.parked = st.Parked; st.Parked == 0 {
		m.rows.oldest = time.Time{}
	}
	return m, true
}
