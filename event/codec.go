package event

import (
	"encoding/json"
	"fmt"
	"reflect"

	"google.golang.org/protobuf/proto"
)

// Content types of the codecs that every schema knows.
const (
	contentJSON     = "application/json"
	contentProtobuf = "application/protobuf"
)

// Codec turns values into bytes and back. It must be safe for concurrent use. The same
// interface encodes payloads and the states of models.
type Codec interface {
	// ContentType names the format, for example "application/json". It is stored with
	// everything that Marshal wrote and finds the codec again.
	ContentType() string
	// Marshal returns bytes that the caller owns.
	Marshal(v any) ([]byte, error)
	// Unmarshal fills v, a pointer. It must not modify data, nor keep it: the memory
	// belongs to a page of events.
	Unmarshal(data []byte, v any) error
}

// JSON returns the codec of encoding/json, "application/json": the default for
// everything that is not a protobuf message.
func JSON() Codec { return jsonCodec{} }

type jsonCodec struct{}

func (jsonCodec) ContentType() string                { return contentJSON }
func (jsonCodec) Marshal(v any) ([]byte, error)      { return json.Marshal(v) }
func (jsonCodec) Unmarshal(data []byte, v any) error { return json.Unmarshal(data, v) }

// Protobuf returns the codec of binary protobuf, "application/protobuf": the default
// for payloads that are a proto.Message, or a struct whose only field is an embedded
// one, which is how a message of a generated package gets an EventType method:
//
//	type Opened struct{ *bankpb.Opened }
//
// Bytes are deterministic for one build of the program.
func Protobuf() Codec { return protobufCodec{} }

type protobufCodec struct{}

func (protobufCodec) ContentType() string { return contentProtobuf }

func (protobufCodec) Marshal(v any) ([]byte, error) {
	m, err := messageIn(v)
	if err != nil {
		return nil, err
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}

func (protobufCodec) Unmarshal(data []byte, v any) error {
	allocateMessage(v)
	m, err := messageIn(v)
	if err != nil {
		return err
	}
	return proto.Unmarshal(data, m)
}

// messageIn returns the generated message that v is or wraps.
func messageIn(v any) (proto.Message, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is not a protobuf message", v)
	}
	r := m.ProtoReflect()
	if !r.IsValid() {
		return nil, fmt.Errorf("%T holds a nil protobuf message", v)
	}
	inner := r.Interface()
	if wrapper := reflect.TypeOf(v); wrapper != reflect.TypeOf(inner) {
		if wrapper.Kind() == reflect.Pointer {
			wrapper = wrapper.Elem()
		}
		// Its methods come from the embedded message: other fields would be lost without
		// a word.
		if wrapper.Kind() == reflect.Struct && wrapper.NumField() != 1 {
			return nil, fmt.Errorf("%T has fields beside its protobuf message; move them into the message or choose a codec with event.Encode", v)
		}
	}
	return inner, nil
}

var messageType = reflect.TypeFor[proto.Message]()

// allocateMessage fills the embedded nil pointer of a wrapper around a message.
func allocateMessage(v any) {
	p := reflect.ValueOf(v)
	if p.Kind() != reflect.Pointer || p.IsNil() || p.Elem().Kind() != reflect.Struct || p.Elem().NumField() != 1 {
		return
	}
	f, t := p.Elem().Field(0), p.Elem().Type().Field(0)
	if t.Anonymous && f.Kind() == reflect.Pointer && f.IsNil() && f.CanSet() && f.Type().Implements(messageType) {
		f.Set(reflect.New(f.Type().Elem()))
	}
}
