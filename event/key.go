package event

import (
	"strings"

	"github.com/riffle-go/riffle/internal/escape"
)

// Key joins components into one string: a stream id, a routing key or the key of a
// model. Different components never give the same key, and byte order of keys is the
// order of their components, first component first.
//
// A single component without NUL is its own key. All others are written with an end
// marker (0x00 0x01) after each component and zero bytes inside them escaped as 0x00
// 0xFF. Components without NUL keep a key valid UTF-8, as stream ids and routing keys
// must be.
func Key(first string, rest ...string) string {
	if len(rest) == 0 && strings.IndexByte(first, 0) < 0 {
		return first
	}
	n := len(first) + 2
	for _, s := range rest {
		n += len(s) + 2
	}
	b := escape.Append(make([]byte, 0, n), first)
	for _, s := range rest {
		b = escape.Append(b, s)
	}
	return string(b)
}

// KeyPrefix returns the string with which those keys begin that have these first
// components and at least one more; no key with other first components does. (The key
// of one single component that contains NUL begins with its own prefix, too.) Text
// without NUL appended to it narrows the range to the keys whose next component begins
// with that text. Without parts it is empty, the prefix of every key.
func KeyPrefix(parts ...string) string {
	var b []byte
	for _, s := range parts {
		b = escape.Append(b, s)
	}
	return string(b)
}

// SplitKey returns the components that [Key] joined. A string that Key does not
// make is an [*InvalidError].
func SplitKey(key string) ([]string, error) {
	if strings.IndexByte(key, 0) < 0 {
		return []string{key}, nil
	}
	var parts []string
	for rest := []byte(key); len(rest) > 0; {
		s, after, ok := escape.Decode(rest)
		if !ok {
			return nil, &InvalidError{Field: "Key", Reason: "is damaged or was not made by event.Key"}
		}
		parts, rest = append(parts, s), after
	}
	if len(parts) == 1 && strings.IndexByte(parts[0], 0) < 0 {
		return nil, &InvalidError{Field: "Key", Reason: "ends after its first component; it is a prefix, not a key"}
	}
	return parts, nil
}
