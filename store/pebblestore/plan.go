package pebblestore

import (
	"errors"
	"slices"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

var errMissing = errors.New("the log has no event there")

// plan says which ranges hold the candidates of a scan, and what is left to test on each
// event.
type plan struct {
	scan    bool // walk the log; there are no ranges
	sources []source
	heap    []int // of sources, by their next position
	started bool
	back    bool

	names   map[uint32]struct{} // tested on the header; nil is all
	streams []store.Match       // tested on the body together with names; see matches
	keyed   *string             // the routing key still to test
	decided bool                // an entry of the ranges is a match, whatever the event says
	dict    *dictionary
}

// plan decides how to find the events of a scan.
func (r *reading) plan() (*plan, error) {
	p := &plan{back: r.scan.Backward, dict: r.dict, keyed: r.scan.RoutingKey}
	names, streams := r.split()
	if r.scan.Match == nil {
		if r.scan.RoutingKey == nil || *r.scan.RoutingKey == "" {
			p.scan, p.decided = true, r.scan.RoutingKey == nil
			return p, nil
		}
		return p, r.addRouting(p, nil)
	}
	if len(streams) == 0 && r.scan.RoutingKey != nil && *r.scan.RoutingKey != "" {
		if len(names) == 0 {
			return p, nil
		}
		return p, r.addRouting(p, names)
	}
	if len(names)+len(streams) > maxMerge {
		p.scan, p.names, p.streams = true, names, streams
		return p, nil
	}
	for id := range names {
		if err := r.addName(p, id); err != nil {
			p.close()
			return nil, err
		}
	}
	for _, m := range streams {
		if err := r.addStream(p, m); err != nil {
			p.close()
			return nil, err
		}
	}
	// Ranges of names and of streams hold matches only; just the routing key may be left.
	p.decided = p.keyed == nil
	return p, nil
}

// split turns the filter into name ids and streams. What the dictionary does not know has
// no events below the head that was loaded before it.
func (r *reading) split() (names map[uint32]struct{}, streams []store.Match) {
	names = map[uint32]struct{}{}
	for _, m := range r.scan.Match {
		if m.ID != "" {
			if !slices.Contains(streams, m) {
				streams = append(streams, m)
			}
			continue
		}
		if m.Name != "" {
			if id, ok := r.dict.names[event.Type{Aggregate: m.Aggregate, Name: m.Name}]; ok {
				names[id] = struct{}{}
			}
			continue
		}
		for _, id := range r.dict.aggregateNames(m.Aggregate) {
			names[id] = struct{}{}
		}
	}
	return names, streams
}

// matches tests what the ranges did not decide.
func (p *plan) matches(pos uint64, envelope []byte) (bool, error) {
	if p.decided {
		return true, nil
	}
	if err := checkHeader(envelope); err != nil {
		return false, envelopeError(pos, err)
	}
	if p.keyed != nil && *p.keyed == "" && envelope[offFlags]&flagKeyed != 0 {
		return false, nil
	}
	filtered := p.scan && (p.names != nil || p.streams != nil)
	if !filtered && (p.keyed == nil || *p.keyed == "") {
		return true, nil
	}
	var ev event.Event
	if filtered {
		if _, ok := p.names[envelopeName(envelope)]; !ok {
			if len(p.streams) == 0 {
				return false, nil
			}
			if err := decodeEnvelope(envelope, pos, p.dict, &ev); err != nil {
				return false, err
			}
			if !slices.ContainsFunc(p.streams, func(m store.Match) bool {
				return m.Aggregate == ev.Stream.Aggregate && m.ID == ev.Stream.ID && (m.Name == "" || m.Name == ev.Name)
			}) {
				return false, nil
			}
		}
		if p.keyed == nil || *p.keyed == "" {
			return true, nil
		}
	}
	if envelope[offFlags]&flagKeyed == 0 {
		return false, nil
	}
	if err := decodeEnvelope(envelope, pos, p.dict, &ev); err != nil {
		return false, err
	}
	return ev.RoutingKey == *p.keyed, nil
}

// next returns the next position of the merged ranges, each once, and whether the entry
// of one of them is a match. Entries that are not are yielded too: they count as examined.
func (p *plan) next() (pos uint64, match, ok bool, err error) {
	if !p.started {
		p.started = true
		for i := range p.sources {
			if err := p.advance(i); err != nil {
				return 0, false, false, err
			}
		}
	}
	if len(p.heap) == 0 {
		return 0, false, false, nil
	}
	pos = p.sources[p.heap[0]].position
	for len(p.heap) > 0 && p.sources[p.heap[0]].position == pos {
		i := p.heap[0]
		match = match || p.sources[i].match
		p.pop()
		if err := p.advance(i); err != nil {
			return 0, false, false, err
		}
	}
	return pos, match, true, nil
}

// advance moves a source and puts it back into the heap.
func (p *plan) advance(i int) error {
	ok, err := p.sources[i].next()
	if err != nil || !ok {
		return err
	}
	p.heap = append(p.heap, i)
	for c := len(p.heap) - 1; c > 0; {
		parent := (c - 1) / 2
		if !p.before(c, parent) {
			break
		}
		p.heap[c], p.heap[parent] = p.heap[parent], p.heap[c]
		c = parent
	}
	return nil
}

func (p *plan) pop() {
	n := len(p.heap) - 1
	p.heap[0] = p.heap[n]
	p.heap = p.heap[:n]
	for c := 0; ; {
		child := 2*c + 1
		if child >= n {
			return
		}
		if child+1 < n && p.before(child+1, child) {
			child++
		}
		if !p.before(child, c) {
			return
		}
		p.heap[c], p.heap[child] = p.heap[child], p.heap[c]
		c = child
	}
}

func (p *plan) before(a, b int) bool {
	x, y := p.sources[p.heap[a]].position, p.sources[p.heap[b]].position
	if p.back {
		return x > y
	}
	return x < y
}

func (p *plan) close() {
	for i := range p.sources {
		_ = p.sources[i].iter.Close() // what it read was checked as it was read
	}
	p.sources = nil
}
