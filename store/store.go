package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/telemetry"
)

// Store is an event store: what users hold, whatever the driver. It validates, encodes,
// keeps limits, measures, finds out unknown outcomes and closes, once for every driver.
//
// A Store is safe for concurrent use. Slices and strings that it returns belong to the
// caller; what it is given it does not keep after the call. Every method returns ErrClosed
// after Close, and the error of the context, which is [context.Cause] of it, when that has
// ended already or ends a wait.
type Store struct {
	*core
	reads Driver // serves Read, Events and the listings
}

// core is what a Store and its Primary share.
type core struct {
	driver  Driver
	leaser  Leaser // nil when the driver is none
	options Options
	schema  *event.Schema
	limits  Limits
	traits  Traits
	meter   *telemetry.Store

	// process tells the leases of this process from those of a process that died.
	process event.ID

	wishes wishes
	turns  turns
	// appending counts the appends that are in the driver.
	appending atomic.Int64

	gate    *gate
	closing context.Context // ends when Close begins: calls that wait for something stop
	stop    context.CancelFunc
	closed  chan struct{} // closed when Close has finished
	primary *Store

	unobserve func() // ends the metrics of the head
}

// New makes a Store of a driver; o may be nil. The Store closes the driver, and
// Options.Replica, when it is closed itself; when New fails they are still the caller's.
// All faults of the options are reported at once.
func New(d Driver, o *Options) (*Store, error) {
	if d == nil {
		return nil, &InvalidError{Field: "Driver", Reason: "is nil; open one, for example with pebblestore.Open"}
	}
	var opts Options
	if o != nil {
		opts = *o
	}
	if err := opts.Validate(limitsOf(d)); err != nil {
		return nil, err
	}
	if opts.Name == "" {
		opts.Name = "riffle"
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.Schema == nil {
		opts.Schema = event.NewSchema()
	}
	limits, err := limitsOf(d).lowered(opts.Limits)
	if err != nil {
		return nil, err
	}
	opts.Limits = limits
	meter, err := telemetry.NewStore(telemetry.StoreConfig{
		Name: opts.Name, TracerProvider: opts.TracerProvider, MeterProvider: opts.MeterProvider,
	})
	if err != nil {
		return nil, fmt.Errorf("store: instruments: %w", err)
	}
	c := &core{
		driver: d, options: opts, schema: opts.Schema, limits: limits, meter: meter,
		process: event.NewID(), gate: newGate(), closed: make(chan struct{}),
	}
	c.leaser, _ = d.(Leaser)
	if t, ok := d.(Describer); ok {
		c.traits = t.Traits()
	}
	c.closing, c.stop = context.WithCancel(context.Background())
	c.primary = &Store{core: c, reads: d}
	if err := c.observeHead(); err != nil {
		return nil, fmt.Errorf("store: instruments: %w", err)
	}
	if opts.Replica == nil {
		return c.primary, nil
	}
	return &Store{core: c, reads: opts.Replica}, nil
}

// Primary returns a handle that reads the primary also when Options.Replica is set: for
// those who must see what was just written. It shares everything else with s; closing
// either closes both.
func (s *Store) Primary() *Store { return s.primary }

// Options returns the options with the defaults filled in.
func (s *Store) Options() Options { return s.options }

// Limits returns what a call may carry: the driver's limits, lowered by Options.Limits.
func (s *Store) Limits() Limits { return s.limits }

// Traits returns what the driver promises beyond the least.
func (s *Store) Traits() Traits { return s.traits }

// Failed is closed when the driver fails for good: nothing can be written until the store
// is opened again, and Err says why. It is nil for a driver that cannot fail so.
func (s *Store) Failed() <-chan struct{} {
	if f, ok := s.driver.(Failer); ok {
		return f.Failed()
	}
	return nil
}

// Err returns why the store cannot be used: the cause of its failure (ErrFailed), else
// ErrClosed after Close, else nil.
func (s *Store) Err() error {
	if f, ok := s.driver.(Failer); ok {
		if err := f.Err(); err != nil {
			return err
		}
	}
	if s.gate.isShut() {
		return ErrClosed
	}
	return nil
}

// Close ends the store. New calls get ErrClosed at once, so do those that wait for
// something to happen; calls that are at work finish first. Close may be called twice, also
// at the same time: every call returns when the store is closed, and the first one
// returns the error of closing.
func (s *Store) Close() error {
	if !s.gate.shut() {
		<-s.closed
		return nil
	}
	defer close(s.closed)
	s.unobserve()
	s.stop()
	s.gate.wait()
	err := s.driver.Close()
	if s.options.Replica != nil {
		err = errors.Join(err, s.options.Replica.Close())
	}
	return wrap("close", err)
}

// ready is the first step of every public method.
func (c *core) ready(ctx context.Context) error {
	if c.gate.isShut() {
		return ErrClosed
	}
	return context.Cause(ctx)
}

// enter begins one driver call; when it returns nil, the gate must be left.
func (c *core) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		if c.gate.isShut() {
			return ErrClosed
		}
		return err
	}
	if !c.gate.enter() {
		return ErrClosed
	}
	return nil
}

// patient returns a context for a call that waits for something to happen: it ends with
// Close too, whose cause is ErrClosed.
func (c *core) patient(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.closing, func() { cancel(ErrClosed) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// ended returns the error for a call whose patient context may have ended.
func (c *core) ended(ctx context.Context, op string, err error) error {
	if err != nil && c.gate.isShut() && (ctx.Err() != nil || errors.Is(err, ErrClosed)) {
		return ErrClosed
	}
	return wrap(op, err)
}
