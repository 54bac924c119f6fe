package program

import (
	"context"
	"crypto/sha256"
	"encoding/binary"

	"github.com/riffle-go/riffle/event"
)

// Delivery is what a handler may want to know about its call.
type Delivery struct {
	Projection string
	Generation uint32 // of the projection; 0 for effects
	Key        string // of the event
	Attempt    int    // 1 is the first
	Term       uint64 // of the lease: a fencing token for systems outside
	_          struct{}
}

// DeliveryFrom returns the delivery of the handler that ctx belongs to; ok is false
// outside of handlers.
func DeliveryFrom(ctx context.Context) (d Delivery, ok bool) {
	if c := contextFrom(ctx); c != nil {
		return c.delivery, true
	}
	return Delivery{}, false
}

// EventID returns an id that is always the same for the n-th event that a handler makes
// of its event: also in the next attempt, after a crash and in another process. ok is
// false outside of handlers.
func EventID(ctx context.Context, n int) (id event.ID, ok bool) {
	c := contextFrom(ctx)
	if c == nil {
		return event.ID{}, false
	}
	seed := event.Key(c.delivery.Projection, "")
	b := make([]byte, 0, len(seed)+36)
	b = append(b, seed...)
	b = binary.BigEndian.AppendUint32(b, c.delivery.Generation)
	b = append(b, c.source.id[:]...) // positions come twice when a restored backup goes another way
	b = binary.BigEndian.AppendUint64(b, uint64(c.source.position))
	b = binary.BigEndian.AppendUint64(b, uint64(n))
	sum := sha256.Sum256(b)
	copy(id[6:], sum[:])
	if err := id.SetTime(uint64(max(c.source.time, 0))); err != nil {
		copy(id[:6], sum[10:]) // a time that no ULID can hold
	}
	return id, true
}
