// Package program is a projection without type parameters: what a worker runs, what an
// engine supervises. Package projection compiles its definitions into programs.
//
// A [Program] says what to read, under which policies, and what to call. The calls are
// made by the worker: nothing here starts a goroutine, tries again, or recovers a panic.
//
//	event ──Keys──▶ keys ──▶ Model.Fold   (state, once for each key)
//	                    ├──▶ Effect.Handle (context with emits)
//	                    └──▶ Sink.Target   (pages, in the user's transaction)
//	                              │
//	                   error ──Judge──▶ Verdict: retry, later, park, skip, halt
//
// # Failure
//
// What is wrong with a definition is in Program.Fault, everything at once. An event whose
// keys cannot be found is a [*KeyError]. What a handler returned is judged by [Judge]:
// plain errors are tried again, those made by [Steer] say themselves what to do.
package program
