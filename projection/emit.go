package projection

import (
	"context"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/store"
)

// Emit appends batches when the event that the handler works on is committed: in the same
// atomic write as the effect's checkpoint, so that each happens exactly once. ctx is the
// handler's. When the handler fails, nothing of it is emitted.
//
// A batch whose expectation does not hold at the commit makes the handler run again, with a
// fresh look at the store; that is no failed attempt. One handler call may emit 256 events
// and 1 MiB. Events carry correlation and causation of the event that is handled.
//
// A handler may also append to the store by itself. That is no part of the commit: it is done
// at once, stays when the handler fails, and is done again when the handler runs again. See
// [EventID].
//
// Emit refuses with store.ErrInvalid what cannot be appended: outside of effects, a State
// that did not come from Load, payloads that cannot be encoded.
func Emit(ctx context.Context, batches ...store.Batch) error {
	return program.Emit(ctx, batches...)
}

// EventID returns an id for the n-th event that a handler makes of its event: always the
// same, in each attempt and after every crash. With it an append of the handler itself (not
// Emit, which does not need it) is safe to repeat, when the batch says NoStream, Exact or
// Once. ctx is the handler's; elsewhere EventID panics, since any other id would break that
// promise silently.
func EventID(ctx context.Context, n int) event.ID {
	id, ok := program.EventID(ctx, n)
	if !ok {
		panic("projection: EventID outside of a handler; call it with the context that the handler got")
	}
	return id
}

// Delivery is what a handler may want to know about its call: the projection, the event's
// key, the number of the attempt, beginning with 1, and the term of the worker's lease,
// which systems outside can use as a fencing token.
type Delivery = program.Delivery

// DeliveryFrom returns the delivery of the handler that ctx belongs to; outside of handlers
// it is zero.
func DeliveryFrom(ctx context.Context) Delivery {
	d, _ := program.DeliveryFrom(ctx)
	return d
}
