package worker

import (
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// search writes a page in halves, down to the event that the target does not take. But
// first it finds out whether the target takes anything at all.
func (k *sinkExecutor) search(p page, events []event.Event, failed error) error {
	if err := k.send(k.at, k.at, nil); err != nil {
		if fatal := k.fatal(err); fatal != nil {
			return fatal
		}
		k.down(failed)
		return nil
	}
	k.outage.on = false
	if err := k.halve(events, p.to, failed); err != nil {
		return err
	}
	if k.outage.on { // it went down in between
		return nil
	}
	if k.at < p.to {
		if err := k.send(k.at, p.to, nil); err != nil {
			if fatal := k.fatal(err); fatal != nil {
				return fatal
			}
			k.down(err)
			return nil
		}
	}
	return k.moved(p.to, len(p.events))
}

// halve writes events that could not be written at once, and moves the target to the last
// of them.
func (k *sinkExecutor) halve(events []event.Event, to event.Position, failed error) error {
	if len(events) == 0 {
		return nil
	}
	if len(events) == 1 {
		return k.bad(events[0], failed)
	}
	mid := len(events) / 2
	for _, half := range [][]event.Event{events[:mid], events[mid:]} {
		if k.outage.on {
			return nil
		}
		if err := k.interrupted(); err != nil {
			return err
		}
		// A row that was made meanwhile may block the key of what comes behind it.
		half, err := k.writable(page{events: half})
		if err != nil {
			return err
		}
		if len(half) == 0 {
			continue
		}
		err = k.send(k.at, half[len(half)-1].Position, half)
		if err == nil {
			k.at = half[len(half)-1].Position
			k.outage.succeeded()
			continue
		}
		if err := k.fatal(err); err != nil {
			return err
		}
		if err := k.halve(half, half[len(half)-1].Position, err); err != nil {
			return err
		}
	}
	return nil
}

// bad sets an event aside that the target does not take, if the target is not down.
func (k *sinkExecutor) bad(ev event.Event, failed error) error {
	if err := k.send(k.at, k.at, nil); err != nil {
		if fatal := k.fatal(err); fatal != nil {
			return fatal
		}
		k.down(failed)
		return nil
	}
	key, _ := k.keyOf(ev)
	what, err := k.settle(failure{key: key, at: ev.Position, err: failed, tries: k.inHandTries()})
	if err != nil || what == another {
		return err
	}
	if what == passed { // also when the page is written anew
		k.mu.Lock()
		k.skips.add(store.RowKey{Key: key, Position: ev.Position})
		k.mu.Unlock()
	}
	return k.keepRows(ev.Position)
}

// inHandTries is how often a page was tried before its parts.
func (k *sinkExecutor) inHandTries() int {
	for tries := 1; ; tries++ {
		if _, hold, more := k.program.Retry.Next(tries); !hold || !more {
			return tries
		}
	}
}

// down begins an outage: the target takes nothing, and no event is to blame.
func (k *sinkExecutor) down(err error) {
	k.lastErr, k.errNew = err, true
	if !k.outage.on {
		k.log.Warn("the target takes nothing, nothing is held against the events", "error", err.Error())
		k.outage.seen = k.outage.successes.Load()
		k.outage.begin(time.Now())
		return
	}
	k.outage.postpone(time.Now())
}
