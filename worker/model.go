package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/snapshot"
	"github.com/riffle-go/riffle/store"
)

// modelSlice is how long a model folds before the session looks around.
const modelSlice = 20 * time.Millisecond

// modelExecutor folds events into states, one after the other. The folds run in a goroutine
// that the session waits for, so that only one of the two is at work at any time.
type modelExecutor struct {
	*session
	states *snapshot.States
	span   *process

	events []event.Event // of the page in hand
	to     event.Position
	next   int      // of events
	keys   []string // of events[next], when known
	key    int      // of keys: the next one
	known  bool
	keyErr error // why they cannot be found; the stream's id stands for them

	tries  int   // at the present event and key
	first  error // of those
	broken error // a try that ended its goroutine
	wary   bool  // an encoding did so: each one gets a goroutine of its own

	at    event.Position
	units int // folded since the last commit
	since time.Time
	full  bool
	fault error
}

// readError is a failure of the store under a fold: not the event's fault.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

func newModelExecutor(s *session) *modelExecutor { return &modelExecutor{session: s} }

func (m *modelExecutor) open(at event.Position) (event.Position, error) {
	m.at = at
	p, key := m.program, m.config.Key
	states, err := snapshot.NewStates(snapshot.Config{
		Load: func(ctx context.Context, k string) (store.Snapshot, error) {
			sn, err := m.store.State(ctx, store.SnapshotKey{Projection: key.Projection, Generation: key.Generation, Key: k})
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				err = &readError{err}
			}
			return sn, err
		},
		Event: func(ctx context.Context, at event.Position) (event.Event, error) {
			ev, err := m.store.Event(ctx, at)
			if err != nil {
				err = &readError{err}
			}
			return ev, err
		},
		New: p.Model.New, Decode: p.Model.Decode, Encode: m.encode, Size: p.Model.Size, Fold: p.Model.Fold,
		Projection: key.Projection, Generation: key.Generation, Revision: p.Revision,
		PerStream: p.Model.PerStream, Limit: m.config.StateCache,
	})
	m.states = states
	return at, err
}

// encode keeps a panic or an exit of the codec and a state that is too large with their key.
func (m *modelExecutor) encode(state any) (data []byte, contentType string, err error) {
	run := func() {
		err = protect(func() error {
			data, contentType, err = m.program.Model.Encode(state)
			return err
		})
	}
	if !m.wary {
		run()
	} else if gone := apart(run); gone != nil {
		err = gone
	}
	if most := m.store.Limits().StateBytes; err == nil && len(data) > most {
		err = fmt.Errorf("worker: the state has %d bytes, at most %d are allowed (Limits.StateBytes); split it by more keys", len(data), most)
	}
	return data, contentType, err
}

func (m *modelExecutor) hungry() bool { return m.empty() }
func (m *modelExecutor) empty() bool  { return m.next >= len(m.events) }
func (m *modelExecutor) quiet() bool  { return true }

func (m *modelExecutor) woken() <-chan struct{}   { return nil }
func (m *modelExecutor) position() event.Position { return m.at }

func (m *modelExecutor) pending() pending {
	return pending{units: m.units, since: m.since, full: m.full}
}

func (m *modelExecutor) feed(p page) {
	m.events, m.to, m.next, m.known = p.events, p.to, 0, false
	if len(p.events) == 0 {
		m.at = max(m.at, p.to)
		return
	}
	_, m.span = m.rec.page(m.ctx, p.events)
}

// advance folds for a slice of time.
func (m *modelExecutor) advance() (bool, error) {
	if m.empty() || m.full || m.leaving != nil || m.outage.on {
		return false, nil
	}
	return true, m.run(func() error { return m.slice(time.Now().Add(modelSlice)) })
}

// run runs folds in a goroutine of their own, and again when one ended it.
func (m *modelExecutor) run(f func() error) error {
	for {
		m.fault = nil
		err := apart(func() { m.fault = f() })
		if err != nil {
			if !errors.Is(err, errGoexit) {
				return err
			}
			m.broken = err
			continue
		}
		if errors.Is(m.fault, errInterrupted) {
			return nil
		}
		return m.fault
	}
}

func (m *modelExecutor) slice(until time.Time) error {
	for n := 1; !m.empty(); n++ {
		if err := m.interrupted(); err != nil {
			return err
		}
		if n%8 == 0 && time.Now().After(until) || m.outage.on {
			return nil
		}
		if done, err := m.one(false); !done || err != nil {
			return err
		}
	}
	return nil
}

// one handles the next event for all its keys. It returns false when a commit must come
// first, or a probe failed.
func (m *modelExecutor) one(single bool) (bool, error) {
	ev := &m.events[m.next]
	if !m.known {
		if err := m.findKeys(ev); err != nil {
			return false, err
		}
	}
	if m.key == 0 {
		if m.full = m.isFull(); m.full {
			return false, nil
		}
	}
	for m.key < len(m.keys) {
		what, err := m.unit(m.keys[m.key], ev, single)
		if err != nil || what == another { // no commit may hold a part of the event
			if m.key > 0 {
				m.states.Unfold(ev.Position)
				m.key = 0
			}
			return false, err
		}
		m.key++
	}
	m.known = false
	m.next++
	m.at = ev.Position
	m.count()
	if m.empty() {
		m.at = max(m.at, m.to)
		m.span.end(len(m.events), nil)
	}
	return true, nil
}

