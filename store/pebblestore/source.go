package pebblestore

import (
	"bytes"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// source is one index range that yields positions in the order of the reading.
type source struct {
	r        *reading
	iter     *pebble.Iterator
	member   *member // of a crowd, in place of an iterator
	kind     byte
	names    nameSet // tested on the entry
	started  bool
	position uint64
	match    bool // the entry at position passes names
}

// next moves to the next entry within the bounds of the reading.
func (s *source) next() (bool, error) {
	if s.member != nil {
		e, ok, err := s.member.next()
		s.position, s.match = e.position, ok && s.names.has(e.name)
		return ok, err
	}
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
	s.match = s.names.has(name)
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

func (r *reading) indexIter(lower, upper []byte) (*pebble.Iterator, error) {
	iter, err := r.d.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, r.d.readError("index", lower, err)
	}
	return iter, nil
}

func (r *reading) addSource(p *plan, kind byte, lower, upper []byte, names nameSet) error {
	iter, err := r.indexIter(lower, upper)
	if err != nil {
		return err
	}
	p.sources = append(p.sources, source{r: r, iter: iter, kind: kind, names: names})
	return nil
}

func (r *reading) addName(p *plan, name uint32) error {
	return r.addSource(p, spaceName, appendNameKey(nil, name, r.lo), appendNameKey(nil, name, r.hi+1), nil)
}

// addRouting adds the range of a routing key; its entries carry the name.
func (r *reading) addRouting(p *plan, names nameSet) error {
	key := *p.keyed
	p.keyed, p.decided = nil, true
	return r.addSource(p, spaceRouting, appendRoutingKey(nil, key, r.lo), appendRoutingKey(nil, key, r.hi+1), names)
}

// addStream adds the range of a stream, cut at the version where the reading begins.
func (r *reading) addStream(p *plan, stream event.Stream, names nameSet) error {
	prefix := appendStreamPrefix(nil, r.dict.aggregates[stream.Aggregate], stream.ID)
	lower, upper := appendVersion(prefix, max(1, r.scan.MinVersion)), successor(prefix)
	if !r.amidStreams() {
		return r.addSource(p, spaceStream, lower, upper, names)
	}
	iter, err := r.indexIter(prefix, upper)
	if err != nil {
		return err
	}
	begin, err := (&streamReader{r: r, iter: iter}).begin(prefix)
	if err != nil || begin == 0 {
		return closing(iter, err)
	}
	if r.scan.Backward {
		upper = appendVersion(prefix, begin+1)
	} else {
		lower = appendVersion(prefix, max(begin, r.scan.MinVersion))
	}
	if bytes.Compare(lower, upper) >= 0 {
		return iter.Close()
	}
	iter.SetBounds(lower, upper)
	p.sources = append(p.sources, source{r: r, iter: iter, kind: spaceStream, names: names})
	return nil
}

// appendVersion makes the key of a version in memory of its own.
func appendVersion(prefix []byte, version uint64) []byte {
	return binary.BigEndian.AppendUint64(prefix[:len(prefix):len(prefix)], version)
}
