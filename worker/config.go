package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/internal/telemetry"
	"github.com/riffle-go/riffle/store"
)

// Defaults of a Config.
const (
	// DefaultLeaseTTL is how long a lease lasts unless it is renewed.
	DefaultLeaseTTL = 10 * time.Second
	// DefaultStateCache is the estimated size, in bytes, of the live states that a model keeps.
	DefaultStateCache = 64 << 20
)

// Config says what a worker works on. Store, Program and Key are required.
type Config struct {
	// Store is read and written; reads that decide go to its primary.
	Store *store.Store
	// Program is the compiled projection. Its Fault must be nil.
	Program *program.Program
	// Key is the subscriber key to claim; its Projection is the program's name.
	Key store.SubscriberKey
	// Worker identifies this worker in the lease. Default: a new id.
	Worker event.ID

	// From is the first position to read when the subscriber has no checkpoint yet. Default 1.
	From event.Position
	// Until, when set, ends Run with nil as soon as everything up to this position is
	// committed. Nothing beyond it is read. A paused or halted subscriber then ends Run with a
	// *StateError. Default 0: Run goes on.
	Until event.Position
	// Skips are events that an operator skipped in whatever generation.
	Skips []store.Skip

	// LeaseTTL is how long the lease lasts without a renewal. Default DefaultLeaseTTL.
	LeaseTTL time.Duration
	// Takeover claims the lease from a worker that holds it, after asking it to drain and
	// waiting one LeaseTTL for it. Default: wait until it is free. It is done once; a worker that
	// is itself asked to drain stands by.
	Takeover bool
	// Renewer renews the lease together with others. Default: the worker renews it itself, at a
	// third of the TTL.
	Renewer Renewer

	// Activate, when set, says that the worker rebuilds: it builds the generation of Key beside
	// the one that is active. A failing event halts it. When at most a page is left to the head,
	// the worker asks Activate for the switch to put into a commit with this checkpoint; nil means
	// not yet, and it is asked again after the next commit, or some time later. The callback may
	// read the store; it runs in the worker's goroutine. When the commit is refused because what
	// the switch expects is no longer so, Activate is asked again. After the switch the worker goes
	// on as that of the active generation: it is no longer Rebuilding, and OnChange is told.
	Activate func(ctx context.Context, checkpoint event.Position) (*store.Activation, error)
	// Throttle, when set, is asked between the pages of a rebuild how long to pause.
	Throttle func() time.Duration

	// StateCache bounds the memory for live states of a model, an estimate in bytes. States that
	// are not committed yet are kept beyond it. Default DefaultStateCache.
	StateCache int64

	// Telemetry records what the worker does. Default: nothing is recorded.
	Telemetry *telemetry.Subscription
	// ActiveTelemetry replaces Telemetry when a rebuild has become active. Default: Telemetry.
	ActiveTelemetry *telemetry.Subscription
	// Logger gets lifecycle changes at Info, retries at Warn, parked events and halts at Error;
	// never a payload. Default: that of the store.
	Logger *slog.Logger
	// OnChange, when set, is called after State or Err of the Status changed, in the worker's
	// goroutine and without a lock held: it must be quick, and may call the worker's methods
	// that do not wait.
	OnChange func(Status)

	_ struct{}
}

// Renewer keeps leases alive, many by one ticker.
type Renewer interface {
	// Add renews l from now on, until remove is called. lost is told the error of every renewal
	// that fails: ErrLeaseLost ends the work; after another error the worker goes on as long as
	// its lease cannot have run out, and tries to renew it itself. lost does not block. After
	// remove has returned, lost is called no more.
	Add(l *store.Lease, lost func(error)) (remove func())
}

// withDefaults returns a copy with every default filled in, or all that is wrong with it.
func (c Config) withDefaults() (Config, error) {
	var faults []error
	invalid := func(field, reason string) {
		faults = append(faults, &store.InvalidError{Field: "Config." + field, Reason: reason})
	}
	switch {
	case c.Program == nil:
		invalid("Program", "is nil; it comes from the definition of a projection")
	case c.Program.Fault != nil:
		faults = append(faults, c.Program.Fault)
	case c.Key.Projection != c.Program.Name:
		invalid("Key", "is of "+c.Key.Projection+", the program is "+c.Program.Name)
	}
	switch {
	case c.Store == nil:
		invalid("Store", "is nil; open one, for example with pebblestore.Open")
	case c.Logger == nil:
		c.Logger = c.Store.Options().Logger
	}
	switch {
	case c.LeaseTTL < 0:
		invalid("LeaseTTL", "is negative; 0 is the default")
	case c.LeaseTTL == 0:
		c.LeaseTTL = DefaultLeaseTTL
	}
	switch {
	case c.StateCache < 0:
		invalid("StateCache", "is negative; 0 is the default")
	case c.StateCache == 0:
		c.StateCache = DefaultStateCache
	}
	if c.Activate != nil && c.Program != nil && c.Program.Kind == program.Effect {
		invalid("Activate", "is set, but an effect cannot be rebuilt")
	}
	if c.Worker.IsZero() {
		c.Worker = event.NewID()
	}
	if c.From == 0 {
		c.From = 1
	}
	if c.ActiveTelemetry == nil {
		c.ActiveTelemetry = c.Telemetry
	}
	return c, errors.Join(faults...)
}
