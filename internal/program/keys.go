package program

import (
	"fmt"
	"unicode/utf8"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// MaxKeyBytes is the longest key.
const MaxKeyBytes = 384

// CheckKey returns a *store.InvalidError unless the key can be stored: 1 to 384 bytes of
// UTF-8; NUL is allowed, see event.Key.
func CheckKey(key string) error {
	switch {
	case key == "":
		return &store.InvalidError{Field: "Key", Reason: "is empty; give it 1 to 384 bytes, or no key at all"}
	case len(key) > MaxKeyBytes:
		return &store.InvalidError{Field: "Key", Reason: fmt.Sprintf("has %d bytes; at most %d are allowed", len(key), MaxKeyBytes)}
	case !utf8.ValidString(key):
		return &store.InvalidError{Field: "Key", Reason: "is not valid UTF-8; encode binary keys as text"}
	}
	return nil
}

// KeyError says that the keys of an event cannot be found, so nobody knows whom it
// concerns.
type KeyError struct {
	Projection string
	Position   event.Position
	Type       event.Type
	Err        error
}

func (e *KeyError) Error() string {
	return fmt.Sprintf("projection: %s cannot find the keys of %s at position %d: %v", e.Projection, e.Type, e.Position, e.Err)
}

// ErrorType is the error.type attribute of telemetry.
func (*KeyError) ErrorType() string { return "key" }

func (e *KeyError) Unwrap() error { return e.Err }

// UnhandledError says that a strict projection met an event that no handler takes.
type UnhandledError struct {
	Projection string
	Position   event.Position
	Type       event.Type
}

func (e *UnhandledError) Error() string {
	return fmt.Sprintf("projection: %s has no handler of %s (position %d); add one, or name the type in Options.Ignore", e.Projection, e.Type, e.Position)
}

// ErrorType is the error.type attribute of telemetry.
func (*UnhandledError) ErrorType() string { return "unhandled" }
