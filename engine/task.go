package engine

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/telemetry"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/worker"
)

// task is one run of one worker.
type task struct {
	supervisor *supervisor
	key        store.SubscriberKey
	worker     *worker.Worker
	done       chan struct{} // closed when the run has ended
	err        error         // how; set before done is closed

	mu   sync.Mutex
	role role
	stop bool // asked to drain
}

// newTask makes a worker; the supervisor's mutex is held.
func (s *supervisor) newTask(ses *session, key store.SubscriberKey, role role, takeover bool) (*task, error) {
	t := &task{supervisor: s, key: key, role: role, done: make(chan struct{})}
	c := worker.Config{
		Store: s.store, Program: s.program, Key: key, From: s.from(), Skips: s.plan.row.Skips,
		LeaseTTL: s.engine.config.LeaseTTL, Takeover: takeover, Renewer: ses.renewer,
		StateCache: s.cache, Telemetry: s.meter, Logger: s.engine.logger, OnChange: t.onChange,
	}
	if role == building {
		c.Telemetry, c.ActiveTelemetry = s.rebuilds(), s.meter
		c.Activate = func(ctx context.Context, checkpoint event.Position) (*store.Activation, error) {
			return s.activate(ctx, key, checkpoint)
		}
		rest := newThrottle(s.store)
		c.Throttle = func() time.Duration { return rest.pauseFor(t.worker.Status().Backlog, s.program.PageSize) }
	}
	var err error
	t.worker, err = worker.New(c)
	return t, err
}

// run works, and turns a panic of the worker itself into an error.
func (t *task) run(ctx context.Context) {
	defer t.supervisor.poke()
	defer close(t.done)
	defer func() {
		if p := recover(); p != nil {
			t.err = fmt.Errorf("engine: the worker of %s panicked: %v\n%s", t.key, p, debug.Stack())
		}
	}()
	t.err = t.worker.Run(ctx)
}

// onChange runs in the worker's goroutine.
func (t *task) onChange(st worker.Status) {
	t.mu.Lock()
	// A claim may come after the generation was replaced, since a standby waits for long; and
	// a worker that no longer rebuilds has made the switch.
	look := st.State == worker.Starting || t.role == building && st.State != worker.Rebuilding
	t.mu.Unlock()
	if look {
		t.supervisor.poke()
	}
	t.supervisor.changed.fire()
}

// setRole says what the plan wants of the task now. A worker that made the switch itself
// goes on; one that stood by while another made it still means to rebuild, and ends.
func (t *task) setRole(r role) {
	t.mu.Lock()
	stale := t.role == building && r == serving && t.worker.Status().Term == 0
	t.role = r
	t.mu.Unlock()
	if stale {
		t.drain()
	}
}

func (t *task) meter() *telemetry.Subscription {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.role == building {
		return t.supervisor.rebuilds()
	}
	return t.supervisor.meter
}

// drain asks the worker to finish what it has in hand and to end.
func (t *task) drain() {
	t.mu.Lock()
	t.stop = true
	t.mu.Unlock()
	t.worker.Drain()
}

func (t *task) draining() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stop
}

func (t *task) ended() bool {
	select {
	case <-t.done:
		return true
	default:
		return false
	}
}

const (
	restartFirst = 50 * time.Millisecond
	restartMost  = 30 * time.Second
)

// keeper decides when a worker that ended unasked is started again: at once after it made
// progress, else later and later.
type keeper struct {
	backoff   *backoff.ExponentialBackOff
	position  event.Position // of the last end
	notBefore time.Time
	restarts  uint64
	err       error // of the last end
}

func newKeeper() *keeper {
	return &keeper{backoff: backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(restartFirst),
		backoff.WithMultiplier(2),
		backoff.WithMaxInterval(restartMost),
		backoff.WithMaxElapsedTime(0), // for as long as it is wanted
	)}
}

// failed notes that the worker ended with its checkpoint there.
func (k *keeper) failed(at event.Position) {
	if at > k.position {
		k.backoff.Reset()
		k.position = at
	}
	k.notBefore = time.Now().Add(k.backoff.NextBackOff())
}
