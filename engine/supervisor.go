package engine

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/internal/telemetry"
	"github.com/riffle-go/riffle/store"
)

// supervisor sees to it that what should run for one projection does run: it reconciles
// the plan, which comes from the stored row and the program, with the tasks that it has,
// whenever something happens. It exists as long as the engine, and works in a session.
type supervisor struct {
	engine   *Engine
	store    *store.Store
	logger   *slog.Logger
	program  *program.Program
	name     string
	identity identity
	cache    int64
	meter    *telemetry.Subscription        // of the active generation
	rebuilds func() *telemetry.Subscription // of the one that is built

	wake    chan struct{} // of capacity 1: reconcile now
	changed signal        // tells waiters to look again

	mu       sync.Mutex
	plan     plan
	planned  bool // plan is that of this session, or of the last one
	tasks    map[store.SubscriberKey]*task
	keepers  map[store.SubscriberKey]*keeper
	holds    map[store.SubscriberKey]int // by those who need a key for themselves
	handover handover
	trouble  error // why the plan could not be made
	jobs     map[string]bool
	starts   bool // nothing was started in this session yet

	measuring sync.Mutex // held while measured is made
	measured  measurement
}

func newSupervisor(e *Engine, p *program.Program, cache int64) *supervisor {
	return &supervisor{
		engine: e, store: e.store, logger: e.logger.With("projection", p.Name), program: p, name: p.Name,
		identity: identify(p, e.store.Options().Schema), cache: cache,
		meter: e.runtime.Subscription(telemetry.SubscriptionConfig{Name: p.Name}),
		rebuilds: sync.OnceValue(func() *telemetry.Subscription {
			return e.runtime.Subscription(telemetry.SubscriptionConfig{Name: p.Name, Rebuild: true})
		}),
		wake:  make(chan struct{}, 1),
		tasks: map[store.SubscriberKey]*task{}, keepers: map[store.SubscriberKey]*keeper{},
		holds: map[store.SubscriberKey]int{}, jobs: map[string]bool{},
	}
}

// poke makes the supervisor reconcile soon.
func (s *supervisor) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// begin forgets what the last session found out: whoever waits in the next one waits for
// its plan.
func (s *supervisor) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.starts, s.planned, s.trouble = true, false, nil
	clear(s.keepers)
}

// run supervises until the session drains, and returns when every task has ended.
func (s *supervisor) run(ses *session) {
	var jobs sync.WaitGroup
	again := time.NewTimer(0)
	defer again.Stop()
	trouble := newKeeper()
	for !ses.ending() {
		next := s.reconcile(ses, trouble, &jobs)
		if !next.IsZero() {
			again.Reset(max(time.Until(next), 0))
		} else {
			again.Stop()
		}
		s.changed.fire()
		select {
		case <-s.wake:
		case <-again.C:
		case <-ses.draining:
		}
	}
	s.drain()
	jobs.Wait()
	s.changed.fire()
}

// drain asks all tasks to end, and waits for them.
func (s *supervisor) drain() {
	s.mu.Lock()
	var all []*task
	for _, t := range s.tasks {
		t.drain()
		all = append(all, t)
	}
	s.mu.Unlock()
	for _, t := range all {
		<-t.done
	}
	s.mu.Lock()
	clear(s.tasks)
	s.handover = handover{}
	s.mu.Unlock()
}

// busy says whether a task has not ended.
func (s *supervisor) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tasks {
		if !t.ended() {
			return true
		}
	}
	return false
}

