package engine

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/worker"
)

// Defaults of a Config.
const (
	// DefaultLeaseTTL is how long a lease lasts unless it is renewed.
	DefaultLeaseTTL = worker.DefaultLeaseTTL
	// DefaultShutdownTimeout is how long a drain may take.
	DefaultShutdownTimeout = 20 * time.Second
	// DefaultStateCache is the memory, in bytes, for the live states of all models together.
	DefaultStateCache = 128 << 20
	// DefaultBehind is how many events a projection may be behind and still be ready.
	DefaultBehind = 1000
	// DefaultNoProgress is how long a projection that is behind may make no progress.
	DefaultNoProgress = time.Minute

	minLeaseTTL   = 100 * time.Millisecond
	minStateCache = 1 << 20 // of one model
)

// Config says what an engine runs. Only Store is required; an engine without projections
// shows what is stored and runs nothing.
type Config struct {
	// Store holds the events, and what the projections keep. The engine does not close it, and
	// uses its logger and its telemetry.
	Store *store.Store
	// Projections are run for as long as Run runs. The slice is copied.
	Projections []projection.Projection

	// LeaseTTL is how long after the death of a worker another one takes its place; leases are
	// renewed at a third of it. Default DefaultLeaseTTL (10 s), at least 100 ms.
	LeaseTTL time.Duration
	// ShutdownTimeout is how long workers may take to finish what they have at hand, after the
	// end of Run's context; then their handlers are cancelled. Default DefaultShutdownTimeout
	// (20 s).
	ShutdownTimeout time.Duration
	// Takeover takes, once, at the start, the leases that another engine holds, after asking
	// its workers to drain and waiting one LeaseTTL for them. Default: stand by until a lease
	// is free.
	Takeover bool
	// StateCache bounds the memory for live states of models, an estimate in bytes. All models
	// share it evenly, at least 1 MiB each; one that is rebuilt has its share twice. Default
	// DefaultStateCache (128 MiB).
	StateCache int64
	// Ready says when Health calls the engine ready.
	Ready Ready

	_ struct{}
}

// Ready is the rule of readiness: an engine is not ready while a projection is behind and
// makes no progress. One that is far behind and moves is ready; so is one that stands
// still with nothing to do, and one that an operator paused.
type Ready struct {
	// Behind is how many events a projection may be behind. Default DefaultBehind (1,000).
	Behind uint64
	// NoProgress is how long it may stand still then. Default DefaultNoProgress (1 min).
	NoProgress time.Duration
	_          struct{}
}

// withDefaults returns a copy with the defaults filled in, and the programs of the
// projections, or everything that is wrong.
func (c Config) withDefaults() (Config, []*program.Program, error) {
	c.Projections = slices.Clone(c.Projections)
	var faults faults
	if c.Store == nil {
		faults.add("Store", "is nil; open one, for example with pebblestore.Open")
	}
	for _, d := range []struct {
		field    string
		value    *time.Duration
		standard time.Duration
		least    time.Duration
	}{
		{"LeaseTTL", &c.LeaseTTL, DefaultLeaseTTL, minLeaseTTL},
		{"ShutdownTimeout", &c.ShutdownTimeout, DefaultShutdownTimeout, 0},
		{"Ready.NoProgress", &c.Ready.NoProgress, DefaultNoProgress, 0},
	} {
		switch {
		case *d.value == 0:
			*d.value = d.standard
		case *d.value < 0:
			faults.add(d.field, "is negative; 0 is the default")
		case *d.value < d.least:
			faults.add(d.field, fmt.Sprintf("is %v; the least is %v", *d.value, d.least))
		}
	}
	switch {
	case c.StateCache < 0:
		faults.add("StateCache", "is negative; 0 is the default")
	case c.StateCache == 0:
		c.StateCache = DefaultStateCache
	}
	if c.Ready.Behind == 0 {
		c.Ready.Behind = DefaultBehind
	}
	return c, c.programs(&faults), errors.Join(faults...)
}

// programs compiles the projections.
func (c Config) programs(faults *faults) []*program.Program {
	programs := make([]*program.Program, 0, len(c.Projections))
	names := make(map[string]bool, len(c.Projections))
	for i, def := range c.Projections {
		field := fmt.Sprintf("Projections[%d]", i)
		if isNil(def) {
			faults.add(field, "is nil")
			continue
		}
		p := def.Program()
		if names[p.Name] {
			faults.add(field, fmt.Sprintf("has the name %q of another one; names are the stored identity and must differ", p.Name))
		}
		names[p.Name] = true
		if p.Fault != nil {
			*faults = append(*faults, p.Fault)
			continue
		}
		programs = append(programs, p)
	}
	checkRenames(programs, names, faults)
	return programs
}

// checkRenames finds renames that would take what another projection works with.
func checkRenames(programs []*program.Program, names map[string]bool, faults *faults) {
	from := make(map[string]string)
	for _, p := range programs {
		old := p.RenamedFrom
		if old == "" {
			continue
		}
		field := fmt.Sprintf("Projections: RenamedFrom of %q", p.Name)
		switch {
		case names[old]:
			faults.add(field, fmt.Sprintf("is %q, which is a projection of this engine too", old))
		case from[old] != "":
			faults.add(field, fmt.Sprintf("is %q, as that of %q is", old, from[old]))
		case p.Kind == program.Sink:
			faults.add(field, "is set, but a sink's checkpoint is in its own database: rename it there, or keep the name")
		}
		from[old] = p.Name
	}
}

// isNil also finds nil pointers of the definitions' types.
func isNil(def projection.Projection) bool {
	switch d := def.(type) {
	case nil:
		return true
	case *projection.Effect:
		return d == nil
	case *projection.Sink:
		return d == nil
	default:
		return false
	}
}

// faults collects what is wrong with a Config.
type faults []error

func (f *faults) add(field, reason string) {
	*f = append(*f, &store.InvalidError{Field: "Config." + field, Reason: reason})
}
