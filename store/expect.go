package store

import "strconv"

// Expect says what version a stream must have for an append to succeed. The zero value
// is [NoStream].
type Expect int64

// The expectations without a number.
const (
	NoStream Expect = 0  // the stream has no events yet; the same as Exact(0)
	Any      Expect = -1 // whatever the stream has
	Exists   Expect = -2 // the stream has at least one event
)

// Exact expects that the stream's last event has this version. A version that no stream
// can have (above 2^63-1) matches none.
func Exact(version uint64) Expect {
	return Expect(min(version, 1<<63-1))
}

// Version returns the version that Exact or NoStream expects; ok is false for Any and
// Exists.
func (e Expect) Version() (version uint64, ok bool) {
	return uint64(max(e, 0)), e >= 0
}

// Holds says whether a stream at this version meets the expectation; version 0 is a
// stream without events.
func (e Expect) Holds(version uint64) bool {
	switch e {
	case Any:
		return true
	case Exists:
		return version > 0
	default:
		return e >= 0 && version == uint64(e)
	}
}

func (e Expect) String() string {
	switch {
	case e == NoStream:
		return "no stream"
	case e == Any:
		return "any version"
	case e == Exists:
		return "an existing stream"
	case e < 0:
		return "an invalid expectation"
	default:
		return "version " + strconv.FormatInt(int64(e), 10)
	}
}
