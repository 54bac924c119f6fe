package worker

import (
	"context"
	"slices"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// page is what one read gave.
type page struct {
	events []event.Event
	to     event.Position // everything up to here was read
	more   bool           // there may be more behind it
	err    error
}

// reader reads the log one page ahead of the handlers, and sleeps when there is nothing
// more that concerns the projection. It belongs to the session's goroutine.
type reader struct {
	*session
	at   event.Position // everything up to here was read
	next []page         // read and not taken yet
	look bool           // there is a reason to read
	more bool           // the last page said so
	near bool           // the last page was the last one there is

	reading chan page  // a read is under way
	waiting chan error // asleep until an event comes
	narrow  bool       // asleep for what concerns the projection only
	wake    context.CancelFunc
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
	case p := <-r.reading:
		r.got(p)
	default:
	}
	if len(r.next) > 0 || r.reading != nil || r.leaving != nil {
		return
	}
	switch {
	case r.waiting != nil:
		select {
		case err := <-r.waiting:
			r.woke(err)
		default:
			return
		}
	case !r.look && !r.more:
		r.sleep()
		return
	}
	if r.ended() {
		return
	}
	r.look = false
	r.start()
}

// ended says that everything was read that ever will be.
func (r *reader) ended() bool { return r.config.Until > 0 && r.at >= r.config.Until }

func (r *reader) start() {
	q := r.program.Query(r.at + 1)
	if r.config.Until > 0 {
		q.To = store.AtPosition(r.config.Until)
	}
	ch := make(chan page, 1)
	r.reading = ch
	r.tasks.Go(func() {
		got, err := r.store.Read(r.ctx, q)
		ch <- page{events: got.Items, to: got.Scanned, more: got.HasNext, err: err}
	})
}

func (r *reader) got(p page) {
	r.reading = nil
	if p.err == nil {
		p.to = max(p.to, r.at)
		r.at, r.more, r.near = p.to, p.more, !p.more
	}
	r.next = append(r.next, p)
}

// sleep waits for events that concern the projection; when somebody waits for a position
// that is not there yet, for any event.
func (r *reader) sleep() {
	if r.ended() {
		return
	}
	r.narrow = !r.beyond(r.at) && r.config.Until == 0
	match := r.program.Match
	if !r.narrow {
		match = nil
	}
	ctx, cancel := context.WithCancel(r.ctx)
	ch, after := make(chan error, 1), r.at
	r.waiting, r.wake = ch, cancel
	r.tasks.Go(func() {
		_, err := r.store.Wait(ctx, after, match...)
		ch <- err
	})
}

// woke ends a sleep; the log is read whatever the reason was.
func (r *reader) woke(err error) {
	r.wake()
	r.waiting, r.look = nil, true
	if err != nil && r.ctx.Err() == nil && !isCanceled(err) {
		r.next = append(r.next, page{to: r.at, err: err})
	}
}

// rescan reads the log now, although nothing has come that concerns the projection.
func (r *reader) rescan() {
	r.look = true
	if r.waiting != nil {
		r.wake()
	}
}

// asleep says that the worker will be woken by the next event that concerns it.
func (r *reader) asleep() bool { return r.waiting != nil && r.narrow && len(r.next) == 0 }

// caughtUp says that everything was read and taken.
func (r *reader) caughtUp() bool {
	return len(r.next) == 0 && r.reading == nil && !r.more && !r.look
}

// close waits for what is under way.
func (r *reader) close() {
	if r.waiting != nil {
		r.wake()
		<-r.waiting
		r.waiting = nil
	}
	if r.reading != nil {
		<-r.reading
		r.reading = nil
	}
}
