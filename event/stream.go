package event

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName is the longest name or stream id in bytes.
const maxName = 255

// Aggregate is the stored name of a kind of streams, for example "bank/account". It
// is 1 to 255 bytes of UTF-8 without control characters.
type Aggregate string

// Event names a type of event of this aggregate. The name is what the store keeps:
// choose it once and keep it when the Go type is renamed.
func (a Aggregate) Event(name string) Type { return Type{Aggregate: a, Name: name} }

// Stream names the stream of one instance of this aggregate.
func (a Aggregate) Stream(id string) Stream { return Stream{Aggregate: a, ID: id} }

// Validate returns an [*InvalidError] if the name cannot be stored.
func (a Aggregate) Validate() error { return validateName("Aggregate", string(a)) }

// Type is the stored identity of a kind of events: the aggregate it belongs to and
// its name there. It has nothing to do with the name of a Go type. Types are
// comparable and serve as map keys.
type Type struct {
	Aggregate Aggregate
	Name      string // 1 to 255 bytes of UTF-8 without control characters
}

// String is for people: "bank/account.deposited". It is not unique and not parsed.
func (t Type) String() string { return string(t.Aggregate) + "." + t.Name }

// Validate returns an [*InvalidError] if a name of the type cannot be stored.
func (t Type) Validate() error {
	if err := t.Aggregate.Validate(); err != nil {
		return err
	}
	return validateName("Name", t.Name)
}

// Stream identifies the events of one aggregate instance. Streams are comparable and
// serve as map keys.
type Stream struct {
	Aggregate Aggregate
	ID        string // 1 to 255 bytes of UTF-8; NUL is allowed, see [Key]
}

// String is for people: "bank/account/ann". It is not unique and not parsed.
func (s Stream) String() string { return string(s.Aggregate) + "/" + s.ID }

// Validate returns an [*InvalidError] if the stream cannot be stored.
func (s Stream) Validate() error {
	if err := s.Aggregate.Validate(); err != nil {
		return err
	}
	return validateText("Stream.ID", s.ID)
}

// validateName allows what may stand in a dictionary, a metric or a terminal.
func validateName(field, s string) error {
	if err := validateText(field, s); err != nil {
		return err
	}
	if plain(s) {
		return nil
	}
	if i := strings.IndexFunc(s, unicode.IsControl); i >= 0 {
		r, _ := utf8.DecodeRuneInString(s[i:])
		return &InvalidError{Field: field, Reason: fmt.Sprintf("contains the control character %U; use printable text", r)}
	}
	return nil
}

// plain says whether s is printable ASCII, as nearly every name and key is: that needs no
// closer look.
func plain[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func validateText(field, s string) error {
	switch {
	case s == "":
		return &InvalidError{Field: field, Reason: "is empty; give it 1 to 255 bytes"}
	case len(s) > maxName:
		return &InvalidError{Field: field, Reason: fmt.Sprintf("has %d bytes; at most %d are allowed", len(s), maxName)}
	case !utf8.ValidString(s):
		return &InvalidError{Field: field, Reason: "is not valid UTF-8; encode binary ids as text"}
	}
	return nil
}
