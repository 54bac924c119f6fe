package projection

import (
	"fmt"
	"reflect"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/snapshot"
	"github.com/riffle-go/riffle/store"
)

// Model is the definition of a read model: states of type S, folded from events, one for
// each key. A running engine keeps the states in the store, each event counted exactly
// once; Load works without an engine too. The engine folds the events of one model one after
// the other, so one model uses one core at most. A Model is a value: it never changes, and is safe
// for concurrent use.
type Model[S any] struct {
	name    string
	folds   []Folding[S]
	options Options
	convert func(store.Snapshot) (S, error)

	dispatch  *dispatch[Folding[S]]
	codec     event.Codec
	keyed     bool // the key of a state is not the id of a stream
	perStream bool // the engine's states are those of single streams
	program   *program.Program
}

// NewModel defines a model by its folds. S is a struct, a map, a protobuf message, or
// anything else that the codec can encode; the state of a key begins as the zero S (of a
// map or a pointer, an empty one). What is wrong with the definition is reported by
// engine.New, and by reads.
func NewModel[S any](name string, folds ...Folding[S]) *Model[S] {
	return compile(Model[S]{name: name, folds: slices.Clone(folds)})
}

// With returns the model with other options; those that it had are replaced.
func (m *Model[S]) With(o Options) *Model[S] {
	return compile(Model[S]{name: m.name, folds: m.folds, options: o, convert: m.convert})
}

// Convert returns the model with a way to read states of an older shape. Then Get and All
// serve the old states while the model is rebuilt, instead of answering ErrRebuilding. f
// gets the stored bytes with their revision. It is not used to fold: the rebuild starts
// from nothing.
func (m *Model[S]) Convert(f func(old store.Snapshot) (S, error)) *Model[S] {
	return compile(Model[S]{name: m.name, folds: m.folds, options: m.options, convert: f})
}

// Name returns the name under which the model is stored.
func (m *Model[S]) Name() string { return m.name }

// Program is what an engine runs. Programs are made by this package only.
func (m *Model[S]) Program() *program.Program { return m.program }

func compile[S any](m Model[S]) *Model[S] {
	f := &faults{name: m.name}
	o := m.options
	d, handled := newDispatch(f, o, m.folds, func(fold Folding[S]) taken { return fold.takes })
	m.dispatch = d
	p := f.common(program.Model, o, handled)
	p.CommitEvery = defaultTo(o.CommitEvery, defaultModelCommit)
	f.onlyFor(!o.Start.IsZero(), "Start", "effects and sinks")
	f.onlyFor(o.Concurrency > 1, "Concurrency", "effects")
	f.onlyFor(o.BatchEmits, "BatchEmits", "effects")
	f.onlyFor(o.Repeat, "Repeat", "effects")
	if o.SnapshotEvery < SnapshotNever {
		f.breaks("Options.SnapshotEvery", "is negative; 0 is the default, SnapshotNever is off")
	}

	plain := slices.ContainsFunc(m.folds, func(fold Folding[S]) bool { return fold.keys == nil })
	m.keyed = o.Key != nil || slices.ContainsFunc(m.folds, func(fold Folding[S]) bool { return fold.keys != nil })
	several := slices.ContainsFunc(handled, func(t store.Match) bool { return t.Aggregate != handled[0].Aggregate })
	if several && plain && o.Key == nil {
		f.holds("Handlers", "fold several aggregates by stream id, which would mix streams of the same id; give keys with FoldBy or Options.Key (Load with named streams needs none)")
	}
	m.perStream = !m.keyed && !several
	m.codec = o.Codec
	if m.codec == nil {
		m.codec = codecFor[S]()
	}
	p.Fingerprint = snapshot.Fingerprint(m.codec, reflect.TypeFor[S]())
	p.Keys, p.Check = m.keys, d.check
	p.Model = m.modelProgram()
	m.program = f.settle(p)
	return &m
}

