package store

import (
	"time"

	"github.com/riffle-go/riffle/event"
)

// Txn is what a driver writes at once.
//
// Order of work: guards are checked, then the kept ids of appends that say Once, then the
// expectations of the appends in order, each against what earlier appends of the same Txn
// wrote, then everything is applied. A
// refused Txn leaves nothing behind: no position, no version, no dictionary entry.
type Txn struct {
	Guards  []Guard
	Appends []Appending
	Puts    []Record
	Deletes []string // keys; deleting what is not there is no error

	// Fence lists keys of term records. Each existing one gets a new term, higher than any
	// before, as its revision, and the lease held under it ends. A record that does not exist
	// is created with an empty value.
	Fence []string

	NoSync bool // durable a little later; see Driver.Commit. Ignored when there are Appends.
	Import bool // events carry their times; legal only when they do not fall behind the head's
	_      struct{}
}

// Appending is one batch of a Txn, with its events encoded: ID, Name, SchemaVersion,
// ContentType, Data and Metadata are set, and Time for an import. The driver assigns
// position, version, routing key and time.
type Appending struct {
	Stream event.Stream
	Expect Expect

	// RoutingKey fixes the routing key when the stream begins. For a stream that exists, ""
	// keeps what it has, and another value than the stream's is *InvalidError.
	RoutingKey string
	Events     []event.Event

	// Once asks the driver to keep the ids, and to answer *DuplicateError when one is kept
	// already.
	Once bool
	_    struct{}
}

// Guard holds a Txn back unless the record has the revision; 0 also matches a record that
// does not exist. A guard that does not hold is a *GuardError.
type Guard struct {
	Key      string
	Revision uint64
}

// RecordSpaces are the first bytes that record keys may have: f for snapshots, j for
// projections, n for states, p for rows, s for subscribers. A driver that keeps records
// beside its own keys may rely on it.
const RecordSpaces = "fjnps"

// Record is a small piece of the runtime's own data: checkpoints, terms, states, rows. A
// driver stores it verbatim. Store chooses the revision; a put never has to read.
type Record struct {
	Key      string
	Value    []byte
	Revision uint64
}

// Result is what an append did.
type Result struct {
	First    event.Position // of its first event
	Position event.Position // of its last event; what engine.Wait takes
	Version  uint64         // of the last event of the first batch
	Time     time.Time      // when the events were committed
	Replayed bool           // the append was found in the store, done before; this is its first result
	_        struct{}
}

// Scan is a read as a driver sees it: resolved to positions.
type Scan struct {
	// Match selects events that fit any of its entries; none is every event. Names are as
	// stored: aliases are expanded already.
	Match      []Match
	RoutingKey *string // nil is every event; "" those without one

	From, To event.Position // inclusive; 0 is no bound

	// MinVersion leaves out lower versions. It is set only with exactly one Match that names
	// a stream and no event.
	MinVersion uint64
	Limit      int // at most so many events; at least 1
	Examine    int // at most so many index entries; at least 1
	Backward   bool

	// Into is memory that the driver may use for ScanResult.Events; what it holds may be
	// overwritten. nil is none.
	Into []event.Event
	_    struct{}
}

// ScanResult is a driver's page.
type ScanResult struct {
	Events []event.Event // data and metadata belong to the caller

	// Scanned is how far the driver looked, inclusive: going forward every matching event in
	// [From, Scanned] is in Events, going backward every one in [Scanned, To]. Forward it never
	// exceeds Head. Backward it is 1 when everything was looked at and From is 0.
	Scanned event.Position

	// More says that there may be matching events beyond Scanned. It is exact unless the
	// driver stopped at Examine.
	More bool

	Head event.Position // the durable head under which the scan ran
	_    struct{}
}

// StreamInfo describes a stream; Version 0 says that it has no events.
type StreamInfo struct {
	Version     uint64
	RoutingKey  string
	First, Last event.Position
	_           struct{}
}

// Head is the end of the log.
type Head struct {
	Position event.Position // 0 in an empty store
	Time     time.Time      // of the event at Position
	History  event.ID       // identifies this store's history; a restored backup has another
	_        struct{}
}
