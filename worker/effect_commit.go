package worker

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/store"
)

// fill puts into a commit what is finished without a gap, with what it emitted in the order
// of the events that made it.
func (e *effectExecutor) fill(c *store.Commit) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.trim()
	f := emitting{unsaved: e.unsaved}
	events, bytes := 0, 0
	fits := func(u *unit) bool {
		n := countEvents(u.emits)
		if n > 0 && len(f.units) > 0 && (e.solo > 0 || events+n > program.MaxEmits || bytes+u.emitBytes > program.MaxEmitBytes) {
			return false
		}
		if n > 0 {
			events, bytes = events+n, bytes+u.emitBytes
			f.units = append(f.units, u)
			c.Emit = append(c.Emit, u.emits...)
		}
		return true
	}
	slices.SortFunc(e.rowEmits, byPosition)
	for _, u := range e.rowEmits {
		if !fits(u) {
			break
		}
		f.rows++
	}
	if f.rows == len(e.rowEmits) {
		for _, u := range e.window {
			if u.state != unitFinished || !fits(u) {
				break
			}
			f.window++
		}
	}
	switch {
	case f.window < len(e.window):
		c.To = max(c.To, before(e.window[f.window].ev.Position))
	default:
		c.To = max(c.To, e.to)
	}
	e.flight, e.unsaved = f, 0
	return nil
}

func byPosition(a, b *unit) int { return cmp.Compare(a.ev.Position, b.ev.Position) }

func (e *effectExecutor) committed(*store.Commit, store.Result) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := e.flight
	e.flight = emitting{}
	calm := len(f.units) > 0
	for _, u := range f.units {
		e.dropEmits(u)
		u.endTurn()
		calm = calm && u.conflicts == 0
	}
	if calm {
		e.crowded, e.moment = false, shortTurn
	}
	e.solo = max(e.solo-len(f.units), 0)
	e.rowEmits = slices.Delete(e.rowEmits, 0, f.rows)
	e.drop(f.window)
	e.trim()
	e.rehold(false)
	e.kick()
}

// rehold finds out anew which units must wait for a commit. After a conflict those that
// emitted before the culprit are committed first, also when emits are batched.
func (e *effectExecutor) rehold(conflict bool) {
	e.held = 0
	if !conflict && e.program.BatchEmits && !e.laden() {
		return
	}
	for _, us := range [][]*unit{e.rowEmits, e.done, e.window} {
		for _, u := range us {
			if u.state == unitFinished && len(u.emits) > 0 {
				e.holdAt(u)
			}
		}
	}
}

// conflictsFree is how many conflicts of an event's emits are tried again at once.
const conflictsFree = 4

// After conflictsPatient more, or when its attempts have taken conflictPatience, the event gets
// the streams for itself for a moment: where others append without a pause, it would never be
// the first. The events after it get them at their first conflict, until one meets none.
const (
	conflictsPatient = 2
	conflictPatience = 100 * time.Millisecond
)

// shortTurn is how long that moment is, at the longest. It doubles each time that it was too
// short, for who loads a state of which every read folds thousands of events, and is as short
// as before when it was not needed.
const shortTurn = 20 * time.Millisecond

// conflicted says when the event runs again.
func (e *effectExecutor) conflicted(u *unit, s event.Stream) {
	if u.conflicts++; u.conflicts == 1 {
		u.since = time.Now()
	}
	if !slices.Contains(u.contended, s) {
		u.contended = append(u.contended, s)
	}
	n := u.conflicts - conflictsFree
	e.crowded = e.crowded || n > conflictsPatient || time.Since(u.since) > conflictPatience
	switch {
	case e.crowded:
		if u.turn != nil {
			u.endTurn()
			e.moment = min(2*e.moment, store.MaxTurn)
		}
		u.turn, u.notBefore = e.store.Turn(e.moment, u.contended...), time.Time{}
	case n > 0:
		u.notBefore = time.Now().Add(conflictPause(n))
	}
	e.log.Debug("emits met a conflict, the event runs again", "position", uint64(u.ev.Position), "times", u.conflicts)
}

// endTurn lets others go on; without it they do so a little later.
func (u *unit) endTurn() {
	if u.turn != nil {
		u.turn()
		u.turn = nil
	}
}

// refused finds the event whose emits do not fit what is stored. In a conflict it runs
// again; what cannot be stored at all is a failure of its handler.
func (e *effectExecutor) refused(c *store.Commit, err error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := e.flight
	e.flight = emitting{}
	e.unsaved += f.unsaved
	if len(f.units) == 0 {
		return err
	}
	culprit := f.units[0]
	switch conflict, ok := errors.AsType[*store.ConflictError](err); {
	case ok:
		if culprit = f.of(conflict.Batch); culprit == nil {
			return err
		}
		e.conflicted(culprit, conflict.Stream)
	case !errors.Is(err, store.ErrInvalid) && !errors.Is(err, store.ErrIDReused):
		return err
	case len(f.units) > 1: // which of them?
		e.solo = len(f.units)
		return nil
	default:
		culprit.err = err
	}
	e.undo(culprit)
	e.rehold(true)
	e.kick()
	return nil
}

// of returns the unit that emitted the batch with this index.
func (f emitting) of(batch int) *unit {
	for _, u := range f.units {
		if batch < len(u.emits) {
			return u
		}
		batch -= len(u.emits)
	}
	return nil
}

const (
	conflictPauseFirst = 5 * time.Millisecond
	conflictPauseMost  = time.Second
)

// conflictPause is how long to wait before the n-th try that is not at once: somewhere
// between half and all of a time that doubles.
func conflictPause(n int) time.Duration {
	most := min(conflictPauseFirst<<min(n, 16), conflictPauseMost)
	return most/2 + rand.N(most/2)
}

// undo makes a unit whose emits were refused what it was before it was handled, or failed.
// Later ones of its key come after it once more.
func (e *effectExecutor) undo(culprit *unit) {
	e.dropEmits(culprit)
	failed := culprit.err != nil
	if failed {
		culprit.first, culprit.tries = culprit.err, 1
		culprit.state = unitFailed
		e.stuck[culprit.key] = struct{}{}
		e.verdicts = append(e.verdicts, culprit)
		e.signal()
	}
	if culprit.page == nil {
		e.rowEmits = slices.DeleteFunc(e.rowEmits, func(u *unit) bool { return u == culprit })
		_ = e.rows.put(culprit.row) // it was there a moment ago
		e.rows.keys[culprit.key].inHand = true
		e.stuck[culprit.key] = struct{}{}
		if !failed {
			culprit.single = true
			e.retries = append(e.retries, culprit)
		}
	} else {
		e.unfinish(culprit)
		if !failed {
			e.enqueue(culprit)
		}
	}
	for _, u := range e.window {
		if u.key != culprit.key || u.ev.Position <= culprit.ev.Position {
			continue
		}
		switch u.state {
		case unitFinished:
			e.dropEmits(u)
			e.unfinish(u)
			e.enqueue(u)
		case unitRunning:
			u.again = true
		}
	}
}

func (e *effectExecutor) unfinish(u *unit) {
	e.left++
	e.unsaved = max(e.unsaved-1, 0)
	u.page.left++
}
