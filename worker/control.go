package worker

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// attend obeys what is asked of the worker from outside.
func (s *session) attend() error {
	if s.draining() {
		s.leave(errFinished)
	}
	if s.ended() {
		s.leave(errFinished)
	}
	nudged := s.lookNow
	select {
	case <-s.nudge: // who has much to do does not doze
		nudged = true
	default:
	}
	s.lookNow = false
	if s.leaving != nil {
		return nil
	}
	if nudged || time.Since(s.wishAt) >= s.config.LeaseTTL/3 && s.looksForWishes() {
		if err := s.obey(); err != nil {
			return err
		}
	}
	if !nudged {
		return nil
	}
	if s.beyond(s.read.at) {
		s.read.rescan()
	}
	s.requests = append(s.requests, s.takeRequests()...)
	return s.answerRequests()
}

// ended says that Until is reached and committed.
func (s *session) ended() bool {
	return s.config.Until > 0 && min(s.commits.checkpoint, s.exec.position()) >= s.config.Until
}

// asleep says that nothing is going on: the worker must not read the store for nothing.
func (s *session) asleep() bool { return s.read.asleep() && s.exec.empty() }

// looksForWishes says whether to read the wish from time to time. One that is made in this
// process nudges the worker; a look now and then is for those of others, and costs a worker
// that has something to do anyway nothing worth mentioning.
func (s *session) looksForWishes() bool { return s.shared || !s.asleep() }

// obey reads the stored wish and acts on it.
func (s *session) obey() error {
	wish, err := s.subscriber.Wish(s.ctx)
	if err != nil {
		return err
	}
	s.wishAt = time.Now()
	switch {
	case wish.Paused != "" || wish.Halted != "",
		!wish.Drain.IsZero() && wish.Drain != s.config.Worker:
		s.leave(errStandDown)
		return nil
	case len(wish.Retry) == 0:
		return nil
	}
	for _, key := range wish.Retry {
		if !s.commits.retries(key) {
			s.rows.retry(key, s.wishAt)
			s.commits.retry = append(s.commits.retry, key)
			s.commits.urgent = true
		}
	}
	return nil
}

// retried takes wishes back that a commit has made come true.
func (s *session) retried(keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	return s.subscriber.SetWish(s.ctx, func(w *store.Wish) error {
		w.Retry = slices.DeleteFunc(w.Retry, func(key string) bool { return slices.Contains(keys, key) })
		return nil
	})
}

// answerRequests skips events for operators. What is in a handler's hands now is asked for
// again later.
func (s *session) answerRequests() error {
	now := time.Now()
	later := s.requests[:0]
	for _, r := range s.requests {
		b := s.rows.keys[r.row.Key]
		switch {
		case b != nil && b.inHand && b.head().Position == r.row.Position:
			later = append(later, r)
			continue
		case !s.rows.has(r.row.Key, r.row.Position) && r.row.Position <= s.exec.position():
			r.answer <- notSetAside(r.row)
			continue
		}
		if err := s.keepSkip(s.ctx, r.row); err != nil {
			r.answer <- err
			if s.ctx.Err() != nil {
				return context.Cause(s.ctx)
			}
			continue
		}
		if !s.rows.has(r.row.Key, r.row.Position) {
			r.answer <- nil // it will be passed over when it comes
			continue
		}
		i, _ := s.rows.keys[r.row.Key].find(r.row.Position)
		s.rows.skip(s.rows.keys[r.row.Key].rows[i], now)
		s.unblocked(r.row.Key)
		s.rec.skipped(1)
		s.commits.answer = append(s.commits.answer, r.answer)
	}
	s.requests = later
	return nil
}

// doze waits until there is something to do.
func (s *session) doze() error {
	var drain <-chan struct{}
	if s.leaving == nil {
		drain = s.drain
	}
	var timer <-chan time.Time
	if at := s.alarm(); !at.IsZero() {
		t := time.NewTimer(time.Until(at))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	case <-drain:
	case <-s.nudge:
		s.lookNow = true
	case p := <-s.read.arrived:
		s.read.got(p)
	case out := <-s.commits.flight():
		if err := s.commits.landed(out); err != nil {
			return s.failed(err)
		}
	case <-s.exec.woken():
	case <-timer:
	}
	return nil
}

// alarm returns when there will be something to do even if nothing happens; the zero time
// is never.
func (s *session) alarm() (at time.Time) {
	soonest := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	soonest(s.commits.due())
	if s.leaving != nil {
		return at
	}
	if len(s.requests) > 0 {
		soonest(time.Now().Add(10 * time.Millisecond))
		s.lookNow = true
	}
	switch _, next := s.rows.due(time.Time{}); {
	case s.outage.on && s.exec.quiet():
		soonest(s.outage.probe)
	case !s.outage.on && !s.noRoom:
		soonest(next)
	}
	if s.pauseUntil.After(time.Now()) {
		soonest(s.pauseUntil)
	}
	if s.commits.mayAsk() {
		soonest(s.askAt)
	}
	if s.looksForWishes() {
		soonest(s.wishAt.Add(s.config.LeaseTTL / 3))
	}
	return at
}

// haltError ends a session because an event must not be passed over.
type haltError struct{ err error }

func (e *haltError) Error() string { return e.err.Error() }
func (e *haltError) Unwrap() error { return e.err }

// maxReason bounds what is stored of an error.
const maxReason = 4 << 10

func haltText(err error) string { return cut(err.Error()) }

// cut makes a text fit for a row, valid UTF-8 and not too long.
func cut(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), maxReason)], "")
}

// storeHalt makes the halt survive a restart.
func (s *session) storeHalt(why error) error {
	s.halt = why
	reason := haltText(why)
	if reason == "" {
		reason = "an error without a text"
	}
	err := s.subscriber.SetWish(s.ctx, func(w *store.Wish) error {
		if w.Halted == "" {
			w.Halted = reason
		}
		return nil
	})
	if err != nil {
		return errors.Join(why, err)
	}
	return errStandDown
}

func isCanceled(err error) bool { return errors.Is(err, context.Canceled) }

// unblocked tells the executor that a key is no longer blocked, if that is so.
func (s *session) unblocked(key string) {
	if f, ok := s.exec.(interface{ freed(key string) }); ok && !s.rows.blocks(key) {
		f.freed(key)
	}
}

// isSkipped says whether an event is to be passed over for a key.
func (s *session) isSkipped(key string, at event.Position) bool { return s.skips.has(key, at) }
