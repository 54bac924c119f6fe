package memdriver

// Naive is a set of rules that a Driver breaks, each in a way that drivers get it wrong.
// The zero value breaks none.
type Naive uint64

// Appending.
const (
	// PositionBeforeCommit takes positions first and commits later: events appear behind
	// readers.
	PositionBeforeCommit Naive = 1 << iota
	// CheckThenWrite checks expectations, lets go of the lock, and writes.
	CheckThenWrite
	// CallersVersion numbers events by the version that the caller looked up.
	CallersVersion
	// PartialBatches leaves the batches before a conflict written.
	PartialBatches
	// RefusedTakesPosition uses up a position for a refused append.
	RefusedTakesPosition
	// RefusedLeavesType keeps the event types of a refused append in the catalog.
	RefusedLeavesType
	// RoutingKeyFollows lets a later append change a stream's routing key.
	RoutingKeyFollows
	// OnceThenWrite checks the ids of Once, lets go of the lock, and writes.
	OnceThenWrite
	// OnceForgotten loses the ids of Once when the store is opened again.
	OnceForgotten
	// CancelledIsWritten writes a Txn whose context had ended, and answers with the
	// context's error.
	CancelledIsWritten
	// KeepsCallersBytes stores slices that belong to the caller.
	KeepsCallersBytes
	// WallClock stamps the time of the clock, also when the clock steps back.
	WallClock
	// ImportTimesFall imports events whose times fall.
	ImportTimesFall
	// NulEndsID keeps stream ids like C strings.
	NulEndsID
	// JoinedKeys joins aggregate and id of a stream without an escape.
	JoinedKeys
)

// Reading, publishing, waking.
const (
	// VisibleBeforeDurable shows events that a crash would still lose.
	VisibleBeforeDurable Naive = 1 << (iota + 16)
	// NoSyncStaysVolatile never makes a NoSync Txn durable.
	NoSyncStaysVolatile
	// HeadAfterIterator reads the head later than the events.
	HeadAfterIterator
	// DictionaryLate publishes a new name after the events that have it.
	DictionaryLate
	// BackwardOffByOne goes one position too far at the end of a backward page.
	BackwardOffByOne
	// MoreAtLimit takes every full page for a sign of more.
	MoreAtLimit
	// ScannedBeyondLimit says of a page cut by Limit that everything was looked at.
	ScannedBeyondLimit
	// ScannedBeyondExamine says so of a page cut by Examine.
	ScannedBeyondExamine
	// ExamineIgnored examines without a bound.
	ExamineIgnored
	// RepeatsMatches returns an event once for each entry that it matches.
	RepeatsMatches
	// EmptyRoutingKeyIsAll takes the filter for events without a routing key for none.
	EmptyRoutingKeyIsAll
	// ToIsExclusive leaves out the last position of a range.
	ToIsExclusive
	// SharesItsBytes returns events whose data is its own.
	SharesItsBytes
	// WakesTooEarly wakes before the head has moved.
	WakesTooEarly
	// RegistersTooLate looks for events, lets go of the lock, and then begins to wait.
	RegistersTooLate
	// NamesWhenWaiting waits for the names that an aggregate had when Wait began.
	NamesWhenWaiting
	// CloseStrandsWaiters leaves those who wait waiting.
	CloseStrandsWaiters
)

// Records and leases.
const (
	// CommitsWithoutTerm ignores guards on term records.
	CommitsWithoutTerm Naive = 1 << (iota + 40)
	// CommitsWithoutFrom ignores guards on all other records.
	CommitsWithoutFrom
	// PutsBeforeGuards writes the puts of a Txn whose guards do not hold.
	PutsBeforeGuards
	// EventsBeforeGuards writes the events of a Txn whose guards do not hold.
	EventsBeforeGuards
	// PutsBeforeConflict writes the puts of a Txn whose appends conflict.
	PutsBeforeConflict
	// TermRestarts counts terms in the term record, and so from 1 after it is deleted.
	TermRestarts
	// TermFromRecords finds the last term, when the store is opened again, in the records
	// that are left.
	TermFromRecords
	// FenceKeepsTerm ignores Txn.Fence.
	FenceKeepsTerm
	// FenceKeepsLease raises the term and leaves the holder.
	FenceKeepsLease
	// ClaimsWithoutLock checks the holder, lets go of the lock, and claims.
	ClaimsWithoutLock
	// LeaseNeverExpires keeps a holder that does not renew.
	LeaseNeverExpires
	// RenewsStolenLease renews by key, whoever holds the lease.
	RenewsStolenLease
	// ReleasesStolenLease releases by key, whoever holds the lease.
	ReleasesStolenLease
	// ReleaseIsSilent does not wake those who wait for the lease.
	ReleaseIsSilent
	// ListsUnsorted lists keys by their length.
	ListsUnsorted
	// AfterIsInclusive lists the key after which it was to begin.
	AfterIsInclusive
	// SharesItsRecords returns values of records that are its own.
	SharesItsRecords
)

// breaks says whether any of the rules is broken.
func (n Naive) breaks(rules Naive) bool { return n&rules != 0 }

func (d *Driver) breaks(rules Naive) bool { return d.opts.Naive.breaks(rules) }
