package event

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
)

// Rule is one line of a [Schema]: [Alias], [Encode], [Upcast] or [UpcastRaw].
type Rule func(*ruleset)

// ruleset collects rules before they are checked against each other. It is apart from
// Schema so that a rule cannot change a schema in use.
type ruleset struct {
	byType   map[Type]Codec
	fallback Codec
	codecs   map[string]Codec
	aliases  map[Type]Type // old → new, as declared
	steps    []step
	faults   []error
}

func (r *ruleset) faultf(format string, args ...any) {
	r.faults = append(r.faults, fmt.Errorf("event: schema: "+format, args...))
}

// Alias says that events of type old are of type new today. Stored events keep their
// name, but Event.Type, handlers and queries for new see them. Aliases may be chained;
// aggregates may differ. Both types count the versions of their schemas together, so
// a payload that changes with its name takes the next version and an upcaster.
func Alias(old, new Type) Rule {
	return func(r *ruleset) {
		for _, t := range []Type{old, new} {
			if err := t.Validate(); err != nil {
				r.faultf("alias of %s to %s: %w", old, new, err)
				return
			}
		}
		if before, ok := r.aliases[old]; ok && before != new {
			r.faultf("%s is an alias of both %s and %s; keep one", old, before, new)
			return
		}
		if r.aliases == nil {
			r.aliases = make(map[Type]Type)
		}
		r.aliases[old] = new
	}
}

// Encode writes payloads of the given types with c; without types, all payloads that
// have no rule of their own and are not protobuf messages. Events are read by their
// content type, so a stream may mix codecs and a rule may change at any time; a codec
// that is no longer written must stay registered as long as its events are stored. A
// codec with the content type of a built-in one replaces that for reading.
func Encode(c Codec, types ...Type) Rule {
	return func(r *ruleset) {
		if c == nil || c.ContentType() == "" {
			r.faultf("Encode needs a codec with a content type")
			return
		}
		if err := validateName("ContentType", c.ContentType()); err != nil {
			r.faultf("codec %T: %w", c, err)
			return
		}
		if other, ok := r.codecs[c.ContentType()]; ok && reflect.TypeOf(other) != reflect.TypeOf(c) {
			r.faultf("codecs %T and %T both claim the content type %q", other, c, c.ContentType())
			return
		}
		if r.codecs == nil {
			r.codecs, r.byType = make(map[string]Codec), make(map[Type]Codec)
		}
		r.codecs[c.ContentType()] = c
		if len(types) == 0 {
			if r.fallback != nil && r.fallback.ContentType() != c.ContentType() {
				r.faultf("two default codecs, %q and %q; keep one", r.fallback.ContentType(), c.ContentType())
				return
			}
			r.fallback = c
		}
		for _, t := range types {
			if err := t.Validate(); err != nil {
				r.faultf("codec %q: %w", c.ContentType(), err)
				continue
			}
			if before, ok := r.byType[t]; ok && before.ContentType() != c.ContentType() {
				r.faultf("%s has two codecs, %q and %q; keep one", t, before.ContentType(), c.ContentType())
				continue
			}
			r.byType[t] = c
		}
	}
}

// Upcast turns payloads of one schema version into the next: Old and New say by
// [Versioned] which versions these are. Chains v1 → v2 → v3 are followed until the
// version that a handler wants. If New has another type than Old, there must be an
// [Alias] too. f must be pure: it runs at every read, concurrently.
func Upcast[Old, New Payload](f func(Old) (New, error)) Rule {
	return func(r *ruleset) {
		from, to := reflect.TypeFor[Old](), reflect.TypeFor[New]()
		if f == nil || from.Kind() == reflect.Interface || to.Kind() == reflect.Interface {
			r.faultf("upcaster from %s to %s needs a function between concrete types", from, to)
			return
		}
		old, oldTarget := blank[Old]()
		next, nextTarget := blank[New]()
		st := step{
			stored: (*old).EventType(), from: schemaVersionOf(oldTarget), input: from, output: to,
			decode: func(c Codec, data []byte) (any, error) {
				v, target := blank[Old]()
				if err := c.Unmarshal(data, target); err != nil {
					return nil, err
				}
				return *v, nil
			},
			typed: func(v any) (any, error) { return f(v.(Old)) }, // link checked that types meet
		}
		if got := schemaVersionOf(nextTarget); got != st.from+1 {
			r.faultf("upcaster of %s goes from version %d (%s) to version %d (%s); it must go to version %d",
				st.stored, st.from, from, got, to, st.from+1)
			return
		}
		st.target = (*next).EventType()
		r.steps = append(r.steps, st)
	}
}

// UpcastRaw turns the stored bytes of version version of t into those of the next
// version, in the same format. f owns data. It must be pure: it runs at every read,
// concurrently.
func UpcastRaw(t Type, version int, f func(data []byte) ([]byte, error)) Rule {
	return func(r *ruleset) {
		if f == nil {
			r.faultf("raw upcaster of %s from version %d has no function", t, version)
			return
		}
		r.steps = append(r.steps, step{stored: t, target: t, from: version, raw: f})
	}
}

// resolveAliases follows each alias to its end and reports loops.
func (r *ruleset) resolveAliases() map[Type]Type {
	resolved := make(map[Type]Type, len(r.aliases))
	for _, old := range sortedTypes(r.aliases) {
		path := []Type{old}
		for to, ok := r.aliases[old]; ok; to, ok = r.aliases[to] {
			if slices.Contains(path, to) {
				r.faultf("alias of %s runs in a circle over %s", old, to)
				path = path[:1]
				break
			}
			path = append(path, to)
		}
		if len(path) > 1 {
			resolved[old] = path[len(path)-1]
		}
	}
	return resolved
}

func sortedTypes[V any](m map[Type]V) []Type {
	types := make([]Type, 0, len(m))
	for t := range m {
		types = append(types, t)
	}
	slices.SortFunc(types, compareTypes)
	return types
}

func compareTypes(a, b Type) int {
	return cmp.Or(cmp.Compare(a.Aggregate, b.Aggregate), cmp.Compare(a.Name, b.Name))
}
