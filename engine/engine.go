package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/internal/telemetry"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// Engine runs projections. It is safe for concurrent use.
type Engine struct {
	config      Config
	store       *store.Store // reads the primary
	logger      *slog.Logger
	runtime     *telemetry.Runtime
	supervisors []*supervisor // in the order of the Config
	byName      map[string]*supervisor

	mu      sync.Mutex
	session *session // nil while nothing runs
	ran     bool     // Run was called
	ended   bool     // Run has ended
}

// New makes an engine; it reads and writes nothing. Everything that is wrong with the
// Config and with the definitions of its projections is reported at once.
func New(c Config) (*Engine, error) {
	c, programs, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	options := c.Store.Options()
	e := &Engine{
		config: c, store: c.Store.Primary(), logger: options.Logger, byName: make(map[string]*supervisor, len(programs)),
	}
	e.runtime, err = telemetry.NewRuntime(telemetry.RuntimeConfig{
		Store: options.Name, TracerProvider: options.TracerProvider, MeterProvider: options.MeterProvider,
	})
	if err != nil {
		return nil, fmt.Errorf("engine: instruments: %w", err)
	}
	models := 0
	for _, p := range programs {
		if p.Kind == program.Model {
			models++
		}
	}
	cache := max(c.StateCache/int64(max(models, 1)), minStateCache)
	for _, p := range programs {
		s := newSupervisor(e, p, cache)
		e.supervisors = append(e.supervisors, s)
		e.byName[p.Name] = s
	}
	return e, nil
}

// Store returns the store that the engine was made with.
func (e *Engine) Store() *store.Store { return e.config.Store }

// Projections returns the definitions that the engine was made with. The slice belongs to
// the caller.
func (e *Engine) Projections() []projection.Projection { return slices.Clone(e.config.Projections) }

// lookup finds the supervisor of a projection.
func (e *Engine) lookup(name string) (*supervisor, error) {
	if s, ok := e.byName[name]; ok {
		return s, nil
	}
	return nil, fmt.Errorf("%w: %q is not among the engine's projections", ErrUnknown, name)
}

// current returns the session that runs, or nil, and whether Run has ended.
func (e *Engine) current() (ses *session, ended bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.session, e.ended
}

// working returns the session that runs and is not draining, or nil.
func (e *Engine) working() *session {
	ses, _ := e.current()
	if ses == nil || ses.ending() {
		return nil
	}
	return ses
}

// Run runs the projections until ctx ends, and returns when everything has stopped. It may
// be called once. A CatchUp that is under way ends first.
//
// First it brings the stored rows of the projections up to date, durably: a new one gets
// its start, a changed one its new generation. What cannot be, such as another kind of
// projection under a stored name, is returned before anything runs.
//
// The end of ctx is a drain: each worker finishes the event in hand, commits and releases
// its lease, and Run returns nil. Workers that take longer than Config.ShutdownTimeout are
// cancelled; then Run returns a *ShutdownError that names them. Handlers get the values of
// ctx, not its end.
//
// When the store fails for good, or is closed, Run stops everything and returns that.
func (e *Engine) Run(ctx context.Context) error {
	ses, err := e.enterRun(ctx)
	if err != nil || ses == nil {
		return err
	}
	defer e.dismiss(ses, true)
	if err := ses.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // nothing ran, nothing to drain
		}
		return err
	}
	log := e.logger.With("store", e.store.Options().Name)
	log.InfoContext(ctx, "engine runs", "projections", len(e.supervisors))
	select {
	case <-ctx.Done():
	case <-ses.failed:
	}
	log.InfoContext(ctx, "engine drains")
	err = ses.end()
	log.InfoContext(ctx, "engine stopped")
	return err
}

// enterRun begins Run's session. A CatchUp that is under way ends first: it takes the
// values of its own context along. It returns nil when ctx ends before.
func (e *Engine) enterRun(ctx context.Context) (*session, error) {
	e.mu.Lock()
	again := e.ran
	e.ran = true
	e.mu.Unlock()
	if again {
		return nil, fmt.Errorf("%w: Run may be called once; make another engine to run again", ErrRunning)
	}
	for {
		ses, err := e.admit(ctx, 0)
		if !errors.Is(err, errBusy) {
			if err != nil {
				e.finish()
			}
			return ses, err
		}
		select {
		case <-ses.gone:
		case <-ctx.Done():
			e.finish()
			return nil, nil
		}
	}
}

// finish notes that Run has ended.
func (e *Engine) finish() {
	e.mu.Lock()
	e.ended = true
	e.mu.Unlock()
	e.notifyAll()
}

func (e *Engine) notifyAll() {
	for _, s := range e.supervisors {
		s.changed.fire()
	}
}
