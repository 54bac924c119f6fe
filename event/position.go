package event

import (
	"fmt"
	"strconv"
)

// Position is the number of an event in the whole store: 1, 2, 3 … in the order of
// commits. 0 stands before the first event. In JSON it is a string, because
// JavaScript loses integers above 2^53.
type Position uint64

// String returns the position in decimal.
func (p Position) String() string { return strconv.FormatUint(uint64(p), 10) }

// MarshalText returns the position in decimal.
func (p Position) MarshalText() ([]byte, error) {
	return strconv.AppendUint(nil, uint64(p), 10), nil
}

// UnmarshalText accepts exactly what MarshalText writes: decimal digits without
// sign, spaces or leading zeros. Anything else is an [*InvalidError].
func (p *Position) UnmarshalText(b []byte) error {
	n, err := strconv.ParseUint(string(b), 10, 64)
	if err != nil || len(b) > 1 && b[0] == '0' {
		return &InvalidError{Field: "Position", Reason: fmt.Sprintf("%.40q is not a decimal number from 0 to 2^64-1", b)}
	}
	*p = Position(n)
	return nil
}
