// Package worker does the work on one subscriber key: it claims the key by a lease, pages
// through the store, gives events to the handlers of a projection, and commits what came of
// it together with the checkpoint.
//
// A [Worker] is one blocking method, [Worker.Run]. It decides nothing about what shall run:
// package engine does that, starts it again when it fails, and renews its lease together
// with all others. Users of Riffle meet this package in the [State] and [Status] that an
// engine reports.
//
// # States
//
//	          ┌────────────── lease free ──────────────┐
//	          │                                        ▼
//	Run ──▶ Standby ◀── takeover, drained ──┐      Starting ──▶ CatchingUp ⇄ Live
//	                                        │          │       (Rebuilding)   │
//	                                        └──────────┴── Retrying ◀─────────┤ everything fails
//	Paused, Halted ◀── a stored wish: drained, committed, released ───────────┤
//	Stopped ◀── Drain, Until, the end of ctx, an error ───────────────────────┘
//
// A paused or halted worker holds no lease and waits until the wish is taken back.
//
// # Units and commits
//
// What is read at once (a page), what is handled at once (an event for one of its keys) and
// what is made durable at once (a commit) are three things. While a worker catches up, a
// commit comes after a time or an amount of work; when it is live, after each page, for
// effects within some milliseconds, so that a burst of events is one commit. Most
// commits are lazy: they ride along with the next group of the store, and handling goes on
// meanwhile. A commit that somebody depends on is synced: one with emitted events, with
// parked events, for a waiter, at a drain, and at a release.
//
// # Failure
//
// An event whose handler fails is tried again, set aside in a row with a due time while its
// key waits, and parked in the end; the checkpoint and the other keys go on. When the last
// few failures are of different keys and nothing succeeded in between, everything is
// presumed to fail: the worker is [Retrying], tries one event from time to time, and holds
// nothing against them.
//
// A panic in a handler is an error with a stack, and so is runtime.Goexit. A lost lease ends
// Run with an error that matches store.ErrLeaseLost; whatever was not committed is void, and
// the context of a running handler is cancelled with that error as its cause. A handler that
// ignores its context can still act on the world: where that matters, hand the term that
// its delivery names to the world as a fencing token.
//
// An event that kills the process is found by going one event per commit after some crashes
// at the same checkpoint, with the event in hand made durable before it is handled.
package worker