func (m *Model[S]) modelProgram() *program.ModelProgram {
	size := int(reflect.TypeFor[S]().Size())
	p := &program.ModelProgram{
		New:       func() any { return newState[S]() },
		Decode:    func(sn store.Snapshot) (any, error) { return m.decode(sn) },
		Encode:    m.encode,
		Size:      func(encoded int) int { return size + 2*encoded }, // strings and pointers beside the text
		PerStream: m.perStream,
		Fold: func(state any, key string, ev event.Event) (bool, error) {
			return m.fold(state.(*S), &key, ev)
		},
		JSON:   m.json,
		LoadAt: m.loadedAt,
	}
	if m.convert != nil {
		p.Convert = func(old store.Snapshot) (any, error) {
			s, err := m.convert(old)
			return &s, err
		}
	}
	return p
}

// keys returns the keys of all folds that an event has.
func (m *Model[S]) keys(ev event.Event) ([]string, error) {
	folds := m.dispatch.find(ev.Type())
	if len(folds) == 0 {
		if m.dispatch.check(ev) == nil {
			return nil, nil
		}
		return m.validKeys(ev, []string{m.keyOf(ev)})
	}
	if len(folds) == 1 && folds[0].keys == nil {
		return m.validKeys(ev, []string{m.keyOf(ev)})
	}
	var out []string
	seen := make(map[string]struct{})
	for _, f := range folds {
		keys := []string(nil)
		if f.keys == nil {
			keys = []string{m.keyOf(ev)}
		} else {
			var err error
			if keys, err = f.keys(ev); err != nil {
				return nil, keyError(m.name, ev, err)
			}
		}
		for _, k := range keys {
			if _, dup := seen[k]; !dup {
				seen[k] = struct{}{}
				out = append(out, k)
			}
		}
	}
	return m.validKeys(ev, out)
}

func (m *Model[S]) validKeys(ev event.Event, keys []string) ([]string, error) {
	if len(keys) > program.MaxKeys {
		return nil, keyError(m.name, ev, fmt.Errorf("there are %d keys, at most %d are allowed for one event", len(keys), program.MaxKeys))
	}
	for _, k := range keys {
		if err := program.CheckKey(k); err != nil {
			return nil, keyError(m.name, ev, err)
		}
	}
	return keys, nil
}

func (m *Model[S]) keyOf(ev event.Event) string {
	if m.options.Key != nil {
		return m.options.Key(ev)
	}
	return ev.Stream.ID
}

// fold runs the folds of an event that are for the key; with a nil key, all of them.
func (m *Model[S]) fold(s *S, key *string, ev event.Event) (deleted bool, err error) {
	folds := m.dispatch.find(ev.Type())
	if len(folds) == 0 {
		return false, m.dispatch.check(ev)
	}
	for _, f := range folds {
		if f.keys == nil && key != nil && len(folds) > 1 && m.keyOf(ev) != *key {
			continue // the key came from the payload, for another fold
		}
		if err := f.run(s, key, ev); err != nil {
			if deletes(err) {
				return true, nil
			}
			return false, err
		}
	}
	return false, nil
}

func (m *Model[S]) encode(state any) ([]byte, string, error) {
	data, err := m.codec.Marshal(inner(state.(*S)))
	return data, m.codec.ContentType(), err
}

func (m *Model[S]) decode(sn store.Snapshot) (*S, error) {
	s := newState[S]()
	return s, snapshot.Open(m.codec, sn, inner(s))
}

// newState returns a state that folds can write to.
func newState[S any]() *S {
	s := new(S)
	switch t := reflect.TypeFor[S](); t.Kind() {
	case reflect.Pointer:
		*s = reflect.New(t.Elem()).Interface().(S)
	case reflect.Map:
		*s = reflect.MakeMap(t).Interface().(S)
	}
	return s
}

// inner is what a codec gets: a pointer to the state, or the state if that is a pointer.
func inner[S any](s *S) any {
	if reflect.TypeFor[S]().Kind() == reflect.Pointer {
		return *s
	}
	return s
}

func codecFor[S any]() event.Codec {
	if _, ok := inner(newState[S]()).(proto.Message); ok {
		return event.Protobuf()
	}
	return event.JSON()
}
