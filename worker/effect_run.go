package worker

import (
	"context"
	"slices"
	"time"

	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/store"
)

// kick starts handlers for what is ready; mu is held.
func (e *effectExecutor) kick() {
	for e.running < e.most {
		u := e.pick()
		if u == nil {
			return
		}
		e.running++
		if e.spare > 0 {
			e.spare--
			e.next <- u // never blocks: there is room for as many as there are handlers
			continue
		}
		e.handlers.Go(func() { e.work(u, nil) })
	}
}

// spareFor is how long a goroutine that has nothing to handle stays: one that is there
// already, with a stack that has grown, handles the next event sooner than a new one.
const spareFor = time.Second

// await waits for a unit to handle; nil is the end of the goroutine. It is counted as a
// spare already.
func (e *effectExecutor) await(patience *time.Timer) *unit {
	patience.Reset(spareFor)
	defer patience.Stop()
	select {
	case u := <-e.next:
		return u
	case <-e.closed:
		return nil
	case <-patience.C:
	}
	e.mu.Lock()
	if e.spare > 0 {
		e.spare--
		e.mu.Unlock()
		return nil
	}
	e.mu.Unlock()
	select { // each of the spares was given a unit at the last moment
	case u := <-e.next:
		return u
	case <-e.closed:
		return nil
	}
}

// pick returns the next unit to handle, nil when none may start; mu is held.
func (e *effectExecutor) pick() *unit {
	if e.budget == 0 || len(e.verdicts) > 0 || e.crash != nil || e.interrupted() != nil {
		return nil
	}
	e.turn++
	if e.turn%2 == 0 {
		if u := e.pickRetry(); u != nil {
			return u
		}
	}
	if u := e.pickReady(); u != nil {
		return u
	}
	return e.pickRetry()
}

func (e *effectExecutor) pickRetry() *unit {
	if len(e.retries) == 0 || e.held != 0 {
		return nil
	}
	u := e.retries[0]
	e.retries = slices.Delete(e.retries, 0, 1)
	return e.taken(u)
}

func (e *effectExecutor) pickReady() *unit {
	for len(e.ready) > 0 {
		u := e.ready[0]
		if e.held != 0 && u.ev.Position > e.held {
			return nil
		}
		e.ready[0] = nil
		e.ready = e.ready[1:]
		if len(e.stuck) > 0 {
			if _, stuck := e.stuck[u.key]; stuck {
				e.behinds = append(e.behinds, u)
				e.signal()
				continue
			}
		}
		if e.most > 1 {
			if queue, busy := e.queues[u.key]; busy {
				e.queues[u.key] = append(queue, u)
				continue
			}
			e.queues[u.key] = nil
		}
		return e.taken(u)
	}
	return nil
}

func (e *effectExecutor) taken(u *unit) *unit {
	u.state = unitRunning
	if e.budget > 0 {
		e.budget--
	}
	return u
}

// work handles units until none is left. It is a goroutine of its own, and when a handler
// ends it, another one goes on in its place.
func (e *effectExecutor) work(u *unit, broken error) {
	clean := false
	defer func() {
		switch v := recover(); {
		case v != nil:
			e.mu.Lock()
			e.crash = outside(v)
			e.running--
			e.mu.Unlock()
			e.signal()
		case !clean:
			e.handlers.Go(func() { e.work(u, errGoexit) })
		}
	}()
	patience := time.NewTimer(spareFor)
	for u != nil {
		stopped := e.handle(u, broken)
		broken = nil
		if u = e.after(u, stopped); u == nil {
			u = e.await(patience)
		}
	}
	clean = true
}

// handle tries a unit as often as it stays in hand. It returns an error when that was cut
// short: the unit is as if it had not been tried.
func (e *effectExecutor) handle(u *unit, err error) (stopped error) {
	at := u.ev.Position
	switch {
	case e.isSkipped(u.key, at) && err == nil:
		e.rec.skipped(1)
		return nil
	case e.isKiller(at):
		u.err, u.final = errKilled, true
		return nil
	case !u.notBefore.IsZero():
		if stopped := e.linger(time.Until(u.notBefore)); stopped != nil {
			return stopped
		}
		u.notBefore = time.Time{}
	}
	for {
		if err == nil {
			err = e.try(u)
		}
		if err == nil {
			e.outage.succeeded()
			u.err = nil
			return nil
		}
		if e.ctx.Err() != nil {
			return context.Cause(e.ctx)
		}
		if u.tries++; u.tries == 1 {
			u.first = err
		}
		again, stopped := e.hold(u.key, at, u.tries, err, u.single)
		if stopped != nil {
			return stopped
		}
		if !again {
			u.err = err
			return nil
		}
		err = nil
	}
}

// try calls the handler.
func (e *effectExecutor) try(u *unit) error {
	if u.keyErr != nil {
		return u.keyErr
	}
	ctx := e.ctx
	if u.page != nil {
		ctx = u.page.ctx
	} else if _, err := e.keyOf(u.ev); err != nil { // it may have been set aside for that
		return err
	}
	c := program.NewContext(ctx, e.program, e.store.Options().Schema, u.ev, program.Delivery{
		Generation: e.config.Key.Generation, Key: u.key, Attempt: u.row.Attempts + u.tries + 1, Term: e.lease.Term(),
	})
	err := protect(func() error { return e.program.Effect.Handle(c, u.ev) })
	emitted := c.Emitted()
	if err == nil {
		u.emits, u.emitBytes = emitted, c.EmittedBytes()
	}
	return err
}

// after records how a unit ended and returns the next one for the same goroutine.
func (e *effectExecutor) after(u *unit, stopped error) *unit {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.most > 1 && u.page != nil {
		queue := e.queues[u.key]
		delete(e.queues, u.key)
		for _, q := range queue {
			e.enqueue(q)
		}
	}
	switch {
	case stopped != nil:
		u.state = unitReady
	case u.err != nil:
		u.state = unitFailed
		e.stuck[u.key] = struct{}{}
		e.verdicts = append(e.verdicts, u)
		e.signal()
	case u.again:
		u.again, u.emits, u.emitBytes = false, nil, 0
		e.enqueue(u)
	default:
		e.handled(u)
	}
	next := e.pick()
	if next == nil {
		e.running--
		e.spare++
		e.signal()
	}
	return next
}

func (e *effectExecutor) handled(u *unit) {
	u.tries = 0
	if u.page == nil {
		u.state = unitFinished
		e.done = append(e.done, u)
		e.signal()
	} else {
		e.finished(u)
		if e.left == e.low() {
			e.signal()
		}
	}
	if n := countEvents(u.emits); n > 0 {
		e.emits, e.bytes = e.emits+n, e.bytes+u.emitBytes
		if !e.program.BatchEmits || e.laden() {
			e.holdAt(u)
		}
		e.signal()
	}
}

// laden says that so much is emitted and not committed that no more may come.
func (e *effectExecutor) laden() bool {
	return e.emits >= program.MaxEmits || e.bytes >= program.MaxEmitBytes
}

// dropEmits forgets what a unit emitted: it is committed, or void.
func (e *effectExecutor) dropEmits(u *unit) {
	e.emits, e.bytes = e.emits-countEvents(u.emits), e.bytes-u.emitBytes
	u.emits, u.emitBytes = nil, 0
}

// holdAt lets no unit beyond u start before a commit.
func (e *effectExecutor) holdAt(u *unit) {
	if e.held == 0 || u.ev.Position < e.held {
		e.held = u.ev.Position
	}
}

func countEvents(batches []store.Batch) (n int) {
	for i := range batches {
		n += len(batches[i].Events)
	}
	return n
}
