package worker

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// page is what one read gave.
type page struct {
	events []event.Event
	to     event.Position // everything up to here was read
	more   bool           // there may be more behind it
	err    error
	unread bool // a sleep ended, and nothing was read
}

// reader reads the log one page ahead of the handlers, and sleeps when there is nothing
// more that concerns the projection. It belongs to the session's goroutine; the fetcher, a
// goroutine of its own, does one errand after the other for it.
type reader struct {
	*session
	at   event.Position // everything up to here was read
	next []page         // read and not taken yet
	look bool           // there is a reason to read
	more bool           // the last page said so
	near bool           // the last page was the last one there is

	errands chan errand // to the fetcher; nil while there is none
	arrived chan page   // from it
	busy    bool        // an errand is under way
	wake    func()      // ends the sleep under way; nil while there is none
	narrow  bool        // asleep for what concerns the projection only
	stirred atomic.Bool // the fetcher has woken up already
}

// errand is a page to read; before that, for who sleeps, an event to wait for. Waiting and
// reading in one go brings an event to its handler with one hand-over less.
type errand struct {
	sleep context.Context // nil: read at once
	after event.Position
	match []store.Match
	query store.Query
}

// take returns the next page, and sees to it that the one after it is read meanwhile.
func (r *reader) take() (page, bool) {
	r.collect()
	if len(r.next) == 0 {
		return page{}, false
	}
	p := r.next[0]
	r.next = slices.Delete(r.next, 0, 1)
	r.collect()
	return p, true
}

// putBack returns a page, or the part of it that was not handled yet.
func (r *reader) putBack(p page) { r.next = slices.Insert(r.next, 0, p) }

// collect takes what a read or a sleep gave, and begins the next one. It does not wait.
func (r *reader) collect() {
	select {
	case p := <-r.arrived:
		r.got(p)
	default:
	}
	switch {
	case len(r.next) > 0 || r.busy || r.leaving != nil || r.ended():
	case r.look || r.more:
		r.look = false
		r.send(errand{query: r.query()})
	default:
		r.sleep()
	}
}

// ended says that everything was read that ever will be.
func (r *reader) ended() bool { return r.config.Until > 0 && r.at >= r.config.Until }

func (r *reader) query() store.Query {
	q := r.program.Query(r.at + 1)
	if r.config.Until > 0 {
		q.To = store.AtPosition(r.config.Until)
	}
	return q
}

func (r *reader) send(e errand) {
	if r.errands == nil {
		r.errands, r.arrived = make(chan errand, 1), make(chan page, 1)
		errands, arrived := r.errands, r.arrived
		r.tasks.Go(func() {
			for e := range errands {
				arrived <- r.fetch(e)
			}
		})
	}
	r.busy = true
	r.errands <- e
}

// fetch does an errand, in the fetcher's goroutine.
func (r *reader) fetch(e errand) page {
	if e.sleep != nil {
		head, err := r.store.Wait(e.sleep, e.after, e.match...)
		if err != nil {
			return page{err: err, unread: true}
		}
		r.stirred.Store(true)
		r.mu.Lock()
		r.idle = false // before anybody learns from the head that there is something new
		r.mu.Unlock()
		if head-e.after <= glanceMost && r.config.Until == 0 {
			return r.glance(e.after, head)
		}
	}
	got, err := r.store.Read(r.ctx, e.query)
	return page{events: got.Items, to: got.Scanned, more: got.HasNext, err: err}
}

// glanceMost is how many positions may be read without a filter.
const glanceMost = 16

// glance reads the few events that have come since the reader fell asleep, and leaves out
// those that do not concern the projection. So little of the log is read faster than one
// index for each name.
func (r *reader) glance(after, head event.Position) page {
	q := store.Query{From: store.AtPosition(after + 1), To: store.AtPosition(head), Limit: r.program.PageSize}
	got, err := r.store.Read(r.ctx, q)
	events := slices.DeleteFunc(got.Items, func(ev event.Event) bool { return !r.program.Selects(ev) })
	return page{events: events, to: got.Scanned, more: got.HasNext, err: err}
}

// got takes what the fetcher has brought.
func (r *reader) got(p page) {
	r.busy = false
	if r.wake != nil {
		r.wake()
		r.wake = nil
	}
	switch {
	case p.unread && (r.ctx.Err() != nil || isCanceled(p.err)):
		r.look = true
		return
	case p.unread:
		p.to, r.look = r.at, true
	case p.err == nil:
		p.to = max(p.to, r.at)
		r.at, r.more, r.near = p.to, p.more, !p.more
	}
	r.next = append(r.next, p)
}

// sleep waits for events that concern the projection; when somebody waits for a position
// that is not there yet, for any event.
func (r *reader) sleep() {
	r.narrow = !r.beyond(r.at) && r.config.Until == 0
	e := errand{after: r.at, match: r.program.Match, query: r.query()}
	if !r.narrow {
		e.match = nil
	}
	e.sleep, r.wake = context.WithCancel(r.ctx)
	r.stirred.Store(false)
	r.send(e)
}

// rescan reads the log now, although nothing has come that concerns the projection.
func (r *reader) rescan() {
	r.look = true
	if r.wake != nil {
		r.wake()
	}
}

// asleep says that the worker will be woken by the next event that concerns it.
func (r *reader) asleep() bool {
	return r.wake != nil && r.narrow && len(r.next) == 0 && !r.stirred.Load()
}

// caughtUp says that everything was read and taken.
func (r *reader) caughtUp() bool {
	return len(r.next) == 0 && (!r.busy || r.wake != nil && !r.stirred.Load()) && !r.more && !r.look
}

// close ends what is under way, and the fetcher.
func (r *reader) close() {
	if r.wake != nil {
		r.wake()
		r.wake = nil
	}
	if r.errands == nil {
		return
	}
	close(r.errands)
	r.errands = nil
	if r.busy {
		<-r.arrived
		r.busy = false
	}
}
