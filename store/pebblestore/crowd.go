package pebblestore

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/riffle-go/riffle/event"
)

// A filter may have more streams than iterators can be open. Such a crowd shares one: each
// of its streams keeps a few entries in memory, and seeks for more when they are used up.
//
// To find where each stream goes on costs a page some seeks for every stream, which is much
// when the streams make up most of the log, and little when they are hidden in it. Nobody
// knows before. So the page begins with a walk over the log that costs about as much; often
// it finds what the page needs. Otherwise the crowd goes on behind it: whichever had been the
// better way, both together cost about twice as much at the worst.

const (
	// probeEach is how many events the walk before a crowd looks at for each range. The walk
	// may take half of Examine: a filter of more ranges is tested on the log all the way.
	probeEach = 8

	// leastAhead and mostAhead are how many entries of a stream are read at once; each time
	// twice as many.
	leastAhead = 4
	mostAhead  = 64
)

// probe walks the log where the reading begins, and opens the ranges behind it unless the
// page is done.
func (r *reading) probe(ctx context.Context, p *plan) (done bool, err error) {
	lo, hi := r.lo, r.hi
	if r.scan.Backward {
		r.lo = hi - p.probe + 1
	} else {
		r.hi = lo + p.probe - 1
	}
	err = r.scanLog(ctx, p)
	if r.scan.Backward {
		r.lo, r.hi = lo, r.lo-1
	} else {
		r.lo, r.hi = r.hi+1, hi
	}
	if err != nil || r.more || r.cut {
		return true, err
	}
	return false, r.addRanges(p, p.filter)
}

// addCrowd adds streams that share an iterator.
func (r *reading) addCrowd(p *plan, streams map[event.Stream]nameSet) error {
	members := make([]source, 0, len(streams))
	reader := &streamReader{r: r}
	for s, names := range streams {
		prefix := appendStreamPrefix(nil, r.dict.aggregates[s.Aggregate], s.ID)
		members = append(members, source{r: r, kind: spaceStream, names: names, member: &member{reader: reader, prefix: prefix}})
	}
	// In the order of the keys the first seeks meet the same blocks.
	slices.SortFunc(members, func(a, b source) int { return bytes.Compare(a.member.prefix, b.member.prefix) })
	var err error
	reader.iter, err = r.indexIter(members[0].member.prefix, successor(members[len(members)-1].member.prefix))
	if err != nil {
		p.close()
		return err
	}
	p.crowd, p.sources = reader, append(p.sources, members...)
	return nil
}

// member is a stream of a crowd.
type member struct {
	reader  *streamReader
	prefix  []byte
	started bool
	ended   bool
	version uint64        // to read next
	ahead   []streamEntry // read already, all within the bounds
	used    int           // of ahead
}

// next returns the next entry within the bounds of the reading.
func (m *member) next() (streamEntry, bool, error) {
	if m.used == len(m.ahead) && !m.ended {
		if err := m.fill(); err != nil {
			return streamEntry{}, false, err
		}
	}
	if m.used == len(m.ahead) {
		return streamEntry{}, false, nil
	}
	m.used++
	return m.ahead[m.used-1], true, nil
}

// fill reads the next entries.
func (m *member) fill() error {
	c, r := m.reader, m.reader.r
	if !m.started {
		m.started = true
		// A crowd begins behind the walk, so always amid the log.
		begin, err := c.begin(m.prefix)
		if err != nil || begin == 0 {
			m.ended = true
			return err
		}
		m.version = begin
	}
	want := min(max(leastAhead, 2*len(m.ahead)), mostAhead)
	m.ahead, m.used = slices.Grow(m.ahead[:0], want), 0
	e, ok, err := c.seek(m.prefix, m.version, r.scan.Backward)
	for ; ok && len(m.ahead) < want; e, ok, err = c.step(m.prefix, r.scan.Backward) {
		// Versions and positions rise together: the first one outside is the end.
		if e.position < r.lo || e.position > r.hi {
			m.ended = true
			return nil
		}
		m.ahead = append(m.ahead, e.streamEntry)
		if m.version = e.version + 1; r.scan.Backward {
			m.version = e.version - 1
		}
	}
	m.ended = !ok
	return err
}

// streamReader finds entries of streams with one iterator, whose bounds hold all of them.
type streamReader struct {
	r    *reading
	iter *pebble.Iterator
	key  []byte // memory for keys
}

// streamVersion is a version of a stream, and its entry.
type streamVersion struct {
	streamEntry
	version uint64
}

// seek finds a version of a stream, or the one that follows in the direction.
func (c *streamReader) seek(prefix []byte, version uint64, backward bool) (streamVersion, bool, error) {
	c.key = append(c.key[:0], prefix...)
	if backward {
		c.key = binary.BigEndian.AppendUint64(c.key, version+1)
		return c.entry(prefix, c.iter.SeekLT(c.key))
	}
	c.key = binary.BigEndian.AppendUint64(c.key, version)
	return c.entry(prefix, c.iter.SeekGE(c.key))
}

func (c *streamReader) step(prefix []byte, backward bool) (streamVersion, bool, error) {
	if backward {
		return c.entry(prefix, c.iter.Prev())
	}
	return c.entry(prefix, c.iter.Next())
}

// entry reads where the iterator stands, unless the stream has ended.
func (c *streamReader) entry(prefix []byte, valid bool) (streamVersion, bool, error) {
	if !valid {
		if err := c.iter.Error(); err != nil {
			return streamVersion{}, false, c.r.d.readError("index", prefix, err)
		}
		return streamVersion{}, false, nil
	}
	key := c.iter.Key()
	if len(key) != len(prefix)+8 || !bytes.HasPrefix(key, prefix) {
		return streamVersion{}, false, nil
	}
	v, err := c.iter.ValueAndErr()
	if err != nil {
		return streamVersion{}, false, c.r.d.readError("index", key, err)
	}
	e, ok := parseStreamEntry(v)
	if !ok {
		return streamVersion{}, false, indexError(key)
	}
	return streamVersion{e, lastUint64(key)}, true, nil
}

// amidStreams says whether the reading begins amid the events of a stream, so that its place
// must be searched.
func (r *reading) amidStreams() bool {
	if r.scan.Backward {
		return r.hi < r.head
	}
	return r.lo > 1
}

// begin finds the first version of a stream in the bounds of the reading: going backward the
// last one at or below hi, else the first one at or above lo; 0 is none. Versions are dense,
// and rise with the positions.
func (c *streamReader) begin(prefix []byte) (uint64, error) {
	if !c.r.scan.Backward {
		if e, ok, err := c.seek(prefix, 1, false); err != nil || !ok {
			return 0, err
		} else if e.position >= c.r.lo {
			return e.version, nil
		}
	}
	last, ok, err := c.seek(prefix, math.MaxUint64-1, true)
	if err != nil || !ok {
		return 0, err
	}
	// bound separates what is in from what is out; the search is for the first version at or
	// above it.
	bound := c.r.lo
	if c.r.scan.Backward {
		bound = c.r.hi + 1
	}
	low, high := uint64(1), last.version
	if last.position < bound {
		low, high = last.version+1, last.version+1
	}
	for low < high {
		mid := low + (high-low)/2
		e, ok, err := c.seek(prefix, mid, false)
		if err != nil {
			return 0, err
		}
		if !ok {
			return 0, indexError(appendVersion(prefix, mid))
		}
		if e.position < bound {
			low = mid + 1
		} else {
			high = mid
		}
	}
	switch {
	case c.r.scan.Backward:
		return low - 1, nil
	case low > last.version:
		return 0, nil
	}
	return low, nil
}
