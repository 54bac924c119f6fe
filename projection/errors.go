package projection

import (
	"errors"
	"fmt"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
)

// The sentinels to branch on with errors.Is.
var (
	// ErrRebuilding: the stored states were built by another definition and cannot be served.
	// See [RebuildingError].
	ErrRebuilding = errors.New("projection: the model is being rebuilt")
	// ErrTooFarBehind: LoadKey would have to read more than MaxBehind events. Wait for the
	// model to catch up, or use Get.
	ErrTooFarBehind = errors.New("projection: the model is too far behind to be read as of now")
	// ErrUseRebuild: a model cannot be rewound; engine.Rebuild builds it again.
	ErrUseRebuild = errors.New("projection: models are not rewound, rebuild them")
	// ErrWaitSelf: a handler waits for its own projection, which waits for the handler.
	ErrWaitSelf = errors.New("projection: a handler cannot wait for its own projection")
)

// MaxBehind is how many events LoadKey reads beyond the committed state.
const MaxBehind = 10_000

// FoldError says which event a Load or Decide could not fold. There is no state then: one
// with an event left out would be a lie.
type FoldError struct {
	Model    string
	Key      string // of the state; the id of the stream in Load
	Position event.Position
	Type     event.Type
	Err      error // what the fold returned
}

func (e *FoldError) Error() string {
	return fmt.Sprintf("projection: %s cannot fold %s at position %d into %q: %v", e.Model, e.Type, e.Position, e.Key, e.Err)
}

// ErrorType is the error.type attribute of telemetry.
func (*FoldError) ErrorType() string { return "fold" }

func (e *FoldError) Unwrap() error { return e.Err }

// RebuildingError says how far a rebuild is. It matches [ErrRebuilding].
type RebuildingError struct {
	Model    string
	Stored   int            // revision of the stored states
	Wanted   int            // revision of the definition that asked
	Position event.Position // how far the rebuild is; 0 when none has begun
	Head     event.Position // where it has to get to
}

func (e *RebuildingError) Error() string {
	if e.Stored > e.Wanted {
		return fmt.Sprintf("projection: the states of %s are of revision %d, this code is of revision %d; deploy newer code", e.Model, e.Stored, e.Wanted)
	}
	return fmt.Sprintf("projection: the states of %s were built by another definition; its rebuild is at position %d of %d", e.Model, e.Position, e.Head)
}

// ErrorType is the error.type attribute of telemetry.
func (*RebuildingError) ErrorType() string { return "rebuilding" }

// Is matches ErrRebuilding.
func (*RebuildingError) Is(target error) bool { return target == ErrRebuilding }

// KeyError says that the keys of an event cannot be found: its payload does not decode, or
// a key is invalid.
type KeyError = program.KeyError

// UnhandledError says that a strict projection met an event that no handler takes.
type UnhandledError = program.UnhandledError
