package worker

import (
	"cmp"
	"context"
	"errors"
	"math"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/store"
)

// failure is an event that could not be handled for a key.
type failure struct {
	key   string
	at    event.Position
	err   error
	first error // of the first of several tries
	tries int   // in this go; at least 1
	row   bool  // it was set aside already
	final bool  // park it, whatever the policies say
	gone  bool  // it is not in hand any more, and must be set aside
}

// fate is what becomes of a failure.
type fate uint8

const (
	aside   fate = iota + 1 // it is in a row, and its key waits
	passed                  // it is skipped, and its key goes on
	another                 // it stays in hand: a probe of an outage that is not over
)

// hold says whether an event that failed stays in hand, and waits until its next attempt.
// err is the cause when the wait was cut short: then the event is as if it had not been
// tried. It is called by the goroutine that handles the event.
func (s *session) hold(key string, at event.Position, tries int, failed error, single bool) (again bool, err error) {
	if err := s.interrupted(); err != nil {
		return false, err
	}
	if single || program.Judge(failed).Action != program.Again {
		return false, nil
	}
	pause, hold, more := s.program.Retry.Next(tries)
	if !more || !hold {
		return false, nil
	}
	s.rec.retried()
	s.log.retry(at, tries, failed, pause)
	return true, s.linger(pause)
}

// interrupted returns why no handler may start any more.
func (s *session) interrupted() error {
	select {
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	case <-s.stop:
		return errInterrupted
	case <-s.drain:
		return errInterrupted
	default:
		return nil
	}
}

// errInterrupted says that an event was left unhandled because the session ends.
var errInterrupted = errors.New("worker: interrupted")

// linger waits, unless the session ends.
func (s *session) linger(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.ctx.Done():
	case <-s.stop:
	case <-s.drain:
	}
	return s.interrupted()
}

// settle decides what becomes of an event whose handler failed, and puts it into the rows.
// A *haltError says that the projection must stop before it.
func (s *session) settle(f failure) (fate, error) {
	now := time.Now()
	verdict := program.Judge(f.err)
	row := s.rowOf(f, now)
	b := s.rows.keys[f.key]
	s.lastErr, s.errNew = f.err, true
	s.change(func(st *Status) { st.Attempt = row.Attempts + f.tries })
	switch {
	case f.final:
		row.Attempts += f.tries
		return s.setAside(row, store.Parked, f.err)
	case s.rebuilding && verdict.Action != program.Skip || verdict.Action == program.Halt || s.keyless(f.err):
		return 0, &haltError{f.err}
	case verdict.Action == program.Park:
		row.Attempts += f.tries
		return s.setAside(row, store.Parked, f.err)
	case verdict.Action == program.Skip:
		row.Attempts += f.tries
		return s.setAside(row, store.Skipped, f.err)
	}
	counts := verdict.Counts || b != nil && f.row && s.outage.counts(b, now)
	if !verdict.Counts && verdict.Action == program.Again && s.outage.failed(f.key, now) {
		s.log.Warn("everything fails, nothing is held against the events", "keys", outageKeys, "error", f.err.Error())
	}
	if !f.row && !f.gone && s.outage.on && len(s.rows.keys) >= maxBlockedKeys/2 {
		s.outage.postpone(now)
		return another, nil
	}
	return s.again(f, row, verdict, counts, now)
}

// keyless says whether an error means that nobody knows whom an event concerns: what shall
// wait behind it? The projection halts, unless it is told to park by streams.
func (s *session) keyless(err error) bool {
	_, ok := errors.AsType[*program.KeyError](err)
	return ok && !s.program.ParkUnkeyed
}

// again sets an event aside until it is due, or for good when its attempts are used up.
func (s *session) again(f failure, row store.Row, verdict program.Verdict, counts bool, now time.Time) (fate, error) {
	retry := s.program.Retry
	most := max(retry.Attempts, 1)
	switch {
	case counts:
		row.Attempts += f.tries
		if row.Attempts >= most {
			return s.usedUp(row, f.err)
		}
	case !f.row: // tried in hand, and nothing else has succeeded since
		row.Attempts = min(f.tries, most-1)
	}
	tries := f.tries
	if b := s.rows.keys[f.key]; b != nil && f.row {
		tries += b.tries
	}
	pause := verdict.After
	if verdict.Action == program.Again {
		pause = dueAfter(retry, tries)
	}
	row.State, row.Due = store.Waiting, now.Add(pause)
	if err := s.rows.put(row); err != nil {
		return 0, &haltError{err}
	}
	b := s.rows.keys[f.key]
	if !f.row {
		b.failedAt, b.successes = now, s.outage.successes.Load()
	}
	b.tries, b.inHand = tries, false
	s.log.retry(f.at, tries, f.err, pause)
	if s.outage.on && f.row {
		s.outage.postpone(now)
	}
	return aside, nil
}

