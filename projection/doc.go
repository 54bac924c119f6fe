// Package projection says what to do with events. There are three kinds, with one way to
// write handlers:
//
//   - A [Model] folds events into states, one for each key, kept in the store: every event
//     exactly once.
//   - An [Effect] acts on the world: every event at least once, with retries. What it emits
//     is written exactly once.
//   - A [Sink] writes into a database of your own, in its transactions: exactly once.
//
// Definitions are values. An engine runs them; [Model.Load], [Model.LoadAt] and
// [Model.Decide] work without one.
//
//	                        ┌─ Get, All   as of the checkpoint: what the engine has built
//	events ──folds──▶ state ┤
//	                        ├─ Load       as of now, by streams ──▶ Batch, Decide
//	                        └─ LoadKey    as of now, by key
//
// # Order
//
// Events of one key are handled in order, one at a time. The key is the id of the event's
// stream, unless [Options].Key or [FoldBy] say otherwise.
//
// # Failure
//
// A handler steers by what it returns. A plain error is tried again by the schedule of
// [Options].Retry, then the event is set aside ([Options].OnFailure), and later events
// of its key behind it; other keys go on. [Park], [Skip], [RetryAfter] and [Halt] decide at
// once. A payload that cannot be decoded takes the same path. Reads by the checkpoint say
// with [State].Blocked that the key waits; reads as of now fail with a [*FoldError] rather
// than leave an event out, except those that the fold or an operator skipped.
//
// Everything that is wrong with a definition is reported at once by engine.New; what
// makes it useless is also returned by every read.
package projection
