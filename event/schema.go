package event

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"google.golang.org/protobuf/proto"
)

// Schema says how payloads are written and how stored events become the payloads of
// today: codecs, aliases of renamed types and upcasters of changed ones. It is given
// to the store once. It never changes after [NewSchema] and is safe for concurrent
// use.
//
// A nil *Schema is the default one: JSON, protobuf for protobuf messages, no aliases
// and no upcasters.
type Schema struct {
	byType   map[Type]Codec   // rules of Encode with types
	fallback Codec            // rule of Encode without types; nil = JSON
	codecs   map[string]Codec // by content type, beside the built-in ones
	aliases  map[Type]Type    // old → current, resolved
	sources  map[Type][]Type  // type → all that become it
	chains   map[Type]chain   // by current type
	fault    error
}

// NewSchema builds a schema out of rules, in any order. It does not fail: what is
// wrong with the rules is found by Err, and a schema with faults refuses to encode and
// to decode.
func NewSchema(rules ...Rule) *Schema {
	var set ruleset
	for i, r := range rules {
		if r == nil {
			set.faultf("rule %d is nil", i+1)
			continue
		}
		r(&set)
	}
	return set.compile()
}

// Err returns everything that is wrong with the rules, joined, or nil.
func (s *Schema) Err() error {
	if s == nil {
		return nil
	}
	return s.fault
}

// Bind attaches the schema to an event, so that Type and [Decode] follow its rules.
// Stores do so with every event they give out.
func (s *Schema) Bind(e *Event) { e.schema = s }

// Sources returns the types under which events of type t may be stored: t first, then
// the old names that became t, directly or over several renames, sorted. The caller
// owns the slice.
func (s *Schema) Sources(t Type) []Type {
	if s == nil {
		return []Type{t}
	}
	return append([]Type{t}, s.sources[t]...)
}

// Codec returns the codec for a content type; "" is JSON.
func (s *Schema) Codec(contentType string) (Codec, bool) {
	if contentType == "" {
		contentType = contentJSON
	}
	if s != nil {
		if c, ok := s.codecs[contentType]; ok {
			return c, true
		}
	}
	switch contentType {
	case contentJSON:
		return JSON(), true
	case contentProtobuf:
		return Protobuf(), true
	}
	return nil, false
}

// Encode turns a payload into an event that is ready to be appended: ID (that of the
// [Draft], or a fresh one), Stream.Aggregate, Name, SchemaVersion, Metadata (that of
// the Draft), ContentType and Data are set, and the schema is bound. The stream's id is
// left to the caller. A nil payload, names that cannot be stored and a schema version
// below 1 are [ErrInvalid]. A panic of the payload's own methods passes through.
func (s *Schema) Encode(p Payload) (Event, error) {
	if err := s.Err(); err != nil {
		return Event{}, err
	}
	d := draftOf(p)
	if isNil(d.Payload) {
		return Event{}, &InvalidError{Field: "Payload", Reason: "is nil; give a value with an EventType method"}
	}
	t := d.EventType()
	if err := t.Validate(); err != nil {
		return Event{}, fmt.Errorf("event: encode %T: %w", d.Payload, err)
	}
	version := schemaVersionOf(d.Payload)
	if version < 1 {
		return Event{}, &InvalidError{Field: "SchemaVersion", Reason: fmt.Sprintf("%s says %d; versions start at 1", t, version)}
	}
	codec := s.codecFor(t, d.Payload)
	data, err := codec.Marshal(d.Payload)
	if err != nil {
		return Event{}, fmt.Errorf("event: encode %s as %s: %w", t, codec.ContentType(), err)
	}
	if d.ID.IsZero() {
		d.ID = NewID()
	}
	return Event{
		ID:            d.ID,
		Stream:        Stream{Aggregate: t.Aggregate},
		Name:          t.Name,
		SchemaVersion: version,
		Metadata:      d.Metadata,
		ContentType:   codec.ContentType(),
		Data:          data,
		schema:        s,
	}, nil
}

// codecFor chooses the codec that writes v, a payload of type t.
func (s *Schema) codecFor(t Type, v any) Codec {
	if s != nil {
		if c, ok := s.byType[t]; ok {
			return c
		}
	}
	if _, ok := v.(proto.Message); ok {
		return Protobuf()
	}
	if s != nil && s.fallback != nil {
		return s.fallback
	}
	return JSON()
}

// current follows the aliases.
func (s *Schema) current(t Type) Type {
	if s == nil || len(s.aliases) == 0 {
		return t
	}
	if to, ok := s.aliases[t]; ok {
		return to
	}
	return t
}

// isNil finds nil pointers in interfaces too: their methods might panic.
func isNil(p any) bool {
	v := reflect.ValueOf(p)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// compile checks the rules against each other and indexes them.
func (r *ruleset) compile() *Schema {
	s := &Schema{byType: r.byType, fallback: r.fallback, codecs: r.codecs}
	s.aliases = r.resolveAliases()
	s.sources = make(map[Type][]Type)
	for old, to := range s.aliases {
		// A name in the middle of several renames has sources of its own.
		for mid := r.aliases[old]; ; mid = r.aliases[mid] {
			s.sources[mid] = append(s.sources[mid], old)
			if mid == to {
				break
			}
		}
	}
	for _, olds := range s.sources {
		slices.SortFunc(olds, compareTypes)
	}
	s.chains = r.link(s)
	s.fault = errors.Join(r.faults...)
	return s
}
