package store

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/riffle-go/riffle/event"
)

// The longest texts, in bytes.
const (
	maxText = 255 // names, stream ids, routing keys
	maxKey  = 384 // keys of models
)

// checkName checks what stands in configurations, terminals and metrics: names of
// stores and projections.
func checkName(field, name string) error {
	return renamed(field, event.Aggregate(name).Validate())
}

// checkKeyText checks the key of a model, a snapshot or a row.
func checkKeyText(field, key string) error {
	if key == "" {
		return &InvalidError{Field: field, Reason: "is empty; give it 1 to 384 bytes"}
	}
	return checkText(field, key, maxKey)
}

// checkText checks a text that may be empty and may contain NUL.
func checkText(field, s string, limit int) error {
	switch {
	case len(s) > limit:
		return &InvalidError{Field: field, Reason: fmt.Sprintf("has %d bytes, at most %d are allowed", len(s), limit)}
	case !utf8.ValidString(s):
		return &InvalidError{Field: field, Reason: "is not valid UTF-8; encode binary values as text"}
	}
	return nil
}

// renamed gives an InvalidError the name that its field has for the caller.
func renamed(field string, err error) error {
	if invalid, ok := errors.AsType[*InvalidError](err); ok {
		return &InvalidError{Field: field, Reason: invalid.Reason}
	}
	return err
}

// within puts the path of the enclosing value before an error of a part of it.
func within(path string, err error) error {
	if err == nil {
		return nil
	}
	if invalid, ok := errors.AsType[*InvalidError](err); ok {
		return &InvalidError{Field: path + "." + invalid.Field, Reason: invalid.Reason}
	}
	if part, ok := err.(*partError); ok {
		return &partError{path + "." + part.path, part.err}
	}
	return &partError{path, err}
}

// partError says which part of the input an error is about.
type partError struct {
	path string
	err  error
}

func (e *partError) Error() string { return "store: " + e.path + ": " + e.err.Error() }
func (e *partError) Unwrap() error { return e.err }

func checkMatches(match []Match) error {
	for i, m := range match {
		if err := checkMatch(m); err != nil {
			return within(fmt.Sprintf("Match[%d]", i), err)
		}
	}
	return nil
}

func checkMatch(m Match) error {
	if err := m.Aggregate.Validate(); err != nil {
		return err
	}
	if m.Name != "" {
		if err := checkName("Name", m.Name); err != nil {
			return err
		}
	}
	return checkText("ID", m.ID, maxText)
}

func checkRange(r Range) error {
	if r.Limit < 0 {
		return &InvalidError{Field: "Range.Limit", Reason: "is negative; 0 is all"}
	}
	return nil
}
