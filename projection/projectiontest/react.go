package projectiontest

import (
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// Outcome is what an effect did with one event.
type Outcome struct {
	Event   event.Event
	Err     error         // what the handler returned; errors.Is and errors.As see through Park, Skip …
	Emitted []store.Batch // none when Err is set, as in an engine
	_       struct{}
}

// Steered says in which way the handler steered: "park", "skip", "later", "halt", or
// "again" for a plain error; "" without an error.
func (o Outcome) Steered() string {
	if o.Err == nil {
		return ""
	}
	return program.Judge(o.Err).Action.String()
}

// React calls the handlers of an effect once for each event of a log that it handles, in
// order, and returns what came of it. Nothing is tried again, and an event that failed
// does not hold back others. A panic passes through. Options.Start does not matter.
func React(tb testing.TB, e *projection.Effect, l *Log) []Outcome {
	tb.Helper()
	p := e.Program()
	if p.Broken != nil {
		tb.Fatal(p.Broken)
	}
	var out []Outcome
	for _, ev := range l.Events {
		if !p.Selects(ev) {
			continue
		}
		keys, err := p.Keys(ev)
		if err != nil {
			out = append(out, Outcome{Event: ev, Err: err})
			continue
		}
		if len(keys) == 0 {
			continue
		}
		ctx := program.NewContext(tb.Context(), p, l.schema, ev, program.Delivery{Key: keys[0], Attempt: 1, Term: 1})
		o := Outcome{Event: ev, Err: p.Effect.Handle(ctx, ev)}
		if emitted := ctx.Emitted(); o.Err == nil {
			o.Emitted = emitted
		}
		out = append(out, o)
	}
	return out
}
