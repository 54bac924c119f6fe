package program

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// Kind says what a projection makes of events.
type Kind uint8

// The kinds of projections.
const (
	Model  Kind = iota + 1 // states in the store
	Effect                 // something in the world, at least once
	Sink                   // rows in the user's database
)

// String is how the kind is stored in a projection's row.
func (k Kind) String() string {
	switch k {
	case Model:
		return "model"
	case Effect:
		return "effect"
	case Sink:
		return "sink"
	default:
		return fmt.Sprintf("Kind(%d)", uint8(k))
	}
}

// Program is a compiled projection. Every policy has its default filled in. Nobody
// modifies a Program after it was made; it is safe for concurrent use.
type Program struct {
	Name string
	Kind Kind

	// Match is what to read, by the current names of types. nil is every event, and only a
	// sink that was defined so has it.
	Match []store.Match
	// Handled is what the handlers take. It differs from Match when Strict reads whole
	// aggregates to find what nobody handles.
	Handled []store.Match
	// RoutingKey as in store.Query.
	RoutingKey *string
	Strict     bool // an event that no handler takes is a failure

	Start       store.Point   // of effects and sinks; the zero Point is the beginning
	Delay       time.Duration // before the first page
	PageSize    int
	Concurrency int // keys that an effect handles at the same time
	CommitEvery time.Duration

	Retry       Retry
	OnFailure   Failure
	OnChange    Change
	ParkUnkeyed bool // park an event whose Keys fail under its stream id, instead of halting

	Revision    int
	Fingerprint string // hash of the state's shape, of a model; else ""
	RenamedFrom string
	BatchEmits  bool // an event that emits does not end the commit
	Repeat      bool // an effect may be rewound

	// Fault is everything that is wrong with the definition, joined; nil when it can run.
	Fault error
	// Broken is the part of Fault that also stands in the way of reading: nothing in the
	// program may be called then.
	Broken error

	// Keys returns the keys that an event belongs to, without duplicates, each one valid
	// (see CheckKey). A model may have up to MaxKeys for an event, effects and sinks have
	// exactly one. None: nobody handles the event, and that is no failure. The error is a
	// *KeyError. An event that fails because of Strict has one key, and its handler
	// returns the *UnhandledError.
	Keys func(ev event.Event) ([]string, error)
	// PlainKeys says that Keys runs no code of the user.
	PlainKeys bool

	// Check returns the *UnhandledError of an event that nobody handles, when the program is
	// Strict; else nil. Folds and effects call it themselves, a worker of a sink has to.
	Check func(ev event.Event) error

	// The part of its Kind; the others are nil.
	Model  *ModelProgram
	Effect *EffectProgram
	Sink   *SinkProgram

	filters sync.Map // *event.Schema → string
}

// MaxKeys is how many states of a model one event may change.
const MaxKeys = 1000

// Handles says whether a handler takes events of this current type. It does not look at
// streams and routing keys.
func (p *Program) Handles(t event.Type) bool {
	if p.Handled == nil {
		return true
	}
	for _, m := range p.Handled {
		if m.Aggregate == t.Aggregate && (m.Name == "" || m.Name == t.Name) {
			return true
		}
	}
	return false
}

// Selects says whether the program reads the event: by type, stream and routing key.
func (p *Program) Selects(ev event.Event) bool {
	if p.RoutingKey != nil && *p.RoutingKey != ev.RoutingKey {
		return false
	}
	if p.Match == nil {
		return true
	}
	t := ev.Type()
	return slices.ContainsFunc(p.Match, func(m store.Match) bool {
		return m.Aggregate == t.Aggregate && (m.ID == "" || m.ID == ev.Stream.ID) && (m.Name == "" || m.Name == t.Name)
	})
}

// Query selects what the program reads, from a position on.
func (p *Program) Query(from event.Position) store.Query {
	return store.Query{Match: p.Match, RoutingKey: p.RoutingKey, From: store.AtPosition(from), Limit: p.PageSize}
}

// ModelProgram turns events into states. States are passed as any: a pointer that New or
// Decode made. One state belongs to one goroutine at a time.
type ModelProgram struct {
	// New returns the state of a key without events.
	New func() any
	// Decode reads a state of the program's own fingerprint. It does not keep the bytes.
	Decode func(s store.Snapshot) (any, error)
	// Encode returns bytes that the caller owns.
	Encode func(state any) (data []byte, contentType string, err error)
	// Size estimates the memory of a live state, in bytes, from the length of its encoding.
	Size func(encoded int) int

	// Fold applies to the state all folds of the event that are for the key, in the order
	// of their definition. The payload is decoded anew in each call, so that two states
	// never share memory. deleted says that the state is to be removed. After an error or
	// a panic the state is spoilt: it must be thrown away.
	Fold func(state any, key string, ev event.Event) (deleted bool, err error)

	// PerStream says that each state is folded from the one stream whose id is its key.
	PerStream bool

	// Convert reads a state of another fingerprint, to serve it during a rebuild; nil when
	// the definition has no conversion.
	Convert func(old store.Snapshot) (any, error)

	// JSON returns a state of the program's own fingerprint as JSON, whatever its codec, for
	// people. It does not keep the bytes.
	JSON func(s store.Snapshot) ([]byte, error)
	// LoadAt folds the state of a stream as it was at a point, as the model's own LoadAt does.
	LoadAt func(ctx context.Context, st *store.Store, at store.Point, s event.Stream) (Loaded, error)

	_ struct{}
}

// Loaded is a state that was folded on demand, without its type.
type Loaded struct {
	JSON     []byte         // the state, as ModelProgram.JSON gives it
	Position event.Position // as of this position
	Version  uint64         // of the stream; 0 when it had no events
	Revision int            // of the definition
	_        struct{}
}
