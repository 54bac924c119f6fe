package worker

import (
	"context"
	"errors"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/store"
)

// sinkExecutor writes pages into a target that keeps its own position. The store's
// checkpoint is a copy of that, and may be ahead of it for a moment: rows are written to the
// store before the target moves past their events.
type sinkExecutor struct {
	*session
	target  program.Target
	term    program.Session
	context context.Context

	page   page
	loaded bool // it is not written yet
	span   *process
	at     event.Position // everything up to here is in the target, or of others
	row    event.Position // of the target itself, which is not moved over events of others alone

	unsaved int
	since   time.Time
	broken  error // a try that ended its goroutine
	fault   error
}

func newSinkExecutor(s *session) *sinkExecutor {
	return &sinkExecutor{session: s, target: s.program.Sink.Target, context: program.PageContext(s.ctx, s.program)}
}

// open takes the target over: its position wins.
func (k *sinkExecutor) open(at event.Position) (event.Position, error) {
	looked := time.Now() // for head
	head, err := k.store.Head(k.ctx)
	if err != nil {
		return 0, err
	}
	k.term = program.Session{Key: k.config.Key, Term: k.lease.Term(), History: head.History}
	begin := before(k.config.From)
	patience := looked.Add(k.config.LeaseTTL) // no former worker goes on for longer
	for tries := 1; ; tries++ {
		err := k.call(func() (err error) {
			k.at, err = k.target.Begin(k.context, k.term, begin, head.Position)
			return err
		})
		now := time.Now()
		switch {
		case err == nil:
			if k.at != at {
				k.log.Info("the target's position wins over the store's checkpoint", "target", uint64(k.at), "checkpoint", uint64(at))
			}
			k.row = k.at
			return k.at, nil
		case errors.Is(err, store.ErrHistory) && looked.Before(patience) && k.grown(&head):
			looked = now
			tries-- // the worker before went on until it was fenced
			continue
		case errors.Is(err, store.ErrHistory) || program.Judge(err).Action == program.Halt:
			return 0, &haltError{err}
		case errors.Is(err, store.ErrLeaseLost):
			return 0, err
		}
		if err := k.beginLater(tries, err); err != nil {
			return 0, err
		}
	}
}

// grown reads the end of the store again, and says whether it has moved.
func (k *sinkExecutor) grown(head *store.Head) bool {
	now, err := k.store.Head(k.ctx)
	if err != nil || now.Position <= head.Position || now.History != head.History {
		return false
	}
	*head = now
	return true
}

// beginLater waits before the target is asked again. Wishes are obeyed meanwhile.
func (k *sinkExecutor) beginLater(tries int, failed error) error {
	k.change(func(st *Status) { st.State, st.Err, st.Attempt = Retrying, failed, tries })
	k.log.Warn("the target cannot be taken over, will try again", "attempt", tries, "error", failed.Error())
	if err := k.linger(k.outage.pause.NextBackOff()); err != nil && !errors.Is(err, errInterrupted) {
		return err
	}
	if k.draining() {
		return errFinished
	}
	if err := k.obey(); err != nil {
		return err
	}
	return k.leaving
}

// call runs code of the target apart from the session.
func (k *sinkExecutor) call(f func() error) error {
	if err := apart(func() { k.fault = protect(f) }); err != nil {
		return err
	}
	return k.fault
}

func (k *sinkExecutor) hungry() bool             { return !k.loaded }
func (k *sinkExecutor) empty() bool              { return !k.loaded }
func (k *sinkExecutor) quiet() bool              { return true }
func (k *sinkExecutor) woken() <-chan struct{}   { return nil }
func (k *sinkExecutor) position() event.Position { return k.at }

func (k *sinkExecutor) pending() pending { return pending{units: k.unsaved, since: k.since} }

func (k *sinkExecutor) fill(*store.Commit) error {
	k.unsaved = 0
	return nil
}

func (k *sinkExecutor) committed(*store.Commit, store.Result)    {}
func (k *sinkExecutor) refused(_ *store.Commit, err error) error { return err }

func (k *sinkExecutor) feed(p page) {
	k.page, k.loaded = p, true
	if len(p.events) > 0 {
		ctx, span := k.rec.page(k.ctx, p.events)
		k.context, k.span = program.PageContext(ctx, k.program), span
	}
}

func (k *sinkExecutor) close() { k.span.end(0, k.ctx.Err()) }

// advance writes the page in hand.
func (k *sinkExecutor) advance() (bool, error) {
	if !k.loaded || k.leaving != nil || k.outage.on {
		return false, nil
	}
	return true, k.uninterrupted(k.write(false))
}

// probe writes the page in hand while the target is down; an empty page is as good.
func (k *sinkExecutor) probe() (bool, error) {
	if k.leaving != nil {
		return false, nil
	}
	if !k.loaded {
		if err := k.send(k.at, k.at, nil); err != nil {
			return true, k.fatal(err)
		}
		k.outage.succeeded()
		return true, nil
	}
	return true, k.uninterrupted(k.write(true))
}

