package worker

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/store"
)

// session is the work under one lease. Its fields belong to Run's goroutine, but for what
// says otherwise; handlers run in goroutines of their own.
type session struct {
	*Worker
	program *program.Program
	lease   *store.Lease
	ctx     context.Context // of handlers, reads and commits: ends with the lease, and with Run's
	tasks   sync.WaitGroup  // goroutines that outlive a call

	read    reader
	exec    executor
	rows    *rowTable
	outage  *outage
	commits committer
	careful careful

	rebuilding bool
	// inherited is what the active generation skipped, for a rebuild.
	inherited  map[store.RowKey]store.Row
	askAt      time.Time // when Activate is asked again
	mayRest    bool      // a page of a rebuild is handled: Throttle is asked before the next
	pauseUntil time.Time // no page before this: the delay at the start, or a throttled rebuild

	leaving  error // why to end in order; nil while at work
	stop     chan struct{}
	wishAt   time.Time // when the wish was read
	lookNow  bool      // nudged
	noRoom   bool      // an event set aside is due, but the executor has its hands full
	requests []*request
	lastErr  error // of an event that has not succeeded since
	errNew   bool  // lastErr has changed since the status was shown
}

// executor handles the events of a session in the way of one kind of projection. Its
// methods are called by the session's goroutine.
type executor interface {
	// open prepares, from a position on: everything up to it is handled. It returns the position
	// from which to go on, for targets that know better.
	open(at event.Position) (event.Position, error)
	// hungry says whether feed may be called with another page.
	hungry() bool
	feed(p page)
	// offer gives the first event of a blocked key for one more attempt. It returns false when
	// there is no room now.
	offer(b *blocked) (bool, error)
	// advance handles, or collects what was handled meanwhile. It does not wait longer than a
	// slice of time or one event takes; false says that there was nothing to do.
	advance() (bool, error)
	// woken receives when advance has something to do again.
	woken() <-chan struct{}
	// position is up to where everything is handled or set aside.
	position() event.Position
	// pending says what is handled and not in a commit: since when, and whether it must be
	// committed before more can be handled.
	pending() pending
	// fill puts what is pending into a commit; To is set to position, and may be lowered.
	fill(c *store.Commit) error
	// committed and refused end what fill began. refused takes back what a commit carried that
	// wrote nothing, or returns the error that ends the session.
	committed(c *store.Commit, result store.Result)
	refused(c *store.Commit, err error) error
	// quiet says that no handler runs and nothing is under way.
	quiet() bool
	// empty says that every event it was fed is handled.
	empty() bool
	// close ends what is left, after the handlers' context ended or the work was done. It
	// returns when no handler runs any more.
	close()
}

// pending is what an executor has handled and not committed.
type pending struct {
	units int
	since time.Time // of the first of them
	full  bool      // no more fits into a commit
	sync  bool      // somebody else depends on it: it emits
}

// run opens, loops, and closes. A panic of the worker's own code, or of a logger or a
// callback that it calls, ends the session with an error: nothing is left running, and the
// lease can be given back.
func (s *session) run(cancel context.CancelCauseFunc) (err error) {
	defer s.tasks.Wait()
	defer func() {
		if v := recover(); v != nil {
			err = outside(v)
			cancel(err)
			s.abort(err)
		}
	}()
	if err := s.open(); err != nil {
		return err
	}
	defer s.layDown()
	s.serve(true)
	err = s.loop()
	s.close(err)
	if halted, ok := errors.AsType[*haltError](err); ok {
		return s.storeHalt(halted.err)
	}
	return err
}

// close ends what the session began, and answers those who asked it for something.
func (s *session) close(err error) {
	s.serve(false)
	s.read.close()
	if s.exec != nil {
		s.exec.close()
	}
	for _, r := range s.requests {
		r.answer <- &StateError{Key: s.config.Key, State: s.Worker.Status().State, Err: err}
	}
	s.requests = nil
	for _, a := range s.commits.answer {
		a <- &StateError{Key: s.config.Key, State: s.Worker.Status().State, Err: err}
	}
	s.commits.answer = nil
}

// abort is close after a panic, which may have left things in any state: another panic must
// not hide the first.
func (s *session) abort(err error) {
	if again := protect(func() error { s.close(err); return nil }); again != nil {
		s.log.Error("worker could not end in order after a panic", "error", again.Error())
	}
}