// findKeys asks for the keys of an event. Without them nobody knows whom it concerns: the
// projection halts, or, when it is told so, the event counts as one of its stream's id.
func (m *modelExecutor) findKeys(ev *event.Event) error {
	var keys []string
	err := m.broken
	if m.broken = nil; err == nil {
		err = protect(func() (err error) {
			keys, err = m.program.Keys(*ev)
			return err
		})
	}
	m.keyErr = nil
	if err != nil {
		keys, m.keyErr = []string{ev.Stream.ID}, m.unkeyed(*ev, err)
	}
	m.keys, m.key, m.known, m.tries = keys, 0, true, 0
	return nil
}

// isFull says whether the next event might not fit into the commit.
func (m *modelExecutor) isFull() bool {
	if m.units == 0 {
		return false
	}
	limits := m.store.Limits()
	states, bytes := m.states.Changed()
	bytes += int64(len(m.rows.changed) * rowBytes)
	items := states + len(m.rows.changed) + len(m.keys)
	return items > limits.CommitItems || bytes >= int64(min(modelBytes, limits.CommitBytes/2)) ||
		bytes >= shortBytes && m.store.Appending() ||
		m.commits.batch > 0 && m.units >= m.commits.batch
}

// rowBytes is what a row takes in a commit, about; its errors may take more.
const rowBytes = 128

func (m *modelExecutor) count() {
	if m.units == 0 {
		m.since = time.Now()
	}
	m.units++
}

// unit handles an event for one key, with its tries in hand.
func (m *modelExecutor) unit(key string, ev *event.Event, single bool) (fate, error) {
	switch {
	case m.rows.blocks(key):
		return aside, m.follow(store.Row{Key: key, Position: ev.Position, Unkeyed: m.keyErr != nil})
	case m.isSkipped(key, ev.Position):
		m.passOver(key, ev.Position)
		return passed, nil
	case m.isKiller(ev.Position):
		return m.settle(failure{key: key, at: ev.Position, err: errKilled, tries: 1, final: true})
	}
	for {
		err := m.try(key, ev)
		if err == nil {
			m.tries = 0
			return 0, nil
		}
		if err := m.own(err); err != nil {
			return 0, err
		}
		if m.tries++; m.tries == 1 {
			m.first = err
		}
		again, stopped := m.hold(key, ev.Position, m.tries, err, single)
		if stopped != nil {
			return 0, stopped
		}
		if !again {
			f := failure{key: key, at: ev.Position, err: err, first: m.first, tries: m.tries}
			m.tries = 0
			return m.settle(f)
		}
	}
}

// try folds once.
func (m *modelExecutor) try(key string, ev *event.Event) (err error) {
	if err, m.broken = m.broken, nil; err != nil {
		return err
	}
	if m.keyErr != nil {
		return m.keyErr
	}
	err = protect(func() error { return m.states.Fold(m.ctx, key, *ev) })
	if err == nil {
		m.outage.succeeded()
	}
	return err
}

// own returns what of an error is the worker's own: that of the store, or of a fold in the
// wrong order. nil: the event is at fault.
func (m *modelExecutor) own(err error) error {
	if read, ok := errors.AsType[*readError](err); ok {
		return read.err
	}
	if errors.Is(err, snapshot.ErrFoldedBefore) {
		return &haltError{fmt.Errorf("worker: %w; rebuild the projection, and report this as a fault", err)}
	}
	if m.ctx.Err() != nil {
		return context.Cause(m.ctx)
	}
	return nil
}

// offer folds the first event of a blocked key once more.
func (m *modelExecutor) offer(b *blocked) (bool, error) {
	if m.full || m.leaving != nil {
		return false, nil
	}
	if m.full = m.isFull(); m.full {
		return false, nil
	}
	row := *b.head()
	ev, err := m.store.Event(m.ctx, row.Position)
	if err != nil {
		return false, err
	}
	m.rec.retried()
	tries, keyErr := m.tries, m.keyErr // of the event that the page stands at
	m.tries, m.keyErr = 0, nil
	err = m.run(func() error {
		err := m.again(&row, &ev)
		if err == nil {
			m.handledRow(b.key, row.Position)
			return nil
		}
		if own := m.own(err); own != nil {
			return own
		}
		_, err = m.settle(failure{key: b.key, at: row.Position, err: err, tries: 1, row: true})
		return err
	})
	m.tries, m.keyErr = tries, keyErr
	m.count()
	return true, err
}

// again folds an event that was set aside.
func (m *modelExecutor) again(row *store.Row, ev *event.Event) error {
	if m.broken != nil {
		if row.Unkeyed { // some of its keys may have it
			m.states.Unfold(ev.Position)
		}
		return m.try(row.Key, ev)
	}
	var keys []string
	err := protect(func() (err error) {
		keys, err = m.program.Keys(*ev)
		return err
	})
	switch {
	case err != nil:
		return m.unkeyed(*ev, err)
	case row.Unkeyed:
		return m.late(row.Key, keys, ev)
	case slices.Contains(keys, row.Key):
		return m.try(row.Key, ev)
	}
	return goneOn(keys)
}

// late folds an event whose keys are known at last, if none of them has gone on without it.
func (m *modelExecutor) late(row string, keys []string, ev *event.Event) (err error) {
	for _, key := range keys {
		if key != row && m.rows.blocks(key) {
			err = goneOn(keys)
		} else if err = m.try(key, ev); errors.Is(err, snapshot.ErrFoldedBefore) {
			err = goneOn(keys)
		}
		if err != nil {
			m.states.Unfold(ev.Position)
			return err
		}
	}
	return nil
}

func goneOn(keys []string) error {
	return fmt.Errorf("worker: the event belongs to keys that have gone on without it (%q); skip it, and rebuild the projection", keys)
}

// probe handles the next event once, while everything else fails.
func (m *modelExecutor) probe() (bool, error) {
	if m.empty() || m.full || m.leaving != nil {
		return false, nil
	}
	return true, m.run(func() error {
		_, err := m.one(true)
		return err
	})
}
