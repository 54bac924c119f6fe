// Package store is the event store: appending events to streams, reading them in the order
// of their commits, and keeping what projections need: leases, checkpoints, states, and
// events set aside.
//
// A program holds a [Store], which is the same for every driver. Package pebblestore opens
// one in a directory:
//
//	st, err := pebblestore.Open("bank.db", nil)
//
// # Writing
//
// [Store.Append] appends batches of events to one or several streams, all or nothing. Each
// batch says what version its stream must have: [NoStream] (the default), [Exact], [Exists]
// or [Any]. Of several appends that expect the same version one succeeds; the others get a
// [ConflictError]. An append may be repeated after an error whose outcome is unclear: make
// the events with event.Of, so that they keep their ids.
//
// # Reading
//
// Positions number the events of a store in the order of their commits. A reader that goes
// forward sees every event exactly once, whatever is appended meanwhile, and nothing that a
// crash could still remove. [Store.Read] returns a page and cursors; [Store.Events] yields
// events over pages; [Store.Wait] returns when there is more to read. [Merge] reads several
// stores as one, and [Paginate] gives slices the same pages.
//
// # Subscribers
//
// A [Subscriber] is the stored identity of one running projection. A worker claims it and
// gets a [Lease], whose term is higher than that of every lease before. [Lease.Commit] writes
// the new checkpoint, changed states, rows of events set aside, and emitted events in one
// step, on condition that the term and the checkpoint are still those that the worker
// started from: safety does not depend on a clock.
//
//	free ──Claim──▶ held ──Renew──▶ held
//	  ▲              │
//	  └── Release, expiry, or a control write ──┘
//
// Control writes ([Subscriber.Rewind], [Subscriber.Delete], [Subscriber.ReleaseLease], an
// [Activation]) raise the term in the same step, so that a holder that does not know yet can
// write nothing more. Programs that use the engine need none of this.
//
// # Failure
//
// Errors are branched on with errors.Is and the sentinels of this package; the typed errors
// carry the facts. Bad input and requests beyond [Limits] are ErrInvalid before anything is
// written. When the disk fails, the driver fails closed: ErrFailed from then on, reads go on,
// and nothing is acknowledged that could be lost; open the store again. After [Store.Close]
// everything is ErrClosed.
//
// # Drivers
//
// Who writes a backend implements [Driver], and with it [Leaser] and what else of the small
// interfaces it can do; package storetest holds the contract as tests. A driver moves bytes
// and keeps order: validation, encoding, limits, retries, telemetry and the meaning of
// records are done once, here.
package store
