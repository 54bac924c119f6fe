package program

import (
	"context"
	"sync"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/handling"
)

// Context is the context of one call of a handler. It carries the mark of package
// handling, the delivery, the collector of emits, and, as metadata for what the handler
// appends or emits, correlation and causation of its event. That metadata is made when
// something asks for it: most handlers never do.
type Context struct {
	context.Context
	program  *Program
	source   source
	delivery Delivery
	scope    handling.Scope
	emits    Emits

	once     sync.Once
	metadata context.Context
}

// source is what a Context needs of its event. There is one Context for each event that is
// handled, so it is kept small.
type source struct {
	id       event.ID
	position event.Position
	time     int64 // Unix milliseconds
	metadata event.Metadata
}

// NewContext makes the context for one attempt at one event. Delivery.Projection is
// filled in. The schema is the store's: emits are encoded by it, to find their size and
// what cannot be encoded.
func NewContext(ctx context.Context, p *Program, schema *event.Schema, ev event.Event, d Delivery) *Context {
	d.Projection = p.Name
	return &Context{
		Context: ctx, program: p, delivery: d,
		source: source{id: ev.ID, position: ev.Position, time: ev.Time.UnixMilli(), metadata: ev.Metadata},
		scope:  handling.Scope{Projection: p.Name, Appends: p.Kind == Effect},
		emits:  Emits{schema: schema},
	}
}

// PageContext makes the context in which a sink writes a page.
func PageContext(ctx context.Context, p *Program) context.Context {
	return handling.With(ctx, &handling.Scope{Projection: p.Name, Appends: p.Kind == Effect})
}

type contextKey struct{}

func contextFrom(ctx context.Context) *Context {
	c, _ := ctx.Value(contextKey{}).(*Context)
	return c
}

// Value answers what this layer carries, and else what is below.
func (c *Context) Value(key any) any {
	switch key.(type) {
	case contextKey:
		return c
	case handling.Key:
		return &c.scope
	}
	v := c.Context.Value(key)
	if v == nil {
		return c.withMetadata().Value(key)
	}
	if _, ok := v.(event.Metadata); ok {
		return c.withMetadata().Value(key)
	}
	return v
}

func (c *Context) withMetadata() context.Context {
	c.once.Do(func() {
		c.metadata = event.WithMetadata(c.Context, c.source.consequence())
	})
	return c.metadata
}

// consequence is the metadata of what the event causes.
func (s *source) consequence() event.Metadata {
	id := s.id.String()
	correlation := s.metadata.Get(event.CorrelationID)
	if correlation == "" {
		correlation = id // the chain begins with this event
	}
	return event.NewMetadata(map[string]string{event.CorrelationID: correlation, event.CausationID: id})
}
