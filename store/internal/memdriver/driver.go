package memdriver

import (
	"cmp"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// Options are the optional settings of a Driver. The zero value is a right driver.
type Options struct {
	// Naive are the rules to break. Default: none.
	Naive Naive
	// Faults answer in the driver's place. Default: none.
	Faults Faults
	// Limits that differ from store.PortableLimits; a zero field keeps the portable one.
	Limits store.Limits
	// Clock stamps events. Default time.Now. Leases are always judged by package time.
	Clock func() time.Time
	// Durable makes Traits promise durability, for tests whose crashes are calls of Crash.
	Durable bool
	_       struct{}
}

// Faults are called without a lock of the driver held, so they may block and may call the
// driver, except for Close, Crash and Reopen.
type Faults struct {
	// BeforeCommit is called before a Txn is looked at. With an error nothing is written and
	// the error is Commit's answer.
	BeforeCommit func(*store.Txn) error
	// AfterCommit is called after a Txn is applied and durable. An error is Commit's answer in
	// place of the result; store.ErrUnknown makes the outcome unknown.
	AfterCommit func(*store.Txn, store.Result) error
	// Read is called before a scan. An error is Read's answer.
	Read func(store.Scan) error
	_    struct{}
}

// Driver is an in-memory store.Driver with every optional ability but store.Maintainer.
// It is safe for concurrent use.
type Driver struct {
	opts    Options
	history event.ID

	calls   sync.WaitGroup // in flight
	entered atomic.Uint64  // calls so far; see window
	done    chan struct{}  // closed by Close
	failed  chan struct{}  // closed by Fail

	mu        sync.Mutex
	closed    bool
	failure   error
	log       []change
	durable   int // so many entries of log survive a crash
	state     state
	leases    map[string]lease
	published chan struct{} // closed and replaced when the head moves
	freed     chan struct{} // closed and replaced when a lease ends or changes hands
	spoilt                  // what only broken drivers need
}

// New returns an empty driver with a History of its own.
func New(o Options) *Driver { return replay(o, event.NewID(), nil) }

func replay(o Options, history event.ID, log []change) *Driver {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	d := &Driver{
		opts:      o,
		history:   history,
		done:      make(chan struct{}),
		failed:    make(chan struct{}),
		log:       log,
		durable:   len(log),
		state:     newState(o.Naive),
		leases:    map[string]lease{},
		published: make(chan struct{}),
		freed:     make(chan struct{}),
	}
	for _, c := range log {
		d.state.apply(c)
	}
	d.replaySpoilt()
	return d
}

// enter begins a call; each one that began without an error must leave.
func (d *Driver) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil && !d.breaks(CancelledIsWritten) {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return store.ErrClosed
	}
	d.calls.Add(1)
	d.entered.Add(1)
	return nil
}

func (d *Driver) leave() { d.calls.Done() }

// Close refuses new calls, answers those that wait with store.ErrClosed, and waits for
// the others. Everything applied is durable afterwards. Closing twice is no error.
func (d *Driver) Close() error {
	d.mu.Lock()
	if !d.closed {
		d.closed = true
		d.durable = len(d.log)
		close(d.done)
	}
	d.mu.Unlock()
	d.calls.Wait()
	return nil
}

// Reopen closes the driver and returns a new one with the same options and everything
// that was applied.
func (d *Driver) Reopen() *Driver {
	d.Close() // cannot fail
	d.mu.Lock()
	defer d.mu.Unlock()
	return replay(d.opts, d.history, d.log[:len(d.log):len(d.log)])
}

// Crash returns a new driver with the same options and only what was durable at this
// moment. The driver itself goes on; the two share nothing that changes.
func (d *Driver) Crash() *Driver {
	d.mu.Lock()
	defer d.mu.Unlock()
	return replay(d.opts, d.history, d.survivors())
}

// noSyncDelay is how long a NoSync Txn may stay without being durable. The driver uses
// it up, so that a test of a crash loses what it may lose.
const noSyncDelay = 100 * time.Millisecond

// settle makes durable what has waited long enough, and returns the durable length of
// the log.
func (d *Driver) settle() int {
	for d.durable < len(d.log) && !d.breaks(VisibleBeforeDurable) &&
		time.Since(d.log[d.durable].at) >= noSyncDelay {
		d.durable++
	}
	return d.durable
}

// Sync makes everything applied so far durable.
func (d *Driver) Sync(ctx context.Context) error {
	if err := d.enter(ctx); err != nil {
		return err
	}
	defer d.leave()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failure != nil {
		return d.failure
	}
	d.durable = len(d.log)
	return nil
}

// Fail puts the driver in its failed state for good. The first cause counts.
func (d *Driver) Fail(cause error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failure == nil {
		d.failure = &store.FailedError{Cause: cause}
		close(d.failed)
	}
}

// Failed is closed when Fail is called.
func (d *Driver) Failed() <-chan struct{} { return d.failed }

// Err is nil before Fail was called, and a *store.FailedError after it.
func (d *Driver) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failure
}

// Head returns the end of the log.
func (d *Driver) Head(ctx context.Context) (store.Head, error) {
	if err := d.enter(ctx); err != nil {
		return store.Head{}, err
	}
	defer d.leave()
	d.mu.Lock()
	defer d.mu.Unlock()
	last := d.state.last()
	return store.Head{Position: last.Position, Time: last.Time, History: d.history}, nil
}

// Traits promises everything but durability, unless Options says so.
func (d *Driver) Traits() store.Traits {
	return store.Traits{
		Dense: true, Ordered: true, Backward: true, AtomicEmits: true,
		MonotoneTime: true, ReliableWake: true, Sole: true, Durable: d.opts.Durable,
	}
}

// Limits are the portable ones with those of Options over them.
func (d *Driver) Limits() store.Limits {
	l, p := d.opts.Limits, store.PortableLimits()
	return store.Limits{
		EventBytes:   cmp.Or(l.EventBytes, p.EventBytes),
		AppendEvents: cmp.Or(l.AppendEvents, p.AppendEvents),
		AppendBytes:  cmp.Or(l.AppendBytes, p.AppendBytes),
		StateBytes:   cmp.Or(l.StateBytes, p.StateBytes),
		CommitItems:  cmp.Or(l.CommitItems, p.CommitItems),
		CommitBytes:  cmp.Or(l.CommitBytes, p.CommitBytes),
		KeyBytes:     cmp.Or(l.KeyBytes, p.KeyBytes),
		Examine:      cmp.Or(l.Examine, p.Examine),
	}
}
