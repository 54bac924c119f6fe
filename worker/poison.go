package worker

import (
	"context"
	"errors"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

const (
	// carefulAfter is how many processes must have died at one checkpoint before events are taken
	// in hand one by one.
	carefulAfter = 3
	// carefulFor is for how many events. A killer beyond them makes the processes die at another
	// checkpoint, and it begins anew.
	carefulFor = 10_000
)

// errKilled is why an event is parked that was in hand when the process died.
var errKilled = errors.New("worker: the process died, several times, with this event in hand")

// careful finds an event that kills the process: each event is made durable as the one in
// hand before it is handled, and committed before the next.
type careful struct {
	left   int            // events to go
	killer event.Position // the one in hand when the process died last; 0 is none
	inHand bool           // one is, durably
}

func (c *careful) on() bool { return c.left > 0 }

// openCareful draws the conclusions from how the workers before ended.
func (s *session) openCareful(at event.Position) {
	crashes, hand := s.lease.Crashes(), s.lease.InHand()
	switch {
	case hand != 0:
		s.careful.killer = hand
		if hand <= at {
			s.parkKiller(hand)
		}
	case crashes >= carefulAfter:
		s.careful.left = carefulFor
		s.log.Warn("processes died at this checkpoint, events are handled one by one", "times", crashes, "position", uint64(at))
	}
}

// parkKiller parks the rows of an event that was being tried again when the process died.
func (s *session) parkKiller(at event.Position) {
	for _, b := range s.rows.keys {
		if h := b.head(); h.Position == at && h.State == store.Waiting {
			row := *h
			row.Attempts++
			row.Last = errKilled.Error()
			_, _ = s.setAside(row, store.Parked, errKilled) // replaces a row: no limit is met
		}
	}
}

// isKiller says whether an event must be parked without another look.
func (s *session) isKiller(at event.Position) bool {
	return s.careful.killer != 0 && s.careful.killer == at
}

// feedOne gives the executor one event of a page, made durable as the one in hand.
func (s *session) feedOne(p page) (bool, error) {
	if !s.exec.empty() {
		s.read.putBack(p)
		return false, nil
	}
	ev := p.events[0]
	if err := s.takeInHand(ev.Position); err != nil {
		return false, err
	}
	one := page{events: p.events[:1:1], to: p.to}
	if len(p.events) > 1 {
		one.to = ev.Position
		s.read.putBack(page{events: p.events[1:], to: p.to, more: p.more})
	}
	s.exec.feed(one)
	if s.careful.left--; s.careful.left == 0 {
		s.log.Info("events are handled page by page again", "position", uint64(ev.Position))
	}
	return true, nil
}

// takeInHand makes it durable that an event is about to be handled, and before that
// everything that was.
func (s *session) takeInHand(at event.Position) error {
	if err := s.commits.await(); err != nil {
		return err
	}
	if s.commits.owing() {
		if err := s.commits.start(false); err != nil {
			return err
		}
		if err := s.commits.await(); err != nil {
			return err
		}
	}
	s.careful.inHand = true
	return s.commits.force(store.Commit{InHand: at})
}

// layDown makes it durable that nothing is in hand any more, when a session ends while the
// process lives on. One that lost its lease cannot, and need not: whoever claims next sees
// that the process lives.
func (s *session) layDown() {
	if f := s.commits.flying; f != nil {
		s.commits.flying = nil
		out := <-f.done
		if out.err == nil {
			s.commits.checkpoint = f.commit.To
			s.careful.inHand = f.commit.InHand != 0
		} else {
			out.err = &StateError{Key: s.config.Key, State: Stopped, Err: out.err}
		}
		for _, a := range f.answer {
			a <- out.err
		}
	}
	if !s.careful.inHand {
		return
	}
	const patience = 5 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), patience)
	defer cancel()
	at := s.commits.checkpoint
	if _, err := s.lease.Commit(ctx, store.Commit{From: at, To: at}); err != nil && !errors.Is(err, store.ErrLeaseLost) {
		s.log.Warn("could not record that no event is in hand any more", "error", err.Error())
	}
}
