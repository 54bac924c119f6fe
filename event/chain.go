package event

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// step takes a payload from one schema version to the next, either as bytes or as a
// value.
type step struct {
	stored Type // type of what goes in, as it is stored
	target Type // type of what comes out
	from   int  // version of what goes in

	raw func(data []byte) ([]byte, error) // nil for a typed step

	input, output reflect.Type
	decode        func(c Codec, data []byte) (any, error)
	typed         func(v any) (any, error)
}

// chain holds the steps of one type by the version they start from.
type chain map[int]step

// link puts the steps into chains and reports what does not fit together.
func (r *ruleset) link(s *Schema) map[Type]chain {
	chains := make(map[Type]chain)
	for _, st := range r.steps {
		t := s.current(st.stored)
		if err := st.stored.Validate(); err != nil {
			r.faultf("upcaster of %s: %w", st.stored, err)
			continue
		}
		if to := s.current(st.target); to != t {
			r.faultf("upcaster turns %s into %s; add event.Alias(%s, %s) so that readers find it",
				st.stored, st.target, st.stored, st.target)
			continue
		}
		if st.from < 1 {
			r.faultf("upcaster of %s from version %d; versions start at 1", st.stored, st.from)
			continue
		}
		if _, taken := chains[t][st.from]; taken {
			r.faultf("two upcasters of %s from version %d; keep one", t, st.from)
			continue
		}
		if chains[t] == nil {
			chains[t] = make(chain)
		}
		chains[t][st.from] = st
	}
	for _, t := range sortedTypes(chains) {
		r.checkChain(t, chains[t])
	}
	return chains
}

// checkChain wants a chain without gaps whose typed steps hand on what the next one
// takes.
func (r *ruleset) checkChain(t Type, c chain) {
	versions := slices.Sorted(maps.Keys(c))
	for i, v := range versions[1:] {
		before := c[versions[i]]
		if v != before.from+1 {
			r.faultf("no upcaster of %s from version %d to %d, but later ones exist", t, before.from+1, before.from+2)
			continue
		}
		if next := c[v]; before.output != nil && next.input != nil && before.output != next.input {
			r.faultf("upcaster of %s gives version %d as %s, but the next one takes %s", t, v, before.output, next.input)
		}
	}
}

// upcast takes the payload of e, stored with codec, to version of type t. It returns
// the value that a typed step made, or nil after it filled target from bytes.
func (s *Schema) upcast(e *Event, codec Codec, t Type, version int, target any) (any, error) {
	var steps chain
	if s != nil {
		steps = s.chains[t]
	}
	data, value := e.Data, any(nil)
	for v := e.schemaVersion(); v < version; v++ {
		st, ok := steps[v]
		if !ok {
			return nil, fmt.Errorf("no upcaster from version %d to %d; add event.Upcast or event.UpcastRaw to the schema of the store", v, v+1)
		}
		var err error
		if st.raw != nil {
			data, codec, err = s.stepRaw(st, data, value, codec)
			value = nil
		} else {
			value, err = st.stepTyped(data, value, codec)
		}
		if err != nil {
			return nil, fmt.Errorf("upcast from version %d to %d: %w", v, v+1, err)
		}
	}
	if value == nil {
		return nil, codec.Unmarshal(data, target)
	}
	return value, nil
}

// stepRaw encodes a value that an earlier typed step made, since bytes are wanted.
func (s *Schema) stepRaw(st step, data []byte, value any, codec Codec) ([]byte, Codec, error) {
	if value == nil {
		data = slices.Clone(data) // the event's bytes are shared; f may write into its own
	} else {
		codec = s.codecFor(st.stored, value)
		var err error
		if data, err = codec.Marshal(value); err != nil {
			return nil, nil, err
		}
	}
	data, err := st.raw(data)
	return data, codec, err
}

func (st step) stepTyped(data []byte, value any, codec Codec) (any, error) {
	if value == nil {
		var err error
		if value, err = st.decode(codec, data); err != nil {
			return nil, err
		}
	}
	value, err := st.typed(value)
	if err == nil && isNil(value) {
		err = errors.New("the upcaster gave nil and no error")
	}
	return value, err
}
