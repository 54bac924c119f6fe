package store

import (
	"context"
	"time"

	"github.com/riffle-go/riffle/event"
)

// A Driver moves bytes and keeps order. It is what an author of a new backend writes;
// everybody else uses [Store], which validates, encodes, measures and closes once for
// every driver. Package storetest holds the contract as tests.
//
// A driver is safe for concurrent use. It may assume that what a Store gives it is
// valid: names and ids checked, limits kept, events encoded. It owns nothing of what it
// is given after the call returned, and what it returns belongs to the caller.
//
// Errors: a driver answers with the sentinels and typed errors of this package where
// one fits ([ConflictError], [ErrGuard], [DuplicateError], [InvalidError] for a routing
// key that differs from its stream's, [ErrFailed], [ErrDiskFull]); anything else reaches
// the user wrapped.
type Driver interface {
	// Commit applies a Txn: all of it or nothing. When it returns nil everything in it is
	// durable, unless the Txn says NoSync: then it is applied, readable, and durable within
	// 100 ms or with the next synced commit, whichever is first. A Txn without Appends never
	// waits for the lock or the queue of an append that it does not share a group with.
	//
	// A refusal (*ConflictError, *DuplicateError, *GuardError) is answered when what it is
	// based on is durable and readable, so that Store can read it back.
	//
	// A context that ends while the Txn still waits in a queue takes it out again: nothing of
	// it is written. Once the driver has begun to write, Commit waits for the outcome.
	Commit(ctx context.Context, txn *Txn) (Result, error)

	// Read returns events in the order of their positions, no further than the durable head.
	Read(ctx context.Context, scan Scan) (ScanResult, error)

	// Stream describes one stream; a stream without events is the zero StreamInfo and no error.
	Stream(ctx context.Context, stream event.Stream) (StreamInfo, error)

	// Get returns one record, or ErrNotFound.
	Get(ctx context.Context, key string) (Record, error)

	// List returns at most limit records whose keys begin with prefix and are greater than
	// after, in byte order of their keys.
	List(ctx context.Context, prefix, after string, limit int) ([]Record, error)

	// Head returns the durable head. It does no input or output in an embedded store.
	Head(ctx context.Context) (Head, error)

	// Wait returns nil when the head is beyond after and an event that match selects may be
	// among the new ones. It is a hint: it may return early, and an aggregate in match covers
	// names that are stored later. An empty match is every event. With the end of ctx it
	// returns context.Cause of it, and ErrClosed when the store closes.
	Wait(ctx context.Context, after event.Position, match []Match) error

	// Close ends the driver: calls in flight are waited for, those that wait are answered
	// with ErrClosed. Store calls it once.
	Close() error
}

// A Leaser judges leases by the driver's own clock. Every driver that serves workers is
// one. Its key is the key of the subscriber's term record, which Store makes.
type Leaser interface {
	// Claim makes a lease: it takes a term higher than any before in this store, writes the
	// term record (Key, Value, Revision = the term) durably in the same step, and makes
	// Worker the holder for TTL. While another worker's lease runs, it answers *HeldError,
	// unless Force is set.
	Claim(ctx context.Context, claim Claim) (term uint64, err error)

	// Renew extends leases; the answers are in the order of the leases: nil or ErrLeaseLost.
	// It is one call for all leases of an engine.
	Renew(ctx context.Context, leases []LeaseRef) []error

	// Release ends a lease so that the next worker gets in at once. Releasing a lease that is
	// no longer held is ErrLeaseLost and changes nothing.
	Release(ctx context.Context, lease LeaseRef) error

	// Holder says who holds the lease of a term record now; the zero Holder is nobody.
	Holder(ctx context.Context, key string) (Holder, error)

	// WaitFree returns nil when nobody holds the lease of a term record.
	WaitFree(ctx context.Context, key string) error
}

// Claim is a request for a lease.
type Claim struct {
	Key    string // of the term record
	Value  []byte // of the term record
	Worker event.ID
	TTL    time.Duration
	Force  bool
	_      struct{}
}

// LeaseRef names a lease for a driver.
type LeaseRef struct {
	Key  string // of the term record
	Term uint64
	TTL  time.Duration // how long a renewal extends it
}

// Holder is who holds a lease, and until when by the driver's clock.
type Holder struct {
	Worker event.ID
	Term   uint64
	Until  time.Time
}

// Catalog is the optional ability to list what a store contains.
type Catalog interface {
	// Types lists every event type ever appended, sorted by aggregate, then name.
	Types(ctx context.Context) ([]event.Type, error)
	// Streams lists at most r.Limit streams of an aggregate by id, in byte order of the ids.
	Streams(ctx context.Context, a event.Aggregate, r Range) ([]event.Stream, error)
}

// TimeSeeker is the optional ability to find a position by time without scanning.
type TimeSeeker interface {
	// PositionAt returns the position of the first event at or after t; when there is none,
	// the position after the head.
	PositionAt(ctx context.Context, t time.Time) (event.Position, error)
}

// Maintainer is the optional ability to copy and to check a store while it is in use.
type Maintainer interface {
	Backup(ctx context.Context, dir string) error
	Verify(ctx context.Context, progress func(done, total uint64)) error
}

// Syncer is the optional ability to make everything applied so far durable now.
type Syncer interface {
	Sync(ctx context.Context) error
}

// Failer is implemented by drivers that can fail for good: Failed is closed when they do,
// and Err then says why.
type Failer interface {
	Failed() <-chan struct{}
	Err() error
}

// Limiter is implemented by drivers whose limits differ from [PortableLimits].
type Limiter interface {
	Limits() Limits
}

// Describer is implemented by drivers that promise more or less than the zero Traits says.
type Describer interface {
	Traits() Traits
}

// Traits are what a driver promises beyond the least. The conformance suite tests what
// they say. The zero value promises nothing of this.
type Traits struct {
	Dense        bool // positions are 1, 2, 3 … without a gap
	Ordered      bool // List and Streams answer in byte order
	Backward     bool // Read goes backward at the cost of a page
	AtomicEmits  bool // a Txn may hold guards, records and appends together
	MonotoneTime bool // an event's time is never before that of the event before it
	Durable      bool // what was acknowledged survives a crash of the machine
	ReliableWake bool // Wait never misses a matching event
	Sole         bool // while it is open, no other process writes to the store
	_            struct{}
}

// Limits bound what one call may carry. A request beyond a limit is answered with
// *InvalidError before anything is written. A zero field takes the driver's limit.
type Limits struct {
	EventBytes   int // payload and metadata of one event
	AppendEvents int // events in one Append or Commit
	AppendBytes  int // bytes of the events in one Append or Commit
	StateBytes   int // one state of a model or one snapshot
	CommitItems  int // states, rows and keys in one Commit
	CommitBytes  int // bytes of a Commit's states and rows
	KeyBytes     int // one record key, as stored
	Examine      int // index entries that one page may examine
	_            struct{}
}

// PortableLimits are what every driver can do. A program that stays within them runs on
// any driver.
func PortableLimits() Limits {
	return Limits{
		EventBytes: 1 << 20, AppendEvents: 1000, AppendBytes: 8 << 20, StateBytes: 1 << 20,
		CommitItems: 1000, CommitBytes: 1 << 20, KeyBytes: 512, Examine: 20_000,
	}
}