// reconcile makes what runs what should run, and returns when to look again: zero is when
// somebody pokes.
func (s *supervisor) reconcile(ses *session, trouble *keeper, jobs *sync.WaitGroup) (next time.Time) {
	s.reap(ses)
	p, err := s.resolve(ses.prompt)
	if err != nil {
		return s.puzzled(ses, trouble, err)
	}
	if !trouble.notBefore.IsZero() {
		*trouble = *newKeeper()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plan, s.planned, s.trouble = p, true, nil
	soonest(&next, p.next)
	soonest(&next, lookAfter(p))
	s.stopUnwanted()
	for generation, role := range p.roles {
		soonest(&next, s.ensure(ses, s.key(generation), role))
	}
	s.starts = false
	if len(p.expired) > 0 {
		s.job(ses, jobs, "delete", func(ctx context.Context) error { return s.deleteExpired(ctx, p.expired) })
	}
	if p.reset {
		s.job(ses, jobs, "reset", s.restartSink)
	}
	return next
}

// puzzled keeps what runs as it is when the row cannot be read or written.
func (s *supervisor) puzzled(ses *session, trouble *keeper, err error) (next time.Time) {
	if ses.ending() {
		return time.Time{}
	}
	if hopeless(err) {
		ses.giveUp(err)
		return time.Time{}
	}
	s.mu.Lock()
	s.trouble = err
	s.mu.Unlock()
	trouble.failed(0)
	s.logger.WarnContext(ses.work, "cannot bring the projection's row up to date, will try again", "error", err, "at", trouble.notBefore)
	return trouble.notBefore
}

// Another engine may finish a rebuild, and the program that this one waits for may go.
const (
	lookAtRebuild = time.Second
	lookAtBlocked = time.Minute
)

// lookAfter returns when the row may have changed without anything happening here.
func lookAfter(p plan) time.Time {
	if _, ok := p.builds(); ok {
		return time.Now().Add(lookAtRebuild)
	}
	if p.blocked != nil {
		return time.Now().Add(lookAtBlocked)
	}
	return time.Time{}
}

func soonest(t *time.Time, other time.Time) {
	if !other.IsZero() && (t.IsZero() || other.Before(*t)) {
		*t = other
	}
}

// stopUnwanted drains tasks that the plan does not have; s.mu is held.
func (s *supervisor) stopUnwanted() {
	for key, t := range s.tasks {
		if _, wanted := s.plan.roles[key.Generation]; !wanted || s.held(key) {
			t.drain()
		}
	}
}

// ensure starts a task unless there is one, or it must not be yet: then it returns when.
// s.mu is held.
func (s *supervisor) ensure(ses *session, key store.SubscriberKey, role role) (next time.Time) {
	if t, ok := s.tasks[key]; ok {
		t.setRole(role)
		return time.Time{}
	}
	if s.held(key) {
		return s.handover.until // zero for a hold that ends with a poke
	}
	k, ok := s.keepers[key]
	if !ok {
		k = newKeeper()
		s.keepers[key] = k
	}
	if now := time.Now(); now.Before(k.notBefore) {
		return k.notBefore
	}
	t, err := s.newTask(ses, key, role, s.starts && s.engine.config.Takeover)
	if err != nil {
		k.failed(0)
		k.err = err
		s.logger.ErrorContext(ses.work, "cannot make a worker, will try again", "generation", key.Generation, "error", err, "at", k.notBefore)
		return k.notBefore
	}
	if k.restarts > 0 {
		t.meter().Restarted()
	}
	s.tasks[key] = t
	go t.run(ses.work)
	return time.Time{}
}

// reap removes tasks that have ended, and decides when those that ended unasked may start
// again. Nothing ends silently.
func (s *supervisor) reap(ses *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, t := range s.tasks {
		if !t.ended() {
			continue
		}
		delete(s.tasks, key)
		if t.draining() || ses.ending() {
			continue
		}
		if hopeless(t.err) {
			ses.giveUp(t.err)
		}
		k := s.keepers[key]
		k.failed(t.worker.Status().Position)
		k.restarts++
		k.err = t.err
		s.logger.WarnContext(ses.work, "worker ended unasked, starting another one",
			"generation", key.Generation, "error", t.err, "restarts", k.restarts, "at", k.notBefore)
	}
}

// held says whether a key is kept free of workers of this engine; s.mu is held.
func (s *supervisor) held(key store.SubscriberKey) bool {
	return s.holds[key] > 0 || s.handover.holds(key, time.Now())
}

// hold keeps a key free of workers of this engine until release is called. It returns when
// the one that worked on it has drained.
func (s *supervisor) hold(ctx context.Context, key store.SubscriberKey) (release func(), err error) {
	s.mu.Lock()
	s.holds[key]++
	if t, ok := s.tasks[key]; ok {
		t.drain()
	}
	s.mu.Unlock()
	release = sync.OnceFunc(func() {
		s.mu.Lock()
		if s.holds[key]--; s.holds[key] == 0 {
			delete(s.holds, key)
		}
		s.mu.Unlock()
		s.poke()
	})
	if err := s.drained(ctx, key); err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// drained waits until no task of this engine has the key.
func (s *supervisor) drained(ctx context.Context, key store.SubscriberKey) error {
	for {
		s.mu.Lock()
		t, ok := s.tasks[key]
		s.mu.Unlock()
		if !ok {
			return nil
		}
		select {
		case <-t.done:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// job runs something besides, unless it runs already; s.mu is held. A drain cancels it. It
// pokes when it is done; after an error that happens a while later.
func (s *supervisor) job(ses *session, jobs *sync.WaitGroup, name string, f func(context.Context) error) {
	if s.jobs[name] {
		return
	}
	s.jobs[name] = true
	jobs.Go(func() {
		err := f(ses.prompt)
		if err != nil && ses.prompt.Err() == nil {
			s.logger.WarnContext(ses.work, "could not finish, will try again", "job", name, "error", err, "in", retryJob)
			select {
			case <-time.After(retryJob):
			case <-ses.prompt.Done():
			}
		}
		s.mu.Lock()
		delete(s.jobs, name)
		s.mu.Unlock()
		s.poke()
	})
}

// retryJob is the time after which a job is tried again.
const retryJob = 30 * time.Second

// from returns the first position for a worker without a checkpoint.
func (s *supervisor) from() event.Position {
	if s.program.Kind == program.Model {
		return 1
	}
	return s.plan.row.Start
}
