package projectiontest

import (
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
)

// Log is a list of events as a store would have them. It belongs to one goroutine.
type Log struct {
	// Events in the order of their positions. A test may append events of its own making.
	Events []event.Event

	tb       testing.TB
	schema   *event.Schema
	now      time.Time
	metadata event.Metadata
	keys     map[event.Stream]string
	versions map[event.Stream]uint64
}

// NewLog returns an empty log. The rules are those of the store's schema; none is the
// default one. Its clock stands at the beginning of the year 2000, UTC, until At.
func NewLog(tb testing.TB, rules ...event.Rule) *Log {
	tb.Helper()
	schema := event.NewSchema(rules...)
	if err := schema.Err(); err != nil {
		tb.Fatal(err)
	}
	return &Log{
		tb: tb, schema: schema, now: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		keys: make(map[event.Stream]string), versions: make(map[event.Stream]uint64),
	}
}

// At sets the clock for what is appended from now on. It may go back, which a store's
// does not.
func (l *Log) At(t time.Time) *Log {
	l.now = time.UnixMilli(t.UnixMilli()).UTC()
	return l
}

// With sets the metadata for what is appended from now on.
func (l *Log) With(md event.Metadata) *Log {
	l.metadata = md
	return l
}

// Key sets the routing key of a stream for what is appended from now on.
func (l *Log) Key(s event.Stream, routingKey string) *Log {
	l.keys[s] = routingKey
	return l
}

// Append appends events to a stream.
func (l *Log) Append(s event.Stream, payloads ...event.Payload) *Log {
	l.tb.Helper()
	if err := s.Validate(); err != nil {
		l.tb.Fatal(err)
	}
	for _, p := range payloads {
		ev, err := l.schema.Encode(p)
		if err != nil {
			l.tb.Fatal(err)
		}
		if ev.Stream.Aggregate != s.Aggregate {
			l.tb.Fatalf("projectiontest: %s does not belong to the stream %s", ev.StoredType(), s)
		}
		l.versions[s]++
		ev.Stream, ev.Version = s, l.versions[s]
		ev.Position = event.Position(len(l.Events) + 1)
		ev.Time, ev.RoutingKey = l.now, l.keys[s]
		ev.Metadata = l.metadata.Merge(ev.Metadata)
		l.Events = append(l.Events, ev)
	}
	return l
}
