// Package snapshot keeps states: as bytes, with the position they are valid at, and alive
// in memory while a worker folds events into them.
//
// [Seal] and [Open] turn a state into a [store.Snapshot] and back; [Fingerprint] is the
// shape of a state's type, so that bytes of another shape are never taken for today's.
// [OnDemandKey] names the snapshot of a state that was folded on demand, and [Policy] says
// when to keep one.
//
// [States] are the live states of one worker: a cache of what is committed, plus what was
// folded since.
//
//	            Fold                Cut                Committed
//	absent ───▶ clean ───▶ changed ───▶ in a commit ───▶ clean ───▶ evicted
//	             ▲            │  ▲            │ Fold
//	             │            │  └────────────┘
//	             └── undone ◀─┘ a fold failed: rebuilt from the last base
//
// Only clean states are evicted. Sizes are estimates: a Go value does not know how much
// memory it holds.
//
// # Failure
//
// A fold that fails, panics or ends its goroutine spoils its state. The state is then built
// again: from its last base (the bytes of the commit under way, else what is committed) and
// the events folded since, read again by position. A commit that fails, and a new lease, end
// the validity of everything: call Reset. A state that cannot be encoded is an
// [*EncodeError] of its key; Settle finds the event that made it so.
package snapshot
