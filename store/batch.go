package store

import "github.com/riffle-go/riffle/event"

// Batch is what one append does to one stream.
type Batch struct {
	Stream event.Stream
	Expect Expect // the zero value is NoStream

	// Events to append, in order. Make them with event.Of, which gives each its id, so that the
	// same Batch can be appended again after an unknown outcome. A bare payload gets an id from
	// Append and is not safe to retry; with Once it is refused.
	Events []event.Payload

	// RoutingKey fixes the routing key of a new stream. "" keeps what the stream has. Naming
	// another than the stream's own is refused.
	RoutingKey string

	// Metadata of every event, over what the context carries (event.WithMetadata) and under
	// what a Draft carries.
	Metadata event.Metadata

	// Once makes a repeated append with Any or Exists return its first result. It costs an
	// index entry per event. NoStream and Exact do not need it.
	Once bool
	_    struct{}
}
