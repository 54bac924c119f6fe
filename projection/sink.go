package projection

import (
	"fmt"
	"slices"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/store"
)

// Sink is the definition of a projection into a database of the user's own, which keeps the
// checkpoint too: each event is applied exactly once. Package sqlsink makes sinks of
// SQL databases. A Sink is a value: it never changes.
type Sink struct {
	name    string
	target  Target
	match   []store.Match
	program *program.Program
}

// Session is one worker's work on one sink: all calls of a [Target] under one lease.
type Session = program.Session

// Target is a database that keeps the checkpoint of its rows itself, in the transactions
// that write them.
type Target = program.Target

// Resetter is a [Target] that can go back. Rewind and Rebuild of a sink need it.
type Resetter = program.Resetter

// NewSink defines a sink by what its target gets: the events that match selects, or, when
// there is no match at all, every event of the store. (A match that is there and selects
// nothing, as store.MatchTypes() does, is a fault.) A target with a method Fault() error,
// which says what is wrong with it, is asked here, and engine.New reports that too.
func NewSink(name string, t Target, match ...store.Match) *Sink {
	return compileSink(name, t, slices.Clone(match), Options{})
}

// With returns the sink with other options; those that it had are replaced.
func (s *Sink) With(o Options) *Sink { return compileSink(s.name, s.target, s.match, o) }

// Name returns the name under which the sink is stored.
func (s *Sink) Name() string { return s.name }

// Program is what an engine runs. Programs are made by this package only.
func (s *Sink) Program() *program.Program { return s.program }

func compileSink(name string, t Target, match []store.Match, o Options) *Sink {
	f := &faults{name: name}
	for i, m := range match {
		if err := m.Aggregate.Validate(); err != nil {
			f.invalid(fmt.Sprintf("Match[%d].Aggregate", i), err)
		} else if m.Name != "" {
			f.invalid(fmt.Sprintf("Match[%d].Name", i), m.Aggregate.Event(m.Name).Validate())
		}
	}
	p := f.common(program.Sink, o, match)
	if t == nil {
		f.breaks("Target", "is nil; a sink needs a database to write to")
	}
	if d, ok := t.(interface{ Fault() error }); ok { // a target that is a definition itself
		if err := d.Fault(); err != nil {
			f.broken = append(f.broken, err)
		}
	}
	p.Sink = &program.SinkProgram{Target: t}
	if p.Sink.Resetter() == nil {
		f.onlyFor(o.Revision != 0, "Revision", "models, and sinks whose target is a Resetter,")
	}
	f.onlyFor(o.Concurrency > 1, "Concurrency", "effects")
	f.onlyFor(o.CommitEvery != 0, "CommitEvery", "models and effects")
	f.onlyFor(o.BatchEmits, "BatchEmits", "effects")
	f.onlyFor(o.Repeat, "Repeat", "effects")
	f.onlyModels(o)
	ignore := slices.Clone(o.Ignore)
	p.Check = func(ev event.Event) error {
		if t := ev.Type(); o.Strict && !p.Handles(t) && !slices.Contains(ignore, t) {
			return &program.UnhandledError{Projection: name, Position: ev.Position, Type: t}
		}
		return nil
	}
	p.Keys = singleKey(name, keyOf(o), func(ev event.Event) bool {
		return p.Handles(ev.Type()) || p.Check(ev) != nil
	})
	return &Sink{name: name, target: t, match: match, program: f.settle(p)}
}
