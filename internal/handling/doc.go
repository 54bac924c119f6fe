// Package handling marks the context of a running handler, so that what is called with
// it can refuse what would not be safe there: an append inside a fold or a sink, waiting
// for the projection whose handler is waiting.
//
// It knows nothing else of the runtime, so that every package may look at the mark.
package handling
