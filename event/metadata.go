package event

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Keys of metadata with a meaning that the whole library shares.
const (
	RequestedBy   = "requested-by"   // who asked for the change
	RequestedAs   = "requested-as"   // on whose behalf, when somebody acts as somebody else
	CorrelationID = "correlation-id" // what belongs together, handed on from event to event
	CausationID   = "causation-id"   // id of the event that caused this one
	Traceparent   = "traceparent"    // W3C trace context of the append
)

// Limits of the metadata of one event.
const (
	maxMetadataEntries = 64
	maxMetadataBytes   = 64 << 10 // keys and values together
)

// Metadata is an immutable set of string pairs that travels with an event. The zero
// value is empty. Copies share memory and are safe for concurrent use.
//
// It holds its wire form and reads it only when asked, so an event whose metadata
// nobody looks at costs nothing. Limits (see Validate) are checked when events are
// appended, not by With.
type Metadata struct {
	wire []byte // see metadata_wire.go; sorted and without duplicates unless it came from outside
}

// NewMetadata returns the pairs of the map, which it does not keep.
func NewMetadata(pairs map[string]string) Metadata {
	sorted := make([]pair, 0, len(pairs))
	for _, k := range slices.Sorted(maps.Keys(pairs)) {
		sorted = append(sorted, pair{k, pairs[k]})
	}
	return encodePairs(sorted)
}

// RawMetadata returns metadata over bytes that AppendBinary wrote. It keeps b without
// copying: the caller must not modify b as long as the metadata or a copy of it is in
// use. Nothing is parsed here; damaged bytes give the entries that can be read, and
// Err.
func RawMetadata(b []byte) Metadata {
	if len(b) == 0 {
		return Metadata{}
	}
	return Metadata{wire: b}
}

// AppendBinary appends the wire form to b: entries sorted by key, the same bytes for
// the same pairs, and for RawMetadata the very bytes it was made from. It never
// fails; the error is there for [encoding.BinaryAppender].
func (m Metadata) AppendBinary(b []byte) ([]byte, error) {
	return append(b, m.wire...), nil
}

// Err reports damage in the bytes that RawMetadata was given, as an [*InvalidError],
// and nil for all other metadata. With and Merge keep what can be read.
func (m Metadata) Err() error {
	return scanPairs(m.wire, func(_, _ []byte) {})
}

// IsZero reports whether there is no metadata at all.
func (m Metadata) IsZero() bool { return len(m.wire) == 0 }

// Len returns the number of keys.
func (m Metadata) Len() int { return len(m.pairs()) }

// Get returns the value of key, or "" when there is none. The value is a copy.
func (m Metadata) Get(key string) string {
	var found []byte
	_ = scanPairs(m.wire, func(k, v []byte) { // damage: the entries that can be read count
		if string(k) == key {
			found = v
		}
	})
	return string(found)
}

// All yields the pairs sorted by key. The strings are copies.
func (m Metadata) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, p := range m.pairs() {
			if !yield(p.key, p.value) {
				return
			}
		}
	}
}

// With returns the metadata with key set to value.
func (m Metadata) With(key, value string) Metadata {
	return encodePairs(mergePairs(m.pairs(), []pair{{key, value}}))
}

// Merge returns the pairs of both; where both have a key, the value of over counts.
func (m Metadata) Merge(over Metadata) Metadata {
	switch {
	case over.IsZero():
		return m
	case m.IsZero():
		return over
	}
	return encodePairs(mergePairs(m.pairs(), over.pairs()))
}

// Validate returns an [*InvalidError] if the metadata cannot be stored: keys are 1 to
// 255 bytes of UTF-8 without control characters, values are UTF-8, and there are at
// most 64 pairs with at most 64 KiB of keys and values together.
func (m Metadata) Validate() error {
	if m.IsZero() {
		return nil
	}
	var fault error
	entries, size := 0, 0
	damage := scanPairs(m.wire, func(k, v []byte) {
		entries++
		size += len(k) + len(v)
		if fault == nil {
			fault = validatePair(k, v)
		}
	})
	switch {
	case damage != nil:
		return damage
	case fault != nil:
		return fault
	case entries > maxMetadataEntries:
		return &InvalidError{Field: "Metadata", Reason: fmt.Sprintf("has %d entries; at most %d are allowed", entries, maxMetadataEntries)}
	case size > maxMetadataBytes:
		return &InvalidError{Field: "Metadata", Reason: fmt.Sprintf("has %d bytes; at most %d are allowed", size, maxMetadataBytes)}
	}
	return nil
}

func validatePair(k, v []byte) error {
	if reason := faultOfKey(k); reason != "" {
		return &InvalidError{Field: "Metadata", Reason: fmt.Sprintf("key %.40q %s", k, reason)}
	}
	if !utf8.Valid(v) {
		return &InvalidError{Field: "Metadata", Reason: fmt.Sprintf("the value of %q is not valid UTF-8; encode binary values as text", k)}
	}
	return nil
}

func faultOfKey(k []byte) string {
	switch {
	case len(k) == 0:
		return "is empty"
	case len(k) > maxName:
		return fmt.Sprintf("has %d bytes; at most %d are allowed", len(k), maxName)
	case plain(k):
		return ""
	case !utf8.Valid(k):
		return "is not valid UTF-8"
	case strings.ContainsFunc(string(k), unicode.IsControl):
		return "contains a control character"
	}
	return ""
}

// MarshalJSON returns the pairs as an object, sorted by key.
func (m Metadata) MarshalJSON() ([]byte, error) {
	return json.Marshal(maps.Collect(m.All()))
}

// UnmarshalJSON reads an object of strings; null gives empty metadata.
func (m *Metadata) UnmarshalJSON(b []byte) error {
	var pairs map[string]string
	if err := json.Unmarshal(b, &pairs); err != nil {
		return fmt.Errorf("event: metadata must be an object of strings: %w", err)
	}
	*m = NewMetadata(pairs)
	return nil
}
