package pebblestore

import (
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// source is one index range that yields positions in the order of the reading.
type source struct {
	r        *reading
	iter     *pebble.Iterator
	kind     byte
	names    map[uint32]struct{} // nil is all; tested on the entry
	started  bool
	position uint64
	match    bool // the entry at position passes names
}

// next moves to the next entry within the bounds of the reading.
func (s *source) next() (bool, error) {
	if !s.step() {
		if err := s.iter.Error(); err != nil {
			return false, s.r.d.readError("index", []byte{s.kind}, err)
		}
		return false, nil
	}
	s.match = true
	if s.kind != spaceStream {
		s.position = lastUint64(s.iter.Key())
		if s.names == nil {
			return true, nil
		}
	}
	v, err := s.iter.ValueAndErr()
	if err != nil {
		return false, s.r.d.readError("index", s.iter.Key(), err)
	}
	var name uint32
	if s.kind == spaceStream {
		e, ok := parseStreamEntry(v)
		if !ok {
			return false, indexError(s.iter.Key())
		}
		s.position, name = e.position, e.name
		// Versions and positions rise together: the first one outside ends the range. It is
		// outside when it became visible after the head was loaded.
		if s.position < s.r.lo || s.position > s.r.hi {
			if s.r.scan.Backward && s.position > s.r.hi {
				return s.next()
			}
			return false, nil
		}
	} else if len(v) == 4 {
		name = binary.BigEndian.Uint32(v)
	} else {
		return false, indexError(s.iter.Key())
	}
	if s.names != nil {
		_, s.match = s.names[name]
	}
	return true, nil
}

func (s *source) step() bool {
	if !s.started {
		s.started = true
		if s.r.scan.Backward {
			return s.iter.Last()
		}
		return s.iter.First()
	}
	if s.r.scan.Backward {
		return s.iter.Prev()
	}
	return s.iter.Next()
}

func indexError(key []byte) error {
	return &store.CorruptError{What: "index entry", Key: event.Position(lastUint64(key)).String(), Err: errShort}
}

func (r *reading) addSource(p *plan, kind byte, lower, upper []byte, names map[uint32]struct{}) error {
	iter, err := r.d.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return r.d.readError("index", lower, err)
	}
	p.sources = append(p.sources, source{r: r, iter: iter, kind: kind, names: names})
	return nil
}

func (r *reading) addName(p *plan, name uint32) error {
	return r.addSource(p, spaceName, appendNameKey(nil, name, r.lo), appendNameKey(nil, name, r.hi+1), nil)
}

// addRouting adds the range of a routing key; its entries carry the name.
func (r *reading) addRouting(p *plan, names map[uint32]struct{}) error {
	key := *p.keyed
	p.keyed, p.decided = nil, true
	return r.addSource(p, spaceRouting, appendRoutingKey(nil, key, r.lo), appendRoutingKey(nil, key, r.hi+1), names)
}

// addStream adds the range of a stream, cut at the version where the bounds begin and
// end.
func (r *reading) addStream(p *plan, m store.Match) error {
	aggregate, ok := r.dict.aggregates[m.Aggregate]
	if !ok {
		return nil
	}
	var names map[uint32]struct{}
	if m.Name != "" {
		id, ok := r.dict.names[event.Type{Aggregate: m.Aggregate, Name: m.Name}]
		if !ok {
			return nil
		}
		names = map[uint32]struct{}{id: {}}
	}
	prefix := appendStreamPrefix(nil, aggregate, m.ID)
	lower := binary.BigEndian.AppendUint64(prefix[:len(prefix):len(prefix)], max(1, r.scan.MinVersion))
	upper := successor(prefix)
	if r.lo > 1 || r.hi < r.head {
		from, to, err := r.versionRange(prefix)
		if err != nil {
			return err
		}
		lower = binary.BigEndian.AppendUint64(prefix[:len(prefix):len(prefix)], max(from, r.scan.MinVersion))
		upper = binary.BigEndian.AppendUint64(prefix[:len(prefix):len(prefix)], to)
		if max(from, r.scan.MinVersion) >= to {
			return nil
		}
	}
	return r.addSource(p, spaceStream, lower, upper, names)
}

// versionRange finds, by binary search over the dense versions of a stream, the versions
// whose positions lie in the bounds: from (inclusive) and to (exclusive).
func (r *reading) versionRange(prefix []byte) (from, to uint64, err error) {
	iter, err := r.d.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: successor(prefix)})
	if err != nil {
		return 0, 0, r.d.readError("index", prefix, err)
	}
	if !iter.Last() {
		if err := iter.Close(); err != nil {
			return 0, 0, r.d.readError("index", prefix, err)
		}
		return 1, 1, nil
	}
	last := lastUint64(iter.Key())
	var fault error
	positionOf := func(version uint64) uint64 {
		if !iter.SeekGE(binary.BigEndian.AppendUint64(prefix[:len(prefix):len(prefix)], version)) {
			if err := iter.Error(); err != nil {
				fault = r.d.readError("index", prefix, err)
			}
			return r.hi + 1
		}
		e, ok := parseStreamEntry(iter.Value())
		if !ok {
			fault = indexError(iter.Key())
		}
		return e.position
	}
	// first returns the first version at or above low whose position is at least pos.
	first := func(low, pos uint64) uint64 {
		high := last + 1
		for low < high {
			mid := low + (high-low)/2
			if positionOf(mid) < pos {
				low = mid + 1
			} else {
				high = mid
			}
		}
		return low
	}
	from, to = 1, last+1
	if r.lo > 1 {
		from = first(1, r.lo)
	}
	if positionOf(last) > r.hi {
		to = first(from, r.hi+1)
	}
	if fault != nil {
		return 0, 0, closing(iter, fault)
	}
	return from, to, iter.Close()
}