// dueAfter is the pause after so many tries of an event that is out of hand.
func dueAfter(r program.Retry, tries int) time.Duration {
	r.Attempts = math.MaxInt
	for {
		pause, hold, _ := r.Next(tries)
		if !hold {
			return pause
		}
		tries++
	}
}

// usedUp does what the failure policy says.
func (s *session) usedUp(row store.Row, err error) (fate, error) {
	switch s.program.OnFailure {
	case program.FailSkip:
		return s.setAside(row, store.Skipped, err)
	case program.FailHalt:
		return 0, &haltError{err}
	default:
		return s.setAside(row, store.Parked, err)
	}
}

// setAside parks or skips an event. The commit that says so goes at once.
func (s *session) setAside(row store.Row, st store.RowState, err error) (fate, error) {
	row.State, row.Due = st, time.Time{}
	s.log.setAside(st.String(), row.Position, row.Attempts, err)
	s.commits.urgent = true
	if st == store.Skipped {
		s.rows.skip(row, time.Now())
		s.rec.skipped(1)
		return passed, nil
	}
	if err := s.rows.put(row); err != nil {
		return 0, &haltError{err}
	}
	s.rows.keys[row.Key].inHand = false
	return aside, nil
}

// rowOf returns the row of a failure with its errors; the attempts are those before it.
func (s *session) rowOf(f failure, now time.Time) store.Row {
	_, unkeyed := errors.AsType[*program.KeyError](f.err)
	row := store.Row{Key: f.key, Position: f.at, Since: now, Unkeyed: unkeyed}
	if b := s.rows.keys[f.key]; b != nil {
		if i, found := b.find(f.at); found {
			row = b.rows[i]
		}
	}
	row.Last, row.Updated = cut(f.err.Error()), now
	if row.First == "" {
		row.First = cut(cmp.Or(f.first, f.err).Error())
	}
	return row
}

// behind sets an event aside because an earlier one of its key is.
func (s *session) behind(key string, at event.Position) error {
	return s.follow(store.Row{Key: key, Position: at})
}

func (s *session) follow(row store.Row) error {
	key, at := row.Key, row.Position
	if s.rows.has(key, at) {
		return nil // a sink's target was behind the store
	}
	now := time.Now()
	row.State, row.Since, row.Updated = store.Waiting, now, now
	if err := s.rows.put(row); err != nil {
		return &haltError{err}
	}
	return nil
}

// handledRow takes the row of an event away that was handled after all.
func (s *session) handledRow(key string, at event.Position) {
	s.rows.remove(key, at, time.Now())
	s.unblocked(key)
}

// maxServed bounds how many events set aside are served before the next page.
const maxServed = 32

// serveRows gives the executor events set aside that are due; while everything fails, one
// event as a probe.
func (s *session) serveRows() (bool, error) {
	if s.outage.on {
		return s.probe()
	}
	served := false
	s.noRoom = false
	for range maxServed {
		if s.leaving != nil || s.outage.on {
			break
		}
		b, _ := s.rows.due(time.Now())
		if b == nil {
			break
		}
		took, err := s.offer(b)
		if err != nil || !took {
			s.noRoom = !took
			return served, err
		}
		served = true
	}
	return served, nil
}

// offer gives the first event of a blocked key to the executor.
func (s *session) offer(b *blocked) (bool, error) {
	if s.isSkipped(b.key, b.head().Position) {
		s.rows.skip(*b.head(), time.Now())
		s.unblocked(b.key)
		s.commits.urgent = true
		return true, nil
	}
	if s.careful.on() {
		if !s.exec.empty() {
			return false, nil
		}
		if err := s.takeInHand(b.head().Position); err != nil {
			return false, err
		}
	}
	return s.exec.offer(b)
}

// probe tries one event while everything fails: in turn one that was set aside, and a new
// one, so that a few poison events next to each other do not look like an outage for ever.
func (s *session) probe() (bool, error) {
	now := time.Now()
	if now.Before(s.outage.probe) || !s.exec.quiet() {
		return false, nil
	}
	s.outage.turn++
	if s.outage.turn%2 == 0 {
		if tried, err := s.probeNew(); tried || err != nil {
			return tried, err
		}
	}
	if b := s.rows.oldest(); b != nil {
		s.outage.postpone(now)
		return s.offer(b)
	}
	if tried, err := s.probeNew(); tried || err != nil {
		return tried, err
	}
	s.outage.postpone(now)
	return false, nil
}

// prober is an executor that can handle a single new event.
type prober interface {
	// probe handles the next event that it was fed, once; false says that there is none.
	probe() (bool, error)
}

func (s *session) probeNew() (bool, error) {
	if s.exec.empty() && s.exec.hungry() {
		p, ok := s.read.take()
		if !ok || p.err != nil {
			return false, p.err
		}
		s.exec.feed(p)
	}
	tried, err := s.exec.(prober).probe()
	if tried {
		s.outage.postpone(time.Now())
	}
	return tried, err
}
