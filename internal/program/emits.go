package program

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// What one call of a handler may emit.
const (
	MaxEmits     = 256     // events
	MaxEmitBytes = 1 << 20 // payloads and metadata
)

// Emits collects what one call of a handler emits. It is safe for concurrent use.
type Emits struct {
	schema *event.Schema

	mu      sync.Mutex
	batches []store.Batch
	events  int
	bytes   int
	ended   bool
}

// Emit adds batches to what the handler that ctx belongs to emits. They are checked as
// far as that is possible without the store, and all or none is added.
func Emit(ctx context.Context, batches ...store.Batch) error {
	c := contextFrom(ctx)
	if c == nil || c.program.Kind != Effect {
		return invalidEmit("works only in the handler of an effect, with the context that the handler got; elsewhere append to the store")
	}
	return c.emits.add(ctx, batches)
}

// Emitted ends the collecting and returns what was emitted, in order. Emits that come
// later, from a goroutine that the handler left behind, are refused.
func (c *Context) Emitted() []store.Batch {
	c.emits.mu.Lock()
	defer c.emits.mu.Unlock()
	c.emits.ended = true
	return c.emits.batches
}

// EmittedBytes returns the size of what was emitted: payloads and metadata.
func (c *Context) EmittedBytes() int {
	c.emits.mu.Lock()
	defer c.emits.mu.Unlock()
	return c.emits.bytes
}

func (e *Emits) add(ctx context.Context, batches []store.Batch) error {
	md := event.MetadataFrom(ctx)
	prepared := make([]store.Batch, 0, len(batches))
	events, bytes := 0, 0
	for i, b := range batches {
		p, size, err := e.prepare(b, md)
		if err != nil {
			return fmt.Errorf("projection: emit batch %d: %w", i, err)
		}
		prepared = append(prepared, p)
		events, bytes = events+len(p.Events), bytes+size
	}

	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.ended:
		return invalidEmit("came after the handler had returned; wait for the goroutines that a handler starts")
	case e.events+events > MaxEmits:
		return invalidEmit(fmt.Sprintf("makes %d events, at most %d are allowed for one event", e.events+events, MaxEmits))
	case e.bytes+bytes > MaxEmitBytes:
		return invalidEmit(fmt.Sprintf("makes %d bytes, at most %d are allowed for one event", e.bytes+bytes, MaxEmitBytes))
	}
	e.batches = append(e.batches, prepared...)
	e.events, e.bytes = e.events+events, e.bytes+bytes
	return nil
}

// prepare gives a batch its metadata and its events their ids, and encodes them for once:
// an event that cannot be encoded is the handler's error, not that of the commit.
func (e *Emits) prepare(b store.Batch, md event.Metadata) (store.Batch, int, error) {
	if b.Stream == (event.Stream{}) {
		return b, 0, &store.InvalidError{Field: "Batch.Stream", Reason: "is not set; a State makes batches only when it came from Load or Decide: load the stream to append"}
	}
	if err := b.Stream.Validate(); err != nil {
		return b, 0, err
	}
	if len(b.Events) == 0 {
		return b, 0, &store.InvalidError{Field: "Batch.Events", Reason: "is empty; emit at least one event, or nothing"}
	}
	b.Metadata = md.Merge(b.Metadata)
	b.Events = event.Of(slices.Clone(b.Events)...)
	size := 0
	for _, p := range b.Events {
		ev, err := e.schema.Encode(p)
		if err != nil {
			return b, 0, err
		}
		if ev.Stream.Aggregate != b.Stream.Aggregate {
			return b, 0, &store.InvalidError{Field: "Batch.Events", Reason: fmt.Sprintf("has a %s, which does not belong to the stream %s", ev.StoredType(), b.Stream)}
		}
		size += len(ev.Data) + b.Metadata.Size() + ev.Metadata.Size()
	}
	return b, size, nil
}

func invalidEmit(reason string) error {
	return &store.InvalidError{Field: "Emit", Reason: reason}
}
