package escape

import (
	"bytes"
	"strings"
)

const (
	zero   = 0x00
	quoted = 0xFF // follows a zero byte that belongs to the string
	end    = 0x01 // follows the zero byte that ends a component
)

// Append appends s as one complete component, with its end marker, to dst.
func Append(dst []byte, s string) []byte {
	return append(AppendPrefix(dst, s), zero, end)
}

// AppendPrefix appends s without an end marker: the bytes with which every component
// begins whose string begins with s, and no other component.
func AppendPrefix(dst []byte, s string) []byte {
	for {
		i := strings.IndexByte(s, zero)
		if i < 0 {
			return append(dst, s...)
		}
		dst = append(dst, s[:i]...)
		dst = append(dst, zero, quoted)
		s = s[i+1:]
	}
}

// Decode reads one complete component from the beginning of b and returns its string
// and the bytes that follow its end marker. The string is a copy; rest shares memory
// with b. It is not ok when b has no end marker or a zero byte that Append would
// not have written; then s is empty and rest is b.
func Decode(b []byte) (s string, rest []byte, ok bool) {
	var plain []byte // only for strings with a zero byte
	for in := b; ; {
		i := bytes.IndexByte(in, zero)
		if i < 0 || i+1 == len(in) {
			return "", b, false
		}
		switch next := in[i+1]; {
		case next == quoted:
			plain = append(append(plain, in[:i]...), zero)
		case next == end && plain == nil:
			return string(in[:i]), in[i+2:], true
		case next == end:
			return string(append(plain, in[:i]...)), in[i+2:], true
		default:
			return "", b, false
		}
		in = in[i+2:]
	}
}
