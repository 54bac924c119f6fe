package memdriver

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// change is the effect of one write. It is never modified once it is in the log.
type change struct {
	events  []stored
	puts    []store.Record
	deletes []string
	term    uint64    // the highest given out so far; 0 is no change
	at      time.Time // when it was applied
	synced  bool
}

// stored is an event with its metadata as bytes, so that nothing of it is shared with a
// caller.
type stored struct {
	event.Event
	metadata []byte
	once     bool
}

// load returns the event as a caller's own.
func (s *stored) load() event.Event {
	ev := s.Event
	ev.Data = bytes.Clone(s.Data)
	if len(s.metadata) > 0 {
		ev.Metadata = event.RawMetadata(bytes.Clone(s.metadata))
	}
	return ev
}

// state is what reads look at.
type state struct {
	naive   Naive
	events  []stored // in the order of their positions; elements are never modified
	streams map[event.Stream]store.StreamInfo
	types   map[event.Type]struct{}
	once    map[event.ID]event.Position
	records map[string]store.Record
	term    uint64
}

func newState(naive Naive) state {
	return state{
		naive:   naive,
		streams: map[event.Stream]store.StreamInfo{},
		types:   map[event.Type]struct{}{},
		once:    map[event.ID]event.Position{},
		records: map[string]store.Record{},
	}
}

// last is the event at the head; the zero event in an empty store.
func (s *state) last() event.Event {
	if len(s.events) == 0 {
		return event.Event{}
	}
	return s.events[len(s.events)-1].Event
}

func (s *state) apply(c change) {
	for _, e := range c.events {
		s.insert(e)
		key := s.key(e.Stream)
		info := s.streams[key]
		if info.First == 0 {
			info.First, info.RoutingKey = e.Position, e.RoutingKey
		}
		if s.naive.breaks(RoutingKeyFollows) {
			info.RoutingKey = e.RoutingKey
		}
		info.Version, info.Last = e.Version, e.Position
		s.streams[key] = info
		s.types[e.StoredType()] = struct{}{}
		if e.once {
			s.once[e.ID] = e.Position
		}
	}
	for _, r := range c.puts {
		s.records[r.Key] = r
	}
	for _, key := range c.deletes {
		delete(s.records, key)
	}
	s.term = max(s.term, c.term)
}

// insert keeps the order of positions. In a right driver it always appends.
func (s *state) insert(e stored) {
	if e.Position > s.last().Position {
		s.events = append(s.events, e)
		return
	}
	i := after(s.events, e.Position)
	s.events = slices.Concat(s.events[:i], []stored{e}, s.events[i:])
}

// after is the index of the first event behind a position.
func after(events []stored, p event.Position) int {
	i, _ := slices.BinarySearchFunc(events, p, func(e stored, p event.Position) int {
		if e.Position <= p {
			return -1
		}
		return 1
	})
	return i
}

func (s *state) sortedTypes() []event.Type {
	return slices.SortedFunc(maps.Keys(s.types), func(a, b event.Type) int {
		return cmp.Or(cmp.Compare(a.Aggregate, b.Aggregate), cmp.Compare(a.Name, b.Name))
	})
}