func (s *session) open() error {
	now := time.Now()
	s.rows, s.outage = newRowTable(), newOutage(now)
	s.rebuilding = s.config.Activate != nil && !s.activated
	s.commits.open(s)
	at, err := s.start()
	if err != nil {
		return err
	}
	skipped, err := s.rows.load(s.ctx, s.subscriber, at)
	if err != nil {
		return err
	}
	if s.rebuilding {
		if s.inherited, err = s.skippedBefore(); err != nil {
			return err
		}
		skipped = slices.AppendSeq(skipped, maps.Keys(s.inherited))
	}
	decided, err := s.decided(s.ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.skips.add(skipped...)
	s.skips.add(decided...)
	s.mu.Unlock()
	switch s.program.Kind {
	case program.Model:
		s.exec = newModelExecutor(s)
	case program.Effect:
		s.exec = newEffectExecutor(s)
	default:
		s.exec = newSinkExecutor(s)
	}
	if at, err = s.exec.open(at); err != nil {
		s.exec.close()
		if halted, ok := errors.AsType[*haltError](err); ok {
			return s.storeHalt(halted.err)
		}
		return err
	}
	s.openCareful(at)
	s.read = reader{session: s, at: at, look: true}
	if s.program.Delay > 0 {
		s.pauseUntil = now.Add(s.program.Delay)
	}
	s.lookNow = true
	s.show()
	return nil
}

// start returns the position up to which everything is handled.
func (s *session) start() (event.Position, error) {
	if s.commits.checkpoint > 0 || s.config.From <= 1 {
		return s.commits.checkpoint, nil
	}
	info, err := s.subscriber.Info(s.ctx)
	if err != nil || !info.CreatedAt.IsZero() { // rewound to the beginning
		return 0, err
	}
	return before(s.config.From), nil
}

// loop works until there is a reason to stop.
func (s *session) loop() error {
	for {
		if err := context.Cause(s.ctx); err != nil {
			return err
		}
		if err := s.attend(); err != nil {
			return err
		}
		worked, err := s.turn()
		if err == nil {
			err = s.commits.turn()
		}
		if err != nil {
			if err := s.failed(err); err != nil {
				return err
			}
			continue
		}
		s.show()
		if s.leaving != nil && s.exec.quiet() && s.commits.clean() {
			return s.leaving
		}
		if !worked {
			if err := s.doze(); err != nil {
				return err
			}
		}
	}
}

// failed turns the errors of the executor into the end of the session. A halt first lets
// the handlers end and commits what they finished, when that can be.
func (s *session) failed(err error) error {
	halted, ok := errors.AsType[*haltError](err)
	if !ok {
		return err
	}
	if s.program.Kind != program.Effect || s.leaving != nil {
		return halted // what a model did since the last commit is done again; no harm
	}
	s.leave(halted)
	return nil
}

// turn gives the executor what it can take: events set aside that are due, then new ones.
func (s *session) turn() (bool, error) {
	worked, err := s.exec.advance()
	if err != nil || s.leaving != nil {
		return worked, err
	}
	if s.outage.over() {
		s.rows.hurry(time.Now())
		worked = true
	}
	served, err := s.serveRows()
	if err != nil {
		return false, err
	}
	fed, err := s.feed()
	return worked || served || fed, err
}

// feed moves a page that was read to the executor.
func (s *session) feed() (bool, error) {
	if s.leaving != nil || s.outage.on || !s.exec.hungry() || time.Now().Before(s.pauseUntil) {
		return false, nil
	}
	if s.throttle() {
		return false, nil
	}
	p, ok := s.read.take()
	if !ok || p.err != nil {
		return false, p.err
	}
	if s.careful.on() && len(p.events) > 0 {
		return s.feedOne(p)
	}
	s.exec.feed(p)
	s.mayRest = s.rebuilding && s.config.Throttle != nil
	return true, nil
}

// throttle lets a rebuild rest behind a page that it has handled, if it is told to.
func (s *session) throttle() bool {
	if !s.mayRest {
		return false
	}
	s.mayRest = false
	d := s.config.Throttle()
	s.pauseUntil = time.Now().Add(d)
	return d > 0
}

// leave begins the end of the session: no more handlers start, what is finished is
// committed.
func (s *session) leave(why error) {
	if s.leaving == nil {
		s.leaving = why
		close(s.stop)
	}
}

// caughtUp says that nothing is known to be left to handle.
func (s *session) caughtUp() bool { return s.read.caughtUp() && s.exec.empty() }

// show brings the status up to date.
func (s *session) show() {
	waiting, parked, keys := s.rows.counts()
	at := s.exec.position()
	checkpoint := min(s.commits.checkpoint, at) // the store may be ahead of a sink's target
	st := CatchingUp
	switch {
	case s.outage.on:
		st = Retrying
	case s.rebuilding:
		st = Rebuilding
	case s.read.near:
		st = Live
	}
	empty := s.exec.empty()
	s.mu.Lock()
	now := s.status
	s.idle = empty && s.read.asleep() // the fetcher may wake up at any time
	s.mu.Unlock()
	if keys == 0 && !s.outage.on && s.lastErr != nil {
		s.lastErr, s.errNew = nil, true
	}
	err := s.lastErr
	if now.State != st || now.Position != checkpoint || now.Covered != at || now.Waiting != waiting ||
		now.Parked != parked || now.BlockedKeys != keys || s.errNew {
		s.errNew = false
		s.change(func(x *Status) {
			if x.Covered != at {
				x.LastProgress = time.Now()
			}
			x.State, x.Position, x.Covered, x.Err = st, checkpoint, at, err
			x.Waiting, x.Parked, x.BlockedKeys = waiting, parked, keys
			if err == nil {
				x.Attempt = 0
			}
		})
	}
	s.reached(checkpoint)
}
