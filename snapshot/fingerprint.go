package snapshot

import (
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/riffle-go/riffle/event"
)

// A Fingerprinter is a codec that knows better than [Fingerprint] what its bytes depend on.
type Fingerprinter interface {
	event.Codec
	// Fingerprint changes when bytes of the one type cannot be read as the other.
	Fingerprint(t reflect.Type) string
}

// Fingerprint returns a hash of the shape of states of type t under a codec, as lower-case
// hex: the codec's content type, and, all the way down, names, tags and kinds of fields;
// of a protobuf message its descriptor. The names of Go types do not matter, nor do fields
// that no codec sees. For JSON only json tags count, and the order of fields does not; a
// type that encodes itself counts by its name.
func Fingerprint(c event.Codec, t reflect.Type) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q\n", c.ContentType())
	if own, ok := c.(Fingerprinter); ok {
		fmt.Fprintf(h, "codec %q", own.Fingerprint(t))
	} else {
		s := shape{w: h, json: c.ContentType() == event.JSON().ContentType()}
		s.write(t)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// shape writes a description of a type.
type shape struct {
	w    io.Writer
	json bool
	path []any // the types being written: reflect.Type or full name of a message
}

var (
	messageType = reflect.TypeFor[proto.Message]()
	customJSON  = []reflect.Type{reflect.TypeFor[json.Marshaler](), reflect.TypeFor[encoding.TextMarshaler]()}
	customOther = []reflect.Type{reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.TextMarshaler]()}
)

func (s *shape) printf(format string, args ...any) { fmt.Fprintf(s.w, format, args...) }

func (s *shape) write(t reflect.Type) {
	if !s.json {
		if m, ok := messageOf(t); ok {
			s.message(m)
			return
		}
	}
	if s.encodesItself(t) {
		s.printf("custom %q", t.String())
		return
	}
	if t.Name() != "" {
		if s.inside(t) {
			return
		}
		defer s.leave()
	}
	switch t.Kind() {
	case reflect.Pointer: // a value and a pointer to it are encoded alike
		s.write(t.Elem())
	case reflect.Slice:
		s.printf("[]")
		s.write(t.Elem())
	case reflect.Array:
		s.printf("[%d]", t.Len())
		s.write(t.Elem())
	case reflect.Map:
		s.printf("map[")
		s.write(t.Key())
		s.printf("]")
		s.write(t.Elem())
	case reflect.Struct:
		s.fields(t)
	default:
		s.printf("%s", t.Kind())
	}
}

// inside enters a type, or writes how far outside it was entered already: types may
// contain themselves.
func (s *shape) inside(what any) bool {
	if i := slices.Index(s.path, what); i >= 0 {
		s.printf("#%d", len(s.path)-i)
		return true
	}
	s.path = append(s.path, what)
	return false
}

func (s *shape) leave() { s.path = s.path[:len(s.path)-1] }

func (s *shape) fields(t reflect.Type) {
	fields := slices.DeleteFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool {
		// What is promoted from an embedded struct is written with that struct.
		return len(f.Index) > 1 || !f.IsExported() && !f.Anonymous || s.json && f.Tag.Get("json") == "-"
	})
	if s.json {
		slices.SortFunc(fields, func(a, b reflect.StructField) int { return strings.Compare(a.Name, b.Name) })
	}
	s.printf("{")
	for _, f := range fields {
		tag := string(f.Tag)
		if s.json {
			tag = f.Tag.Get("json")
		}
		s.printf("%q %q %t ", f.Name, tag, f.Anonymous)
		s.write(f.Type)
		s.printf(";")
	}
	s.printf("}")
}

func (s *shape) encodesItself(t reflect.Type) bool {
	custom := customOther
	if s.json {
		custom = customJSON
	}
	return t.Kind() != reflect.Interface && slices.ContainsFunc(custom, func(m reflect.Type) bool {
		return t.Implements(m) || reflect.PointerTo(t).Implements(m)
	})
}

func messageOf(t reflect.Type) (protoreflect.MessageDescriptor, bool) {
	if t.Kind() != reflect.Pointer {
		t = reflect.PointerTo(t)
	}
	if !t.Implements(messageType) || t.Elem().Kind() != reflect.Struct {
		return nil, false
	}
	v := reflect.New(t.Elem())
	m, ok := v.Interface().(proto.Message)
	if !ok {
		return nil, false
	}
	if f := v.Elem(); f.NumField() == 1 && f.Type().Field(0).Anonymous && f.Type().Field(0).Type.Implements(messageType) {
		m, _ = reflect.Zero(f.Type().Field(0).Type).Interface().(proto.Message) // a wrapper: ask what it wraps
	}
	return m.ProtoReflect().Descriptor(), true
}

func (s *shape) message(m protoreflect.MessageDescriptor) {
	if s.inside(m.FullName()) {
		return
	}
	defer s.leave()
	s.printf("message{")
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		s.printf("%d %q %s %s ", f.Number(), f.Name(), f.Kind(), f.Cardinality())
		if f.IsMap() {
			s.printf("map[%s]", f.MapKey().Kind())
			f = f.MapValue()
			s.printf("%s ", f.Kind())
		}
		if f.Message() != nil {
			s.message(f.Message())
		}
		s.printf(";")
	}
	s.printf("}")
}
