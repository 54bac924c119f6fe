package projection

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/store"
)

// dispatch finds the handlers of an event. H is a fold or a handler.
type dispatch[H any] struct {
	name   string
	strict bool
	ignore []event.Type
	byType map[event.Type][]H      // all that take the type, in the order of definition
	rest   map[event.Aggregate][]H // for types without a handler of their own
}

// taken is what a handler takes: one type, or with Name "" a whole aggregate.
type taken struct {
	event.Type
	fault error
}

func (t taken) match() store.Match { return store.Match{Aggregate: t.Aggregate, Name: t.Name} }

// newDispatch sorts handlers by what they take; those with faults are reported.
func newDispatch[H any](f *faults, o Options, handlers []H, takes func(H) taken) (*dispatch[H], []store.Match) {
	d := &dispatch[H]{
		name: f.name, strict: o.Strict, ignore: slices.Clone(o.Ignore),
		byType: make(map[event.Type][]H), rest: make(map[event.Aggregate][]H),
	}
	handled := []store.Match{}
	for i, h := range handlers {
		t := takes(h)
		if t.fault != nil {
			f.breaks(fmt.Sprintf("Handler %d", i+1), "%v", t.fault)
			continue
		}
		handled = append(handled, t.match())
	}
	for _, m := range handled {
		t := m.Aggregate.Event(m.Name)
		if m.Name == "" {
			d.rest[m.Aggregate] = d.takers(handlers, takes, t)
		} else {
			d.byType[t] = d.takers(handlers, takes, t)
		}
	}
	return d, handled
}

func (d *dispatch[H]) takers(handlers []H, takes func(H) taken, of event.Type) []H {
	var out []H
	for _, h := range handlers {
		t := takes(h)
		if t.fault == nil && t.Aggregate == of.Aggregate && (t.Name == "" || t.Name == of.Name) {
			out = append(out, h)
		}
	}
	return out
}

// find returns the handlers of a type, in the order of their definition.
func (d *dispatch[H]) find(t event.Type) []H {
	if hs, ok := d.byType[t]; ok {
		return hs
	}
	return d.rest[t.Aggregate]
}

// check returns the error of a strict projection for an event that nobody takes.
func (d *dispatch[H]) check(ev event.Event) error {
	if !d.strict {
		return nil
	}
	t := ev.Type()
	if len(d.find(t)) > 0 || slices.Contains(d.ignore, t) {
		return nil
	}
	return &program.UnhandledError{Projection: d.name, Position: ev.Position, Type: t}
}

// keyOf is the default key, or that of the options.
func keyOf(o Options) func(ev event.Event) string {
	if o.Key != nil {
		return o.Key
	}
	return func(ev event.Event) string { return ev.Stream.ID }
}

// singleKey returns the Keys of an effect or a sink: one key for each event that concerns
// somebody.
func singleKey(name string, key func(event.Event) string, concerns func(event.Event) bool) func(event.Event) ([]string, error) {
	return func(ev event.Event) ([]string, error) {
		if !concerns(ev) {
			return nil, nil
		}
		k := key(ev)
		if err := program.CheckKey(k); err != nil {
			return nil, keyError(name, ev, err)
		}
		return []string{k}, nil
	}
}

func keyError(name string, ev event.Event, err error) error {
	return &program.KeyError{Projection: name, Position: ev.Position, Type: ev.Type(), Err: err}
}

var errNilHandler = errors.New("is nil; give it a function")

// typeOf asks the payload type E for its event type.
func typeOf[E event.Payload](given bool) (t taken) {
	goType := reflect.TypeFor[E]()
	switch {
	case !given:
		t.fault = errNilHandler
		return t
	case goType.Kind() == reflect.Interface:
		t.fault = fmt.Errorf("takes %s, an interface; take a concrete payload, or use FoldAny or OnAny for all events of an aggregate", goType)
		return t
	}
	defer func() {
		if p := recover(); p != nil {
			t.fault = fmt.Errorf("takes %s, whose EventType panics on an empty value: %v", goType, p)
		}
	}()
	var payload E
	if goType.Kind() == reflect.Pointer {
		payload = reflect.New(goType.Elem()).Interface().(E)
	}
	t.Type = payload.EventType()
	t.fault = t.Validate()
	return t
}

func anyOf(given bool, a event.Aggregate) taken {
	t := taken{Type: event.Type{Aggregate: a}, fault: a.Validate()}
	if !given {
		t.fault = errNilHandler
	}
	return t
}
