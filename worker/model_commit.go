package worker

import (
	"errors"
	"fmt"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/snapshot"
	"github.com/riffle-go/riffle/store"
)

// fill encodes the changed states. A state that cannot be encoded is put back to before the
// event that made it so, and that event is set aside.
func (m *modelExecutor) fill(c *store.Commit) error {
	for {
		var cut snapshot.Cut
		err := m.encoding(func() (err error) {
			cut, err = m.states.Cut(m.ctx)
			return err
		})
		if bad, ok := errors.AsType[*snapshot.EncodeError](err); ok {
			if err := m.encoding(func() error { return m.unencodable(bad) }); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return m.unread(err)
		}
		if err := m.fits(cut); err != nil {
			return err
		}
		c.Save, c.Remove = cut.Save, cut.Remove
		m.units, m.full = 0, false
		return nil
	}
}

// encoding runs what encodes states. When one ended the goroutine, nobody knows which: f runs
// again, with a goroutine for each encoding.
func (m *modelExecutor) encoding(f func() error) error {
	return m.run(func() error {
		if err := m.broken; err != nil {
			m.broken = nil
			if m.wary { // a fold did it that had succeeded before
				return err
			}
			m.wary = true
		}
		return f()
	})
}

// unread takes the error of the store out of a readError.
func (m *modelExecutor) unread(err error) error {
	if read, ok := errors.AsType[*readError](err); ok {
		return read.err
	}
	return err
}

// unencodable sets aside the event after which a state could not be encoded, and behind it
// those that came later.
func (m *modelExecutor) unencodable(bad *snapshot.EncodeError) error {
	found, err := m.states.Settle(m.ctx, bad.Key)
	if err != nil {
		return m.unread(err)
	}
	if found.Culprit == 0 {
		return fmt.Errorf("worker: %w, and then it could; encoding must depend on the state alone", bad)
	}
	what, err := m.settle(failure{key: bad.Key, at: found.Culprit, err: found.Err, tries: 1, gone: true})
	if err != nil {
		return err
	}
	return m.replay(bad.Key, found.Behind, what)
}

// replay brings the events behind a culprit where they belong: behind it in the rows, or,
// when it is skipped, into the state.
func (m *modelExecutor) replay(key string, behind []event.Position, culprit fate) error {
	for i, at := range behind {
		if culprit != passed || m.rows.blocks(key) {
			if err := m.behind(key, at); err != nil {
				return err
			}
			continue
		}
		ev, err := m.store.Event(m.ctx, at)
		if err != nil {
			return err
		}
		err = m.try(key, &ev)
		if err == nil {
			continue
		}
		if own := m.own(err); own != nil {
			return own
		}
		if culprit, err = m.settle(failure{key: key, at: behind[i], err: err, tries: 1, gone: true}); err != nil {
			return err
		}
	}
	return nil
}

// fits says whether what was cut can be committed at once. If not, everything since the last
// commit is dropped, and done again in smaller commits.
func (m *modelExecutor) fits(cut snapshot.Cut) error {
	limits := m.store.Limits()
	items, bytes := cut.Items()+len(m.rows.changed), cut.Bytes+len(m.rows.changed)*rowBytes
	const frame = 64 // what a record adds to key and state
	bytes += cut.Items() * frame
	if items <= limits.CommitItems && bytes <= limits.CommitBytes {
		return nil
	}
	if m.units <= 1 {
		return &haltError{fmt.Errorf("worker: the event at position %d changes %d states with %d bytes, a commit carries at most %d with %d (Limits); it has too many keys or too large states",
			m.at, items, bytes, limits.CommitItems, limits.CommitBytes)}
	}
	m.commits.batch = max(m.units/4, 1)
	m.log.Warn("states are too large for one commit, going on with smaller ones", "events", m.commits.batch)
	return errSmaller
}

func (m *modelExecutor) committed(*store.Commit, store.Result) {
	m.states.Committed()
}

// refused ends the session: nothing in memory is what the store has.
func (m *modelExecutor) refused(_ *store.Commit, err error) error { return err }

func (m *modelExecutor) close() {
	m.states.Reset()
	if m.span != nil {
		m.span.end(m.next, m.ctx.Err())
	}
}
