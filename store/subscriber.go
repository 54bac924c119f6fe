package store

import (
	"fmt"
	"time"

	"github.com/riffle-go/riffle/event"
)

// SubscriberKey is the stored identity of one running projection. Leases and checkpoints
// hang on it.
type SubscriberKey struct {
	Projection string
	Generation uint32
	Segment    uint16 // always 0 for now; part of the stored key, so that segments can come
}

func (k SubscriberKey) String() string {
	return fmt.Sprintf("%s/%d/%d", k.Projection, k.Generation, k.Segment)
}

// SubscriberInfo is what a store knows of a subscriber key.
type SubscriberInfo struct {
	Key        SubscriberKey
	Checkpoint event.Position // everything up to here is committed
	Head       event.Position // as it was at the last commit
	InHand     event.Position // the event in hand of a worker that goes one by one; 0 is none
	Paused     string         // why it is paused; "" is not paused
	Wish       Wish
	Worker     event.ID // who holds the lease; zero is nobody
	Term       uint64   // of the last claim; 0 is never claimed
	Until      time.Time
	CreatedAt  time.Time // of the first commit
	UpdatedAt  time.Time // of the last commit
	_          struct{}
}

// Wish is what an operator asked of a subscriber: it is stored, so that it survives a
// restart, and the worker obeys it.
type Wish struct {
	Paused string    // why; "" is not paused
	Halted string    // the worker stopped itself: why
	Drain  event.ID  // a worker that wants to take over
	Retry  []string  // keys whose rows to try again now; "" is all
	At     time.Time // of the last change
	_      struct{}
}

// SnapshotKey names a state of a model.
type SnapshotKey struct {
	Projection string
	Generation uint32
	Key        string
}

// Snapshot is a serialized state and the position it is valid at.
type Snapshot struct {
	Key         SnapshotKey
	State       []byte
	ContentType string
	Revision    int            // of the projection
	Version     uint64         // of the stream, where the state is of one stream
	Position    event.Position // last folded
	_           struct{}
}

// RowState says what has become of an event that a handler could not process.
type RowState uint8

// The states of a Row.
const (
	Waiting RowState = iota + 1 // will be tried again when it is due
	Parked                      // until someone retries or skips it
	Skipped                     // never again, in later generations too
)

func (s RowState) String() string {
	switch s {
	case Waiting:
		return "waiting"
	case Parked:
		return "parked"
	case Skipped:
		return "skipped"
	default:
		return fmt.Sprintf("RowState(%d)", uint8(s))
	}
}

// Row is an event that was set aside: one that failed, or one that came later for the
// same key and must keep its order behind it (Attempts is then 0).
type Row struct {
	Key      string
	Position event.Position
	State    RowState
	Attempts int
	First    string    // the first error
	Last     string    // the last error
	Due      time.Time // of a waiting row: when to try again
	Since    time.Time // when it was set aside
	Updated  time.Time
	// Unkeyed says that the keys of the event could not be found: Key is the id of its stream.
	Unkeyed bool
	_       struct{}
}

// RowKey names a Row of a subscriber.
type RowKey struct {
	Key      string
	Position event.Position
}

// Commit is what a worker writes at once: checkpoint, states, rows, emitted events. It is
// a compare-and-swap: refused with ErrLeaseLost unless the lease's term is the stored one
// and the stored checkpoint is From.
type Commit struct {
	From event.Position // the checkpoint this commit starts from
	To   event.Position // the new checkpoint; at least From

	Save   []Snapshot // changed states; Key.Projection and Key.Generation are the lease's own
	Remove []string   // keys of states to remove

	Rows     []Row    // rows to write
	RowsDone []RowKey // rows to remove

	Emit []Batch // events to append, in order

	InHand event.Position // the event in hand, durable before it is handled; 0 clears it

	Activate *Activation // the switch of a generation, at the end of a rebuild

	// Lazy lets the commit join the next group and become durable up to 100 ms later. It is
	// ignored with Emit, Activate or InHand.
	Lazy bool
	_    struct{}
}

// Activation makes the lease's generation the active one in the commit that carries it,
// on condition that the old generation's checkpoint is still OldCheckpoint, and raises the
// old generation's term.
type Activation struct {
	Row           ProjectionRow // the projection's row as it shall be, at the revision it was read
	Old           SubscriberKey
	OldCheckpoint event.Position
	_             struct{}
}

// ProjectionRow is what a store knows of a projection, whatever runs.
type ProjectionRow struct {
	Name        string
	Kind        string // "model", "effect", "sink"
	Active      uint32 // the generation that is read
	Next        uint32 // the number of the next generation; never used twice, also after a delete
	Start       event.Position
	Generations []Generation
	Skips       []Skip
	CreatedAt   time.Time
	SwitchedAt  time.Time // of the last switch
	Deleted     bool      // only Next still counts
	Revision    uint64    // of the record; 0 when there is none yet
	_           struct{}
}

// Generation is one build of a projection.
type Generation struct {
	Number      uint32
	Revision    int
	Fingerprint string // of the state's shape
	Filter      string // of what it reads
	State       GenerationState
	CreatedAt   time.Time
	RetiredAt   time.Time // when another became active
	_           struct{}
}

// GenerationState says what a generation is for.
type GenerationState uint8

// The states of a Generation.
const (
	Building GenerationState = iota + 1 // a rebuild writes it
	Active                              // it is read
	Retired                             // it may be deleted
)

func (s GenerationState) String() string {
	switch s {
	case Building:
		return "building"
	case Active:
		return "active"
	case Retired:
		return "retired"
	default:
		return fmt.Sprintf("GenerationState(%d)", uint8(s))
	}
}

// Skip is an event that an operator skipped, for every later generation.
type Skip struct {
	Key      string
	Position event.Position
}
