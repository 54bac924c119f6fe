package projection

import (
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// State is the state of a key, and what is known about it.
type State[S any] struct {
	Key   string // of the state; in Load the id of the first stream
	Value S      // it belongs to the caller

	// Position is a lower bound: Value has every event of the key up to here, and perhaps some
	// later ones.
	Position event.Position

	// Version of the last event seen of the state's stream, folded or not; 0 when there is
	// none. In Load of several streams it is that of the first. States of models with keys of
	// their own have no version.
	Version uint64

	// Revision of the definition that built the state.
	Revision int

	// Blocked says that an event of the key failed and waits, with all later ones of the key.
	Blocked bool

	stream event.Stream // from Load and Decide
}

// Batch makes an append to the state's stream, on condition that nothing was appended since
// the state was loaded. Only states from Load and Decide have a stream; the Batch of
// any other is refused by Append and Emit because its Stream is missing: load the stream to
// append to it.
func (s State[S]) Batch(events ...event.Payload) store.Batch {
	if s.stream == (event.Stream{}) {
		return store.Batch{Events: event.Of(events...)}
	}
	return store.Batch{Stream: s.stream, Expect: store.Exact(s.Version), Events: event.Of(events...)}
}
