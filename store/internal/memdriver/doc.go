// Package memdriver is the reference driver of package store: the whole contract on one
// mutex, slices and maps, small enough to be checked by reading. Tests use it where a
// store is needed and its engine is not the subject; it is not for production, for it
// keeps everything twice and forgets it when the process ends.
//
// # How it works
//
// Every write becomes a change, the effects of one Txn with positions, versions and
// revisions filled in. A change is appended to a log and applied to the state that reads
// look at. The durable part of the driver is a prefix of that log: [Driver.Crash] replays
// the prefix into a new driver, [Driver.Reopen] replays everything. Leases are not in the
// log; they end with the driver, as those of an embedded store do.
//
// It starts no goroutines and reads the time from package time alone, so it works in
// synctest bubbles.
//
// # Breaking it
//
// [Options.Faults] lets a test answer in the driver's place before or after a Txn is
// applied. [Options.Naive] breaks single rules of the contract in the ways drivers get
// them wrong; the conformance suite proves itself on these.
//
// # Failure
//
// [Driver.Fail] puts the driver in the state of a failed disk: writes answer
// store.ErrFailed from then on, reads go on. After Close every call answers
// store.ErrClosed.
package memdriver
