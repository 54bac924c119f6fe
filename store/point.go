package store

import (
	"time"

	"github.com/riffle-go/riffle/event"
)

// Point is a place in the log: a position, a stream's version, a time, or the head. As a
// lower bound (Query.From, a start, a rewind) it is inclusive and AtHead means "after the
// head, as it is when asked"; as an upper bound (Query.To, LoadAt) it is inclusive too.
// Several events may share a millisecond: AtTime as a lower bound is the first event at or
// after it, as an upper bound the last event at or before it.
type Point struct {
	kind     pointKind
	position event.Position
	stream   event.Stream
	version  uint64
	time     time.Time
}

type pointKind uint8

const (
	pointZero pointKind = iota
	pointPosition
	pointVersion
	pointTime
	pointHead
)

// AtPosition is a position.
func AtPosition(p event.Position) Point { return Point{kind: pointPosition, position: p} }

// AtVersion is the position of a version of a stream. As a lower bound it may be the next
// version that the stream will have. In a Query whose only Match is that stream, without a
// name, as Query.From it may be any version: one that is not reached gives no events.
func AtVersion(s event.Stream, v uint64) Point {
	return Point{kind: pointVersion, stream: s, version: v}
}

// AtTime is a time of commit, compared in milliseconds.
func AtTime(t time.Time) Point { return Point{kind: pointTime, time: t} }

// AtHead is the head at the time of the call that gets the Point.
func AtHead() Point { return Point{kind: pointHead} }

// IsZero says that the Point was not set.
func (p Point) IsZero() bool { return p.kind == pointZero }