func (k *sinkExecutor) uninterrupted(err error) error {
	if errors.Is(err, errInterrupted) {
		return nil
	}
	return err
}

// write writes the page in hand: whole, or, when that fails, in parts until the event is
// found that does not go in.
func (k *sinkExecutor) write(single bool) error {
	p := k.page
	rows := len(k.rows.changed)
	events, err := k.writable(p)
	if err != nil {
		return err
	}
	if len(k.rows.changed) > rows {
		if err := k.keepRows(p.to); err != nil {
			return err
		}
	}
	if len(events) == 0 && len(p.events) == 0 { // nobody's progress: no transaction for it
		return k.moved(p.to, 0)
	}
	for tries := 1; ; tries++ {
		err := k.send(k.at, p.to, events)
		if err == nil {
			return k.moved(p.to, len(p.events))
		}
		if err := k.fatal(err); err != nil {
			return err
		}
		again, stopped := k.hold("", p.to, tries, err, single)
		if stopped != nil {
			return stopped
		}
		if !again {
			return k.search(p, events, err)
		}
	}
}

// moved records that the target is at a position.
func (k *sinkExecutor) moved(to event.Position, handled int) error {
	if handled > 0 {
		if k.unsaved == 0 {
			k.since = time.Now()
		}
		k.unsaved++
		k.outage.succeeded()
		k.span.end(handled, nil)
	}
	k.at = max(k.at, to)
	k.page, k.loaded = page{}, false
	return nil
}

// writable leaves out of a page what must not be written now: events of blocked keys, which
// go behind the others, and skipped ones.
func (k *sinkExecutor) writable(p page) ([]event.Event, error) {
	out := make([]event.Event, 0, len(p.events))
	next := 0
	var fault error
	pass := func() {
		for ; next < len(p.events); next++ {
			ok, err := k.admit(p.events[next])
			if fault = err; err != nil {
				return
			}
			if ok {
				out = append(out, p.events[next])
			}
		}
	}
	for apart(pass) != nil {
		k.broken = errGoexit
	}
	return out, fault
}

// admit says whether an event goes into the target now.
func (k *sinkExecutor) admit(ev event.Event) (bool, error) {
	key, err := ev.Stream.ID, k.broken
	if k.broken = nil; err != nil {
		err = k.unkeyed(ev, err)
	} else {
		key, err = k.keyOf(ev)
	}
	switch {
	case key == "", ev.Position <= k.at:
		return false, nil
	case k.rows.blocks(key):
		return false, k.behind(key, ev.Position)
	case k.isSkipped(key, ev.Position):
		k.rec.skipped(1)
		return false, nil
	case k.isKiller(ev.Position):
		_, err := k.settle(failure{key: key, at: ev.Position, err: errKilled, tries: 1, final: true})
		return false, err
	}
	if err == nil && k.program.Check != nil {
		err = protect(func() error { return k.program.Check(ev) })
	}
	if err == nil {
		return true, nil
	}
	_, err = k.settle(failure{key: key, at: ev.Position, err: err, tries: 1, gone: true})
	return false, err
}

// keepRows makes rows durable before the target moves past their events.
func (k *sinkExecutor) keepRows(to event.Position) error {
	return k.commits.force(store.Commit{To: to})
}

// send is one transaction of the target.
func (k *sinkExecutor) send(from, to event.Position, events []event.Event) error {
	if from == to {
		to = k.row
	}
	err := k.call(func() error { return k.target.Write(k.context, k.term, k.row, to, events) })
	if err == nil {
		k.row = to
	}
	return err
}

// fatal returns what ends the session: a lost lease, or its end.
func (k *sinkExecutor) fatal(err error) error {
	switch {
	case k.ctx.Err() != nil:
		return context.Cause(k.ctx)
	case errors.Is(err, store.ErrLeaseLost):
		return err
	}
	return nil
}

// offer writes the first event of a blocked key, without moving the target.
func (k *sinkExecutor) offer(b *blocked) (bool, error) {
	row := *b.head()
	ev, err := k.store.Event(k.ctx, row.Position)
	if err != nil {
		return false, err
	}
	k.rec.retried()
	err = k.retry(ev)
	if err == nil {
		k.outage.succeeded()
		k.handledRow(row.Key, row.Position)
		k.commits.urgent = true // the target has it: do not write it again
		return true, nil
	}
	if err := k.fatal(err); err != nil {
		return false, err
	}
	if down := k.send(k.at, k.at, nil); down != nil {
		if fatal := k.fatal(down); fatal != nil {
			return false, fatal
		}
		k.down(err)
		return true, nil
	}
	_, err = k.settle(failure{key: row.Key, at: row.Position, err: err, tries: 1, row: true})
	return true, err
}

func (k *sinkExecutor) retry(ev event.Event) error {
	return k.call(func() error {
		if _, err := k.keyOf(ev); err != nil {
			return err
		}
		if k.program.Check != nil {
			if err := k.program.Check(ev); err != nil {
				return err
			}
		}
		return k.target.Write(k.context, k.term, k.row, k.row, []event.Event{ev})
	})
}
