package program

import (
	"context"

	"github.com/riffle-go/riffle/event"
)

// EffectProgram turns events into something outside.
type EffectProgram struct {
	// Handle runs the handlers of the event. ctx is a *Context; what it emitted belongs to
	// the event only if Handle returned nil.
	Handle func(ctx context.Context, ev event.Event) error
	_      struct{}
}
