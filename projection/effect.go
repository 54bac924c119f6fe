package projection

import (
	"context"
	"slices"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
)

// Commit intervals by kind.
const (
	defaultModelCommit  = 200 * time.Millisecond
	defaultEffectCommit = 100 * time.Millisecond
)

// Handler is one handler of an effect. Make it with [On] or [OnAny].
//
// Handlers run at least once for each event: make them safe to repeat, with ev.ID as the key
// of idempotence. ctx ends when the worker has lost its lease or is told to stop; what a
// handler does afterwards may coincide with another worker's. Several handlers of one
// event run in the order of their definition, and all of them again when one fails.
type Handler struct {
	takes taken
	run   func(ctx context.Context, ev event.Event) error
}

// On handles events with payload E.
func On[E event.Payload](f func(ctx context.Context, e E, ev event.Event) error) Handler {
	return Handler{
		takes: typeOf[E](f != nil),
		run: func(ctx context.Context, ev event.Event) error {
			e, err := event.Decode[E](ev)
			if err != nil {
				return err
			}
			return f(ctx, e, ev)
		},
	}
}

// OnAny handles all events of an aggregate as they are stored, also those that have a
// handler of their own. ev.Data must not be modified.
func OnAny(a event.Aggregate, f func(ctx context.Context, ev event.Event) error) Handler {
	return Handler{takes: anyOf(f != nil, a), run: f}
}

// Effect is the definition of something that happens because of events: mails, calls to
// other systems, further events. A running engine calls its handlers at least once for each
// event, in order within a key. An Effect is a value: it never changes, and is safe for
// concurrent use.
type Effect struct {
	name     string
	handlers []Handler
	program  *program.Program
}

// NewEffect defines an effect by its handlers. It needs Options.Start: see With.
func NewEffect(name string, handlers ...Handler) *Effect {
	return compileEffect(name, slices.Clone(handlers), Options{})
}

// With returns the effect with other options; those that it had are replaced.
func (e *Effect) With(o Options) *Effect { return compileEffect(e.name, e.handlers, o) }

// Name returns the name under which the effect is stored.
func (e *Effect) Name() string { return e.name }

// Program is what an engine runs. Programs are made by this package only.
func (e *Effect) Program() *program.Program { return e.program }

func compileEffect(name string, handlers []Handler, o Options) *Effect {
	f := &faults{name: name}
	d, handled := newDispatch(f, o, handlers, func(h Handler) taken { return h.takes })
	p := f.common(program.Effect, o, handled)
	p.CommitEvery = defaultTo(o.CommitEvery, defaultEffectCommit)
	p.Concurrency = max(o.Concurrency, 1)
	p.BatchEmits, p.Repeat = o.BatchEmits, o.Repeat
	if o.Start.IsZero() {
		f.holds("Options.Start", "is not set; an effect must say where it begins: store.AtHead() for new events only, store.AtPosition(1) for all of history")
	}
	f.onlyFor(o.Revision != 0, "Revision", "models and sinks that can be reset")
	f.onlyModels(o)
	p.Keys = singleKey(name, keyOf(o), func(ev event.Event) bool {
		return len(d.find(ev.Type())) > 0 || d.check(ev) != nil
	})
	p.PlainKeys = o.Key == nil
	p.Check = d.check
	p.Effect = &program.EffectProgram{Handle: func(ctx context.Context, ev event.Event) error {
		handlers := d.find(ev.Type())
		if len(handlers) == 0 {
			return d.check(ev)
		}
		for _, h := range handlers {
			if err := h.run(ctx, ev); err != nil {
				return err
			}
		}
		return nil
	}}
	return &Effect{name: name, handlers: handlers, program: f.settle(p)}
}

// onlyModels reports settings of models.
func (f *faults) onlyModels(o Options) {
	f.onlyFor(o.OnChange != 0, "OnChange", "models")
	f.onlyFor(o.Codec != nil, "Codec", "models")
	f.onlyFor(o.SnapshotEvery != 0, "SnapshotEvery", "models")
}
