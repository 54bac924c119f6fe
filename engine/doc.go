// Package engine runs projections: it supervises their workers, controls them, waits for
// them, and says how they are.
//
//	New(Config{Store, Projections}) ──▶ Run(ctx): blocks; the end of ctx is a drain
//
// # What runs
//
// There is one supervisor for each projection. It compares what should run with what runs,
// whenever something happens, and starts and drains workers accordingly. What should run
// comes from the projection's row in the store and from the program at hand:
//
//	row and program agree ──▶ a worker on the active generation (serving)
//	the program changed ────▶ a worker on a new generation (building), the old one stands still
//	Rebuild was asked for ──▶ both, side by side
//	newer code was here ────▶ nothing: standby, until this program is replaced
//
// A worker that ends unasked, by an error, a panic or a lost lease, is started again for as
// long as it is wanted: at once after it made progress, else later and later. Several
// engines on one store share the work by leases: each key has one holder, the others stand
// by and take over within milliseconds of a release.
//
// A switch to a new generation is part of a commit of its worker, together with the
// checkpoint, on condition that the old one is not ahead. The old generation is deleted 10
// minutes later.
//
// # States of an engine
//
//	New ──▶ Run ── end of ctx ──▶ draining ──▶ stopped, Run returns nil
//	         │                       │
//	         │                       └─ ShutdownTimeout ──▶ cancelled, Run returns *ShutdownError
//	         └── the store failed or was closed ──▶ draining, Run returns that
//
// [Engine.CatchUp] without Run passes through the same states for as long as it takes.
// Pause, halt, rebuilds, skips and checkpoints are stored: a restart goes on with them.
//
// Things stop in the order in which they depend on each other: workers, the renewal of
// their leases, the measuring.
//
// # Failure
//
// What is wrong with the Config is reported by [New], all at once; what is at odds with the
// store, by Run before anything runs. An event that fails is its worker's matter: see
// package worker. A store that fails for good ends Run. Nothing ends silently: what stops
// is in the log, in [Engine.Status], and in the metrics.
//
// A handler that ignores the end of its context cannot be stopped: Run returns nevertheless
// and names it. Its commit will be refused, but it may still act on the world.
package engine
