package event

import (
	"errors"
	"fmt"
	"reflect"
)

// Decode returns the payload of e as a T. The type of e, with the aliases of the
// schema that the store bound to it, must be T's; an older schema version is upcast
// to T's. Every failure is a [*DecodeError]: another type, a content type without a
// codec, damaged data, a missing upcaster, or an event written by newer code than
// this.
//
// T may be a pointer, as generated protobuf messages are. The result shares no memory
// with e.
func Decode[T Payload](e Event) (T, error) {
	if reflect.TypeFor[T]().Kind() == reflect.Interface {
		var zero T
		return zero, &DecodeError{Event: e, Err: fmt.Errorf("%s is an interface; decode into a concrete type", reflect.TypeFor[T]())}
	}
	v, target := blank[T]()
	upcast, err := e.decode((*v).EventType(), schemaVersionOf(target), target)
	if err == nil && upcast != nil {
		if typed, ok := upcast.(T); ok {
			return typed, nil
		}
		err = fmt.Errorf("upcasters give %T, but %s is wanted", upcast, reflect.TypeFor[T]())
	}
	if err != nil {
		var zero T
		return zero, &DecodeError{Event: e, Err: err}
	}
	return *v, nil
}

// decode fills target, or returns the value that upcasters made.
func (e *Event) decode(want Type, version int, target any) (any, error) {
	if err := e.schema.Err(); err != nil {
		return nil, err
	}
	if got := e.Type(); got != want {
		return nil, e.mismatch(got, want)
	}
	codec, ok := e.schema.Codec(e.ContentType)
	if !ok {
		return nil, fmt.Errorf("no codec for content type %q; add event.Encode to the schema of the store", e.ContentType)
	}
	switch stored := e.schemaVersion(); {
	case stored == version:
		return nil, codec.Unmarshal(e.Data, target)
	case stored > version:
		return nil, fmt.Errorf("stored with schema version %d, but this code knows %d; deploy newer code", stored, version)
	}
	return e.schema.upcast(e, codec, want, version, target)
}

func (e *Event) mismatch(got, want Type) error {
	if e.schema.current(want) == got {
		return fmt.Errorf("%s is an old name of %s; decode into a payload of the new type", want, got)
	}
	return errors.New("the event is " + got.String() + ", not " + want.String())
}

// blank returns a zero T and what a codec fills to fill it: a pointer to it, or, if T
// is itself a pointer, that pointer to a new element.
func blank[T Payload]() (v *T, target any) {
	v = new(T)
	if t := reflect.TypeFor[T](); t.Kind() == reflect.Pointer {
		target = reflect.New(t.Elem()).Interface()
		*v = target.(T)
		return v, target
	}
	return v, v
}
