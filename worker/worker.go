package worker

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// Worker works on one subscriber key. Its methods are safe for concurrent use; Run may be
// called once.
type Worker struct {
	config     Config
	store      *store.Store // reads the primary
	subscriber *store.Subscriber
	log        logger
	rec        recorder
	listen     func(wished func()) (stop func()) // for changes of the wish
	shared     bool                              // other processes may have wishes too

	// Only Run's goroutine touches these.
	halt      error // why this worker halted itself
	activated bool  // the rebuild is the active generation now
	yield     struct {
		to    event.ID // a worker that wishes to take over
		until time.Time
	}

	started atomic.Bool
	drain   chan struct{} // closed by Drain
	drained sync.Once
	nudge   chan struct{} // of capacity 1

	mu       sync.Mutex
	status   Status
	idle     bool // caught up, and asleep until an event comes that concerns it
	waiters  waiters
	requests []*request
	serving  bool   // a session takes requests
	over     bool   // Run has ended
	skips    *skips // added to under mu
}

// New makes a worker. All faults of the Config are reported at once.
func New(c Config) (*Worker, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	w := &Worker{
		config: c, store: c.Store.Primary(), subscriber: c.Store.Primary().Subscriber(c.Key),
		drain: make(chan struct{}), nudge: make(chan struct{}, 1),
		status: Status{Worker: c.Worker, Key: c.Key, State: Stopped},
		skips:  newSkips(c.Skips),
	}
	w.listen, w.shared = w.subscriber.OnWish, !w.store.Traits().Sole
	w.log = newLogger(c)
	w.rec.use(c.Telemetry)
	return w, nil
}

// Run works until it is told to stop. It returns nil after Drain and when Until is reached;
// the context's error when ctx ends: then running handlers are cancelled, what is not
// committed is dropped, and the lease is released; else what stopped it. Run returns when
// every handler has returned. Errors that match store.ErrLeaseLost mean that somebody
// else works on the key, or that an operator fenced it: run a new worker.
func (w *Worker) Run(ctx context.Context) (err error) {
	if w.started.Swap(true) {
		return &StateError{Key: w.config.Key, State: w.Status().State, Err: errors.New("Run may be called once")}
	}
	defer w.listen(w.Nudge)()
	defer func() {
		if again := protect(func() error { w.end(err); return nil }); again != nil {
			err = errors.Join(err, again)
		}
	}()
	return w.survive(ctx)
}

// survive turns a panic of the worker's own code, or of a logger or a callback that it calls,
// into an error.
func (w *Worker) survive(ctx context.Context) (err error) {
	defer recovered(&err)
	return w.live(ctx)
}

// Drain asks the worker to finish the event in hand, commit, release and return from Run. It
// does not wait and may be called at any time and more than once.
func (w *Worker) Drain() { w.drained.Do(func() { close(w.drain) }) }

func (w *Worker) draining() bool {
	select {
	case <-w.drain:
		return true
	default:
		return false
	}
}

// Nudge makes the worker look at its stored wish, its rows and the log now. It does not
// wait.
func (w *Worker) Nudge() {
	select {
	case w.nudge <- struct{}{}:
	default:
	}
}

// end makes what nobody will do any more fail, and reports the last state.
func (w *Worker) end(err error) {
	defer func() {
		w.mu.Lock()
		w.idle, w.over = false, true
		w.mu.Unlock()
		w.failRequests(Stopped, err)
		w.failWaiters(Stopped, err)
	}()
	w.change(func(s *Status) {
		s.State, s.Term, s.Err = Stopped, 0, err
	})
}

// headPatience bounds how long Status waits for a driver that asks over a network.
const headPatience = 100 * time.Millisecond

// withHead adds what depends on the end of the log. A worker that is idle is woken by what
// concerns it, so it has covered everything that was there before it was found idle.
func (w *Worker) withHead(st Status, idle bool) Status {
	ctx, cancel := context.WithTimeout(context.Background(), headPatience)
	defer cancel()
	head, err := w.store.Head(ctx)
	if err != nil {
		return st
	}
	if idle {
		w.mu.Lock()
		if w.idle {
			st.Covered = max(st.Covered, head.Position)
		}
		w.mu.Unlock()
	}
	if head.Position > st.Covered {
		st.Backlog = uint64(head.Position - st.Covered)
	}
	return st
}

// before is the checkpoint with which p is the next position.
func before(p event.Position) event.Position { return max(p, 1) - 1 }
