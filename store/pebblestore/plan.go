package pebblestore

import (
	"context"
	"errors"
)

var errMissing = errors.New("the log has no event there")

// plan says which ranges hold the candidates of a scan, and what is left to test on each
// event.
type plan struct {
	scan    bool   // walk the log; there are no ranges
	probe   uint64 // how many events of the log to walk before the ranges are opened
	sources []source
	crowd   *streamReader // shared by the sources of a crowd
	heap    []int         // of sources, by their next position
	back    bool

	filter  *filter // still to test on each event; nil is nothing
	keyed   *string // the routing key still to test
	decided bool    // an entry of the ranges is a match, whatever the event says
	dict    *dictionary
}

// plan decides how to find the events of a scan.
func (r *reading) plan() (*plan, error) {
	p := &plan{back: r.scan.Backward, dict: r.dict, keyed: r.scan.RoutingKey}
	if r.scan.Match == nil {
		if r.scan.RoutingKey == nil || *r.scan.RoutingKey == "" {
			p.scan, p.decided = true, r.scan.RoutingKey == nil
			return p, nil
		}
		return p, r.addRouting(p, nil)
	}
	f := newFilter(r.scan.Match, r.dict)
	if len(f.streams) == 0 && r.scan.RoutingKey != nil && *r.scan.RoutingKey != "" {
		if len(f.names) == 0 {
			return p, nil
		}
		return p, r.addRouting(p, f.names)
	}
	ranges := len(f.names) + len(f.streams)
	if ranges <= maxMerge {
		return p, r.addRanges(p, f)
	}
	p.filter = f
	if probe := uint64(ranges) * probeEach; len(f.names) <= maxMerge && probe <= uint64(r.scan.Examine)/2 && probe <= r.hi-r.lo {
		p.probe = probe
		return p, nil
	}
	p.scan = true
	return p, nil
}

// addRanges opens the ranges of a filter. They hold matches only: just the routing key may
// be left to test.
func (r *reading) addRanges(p *plan, f *filter) error {
	p.filter, p.decided = nil, p.keyed == nil
	for id := range f.names {
		if err := r.addName(p, id); err != nil {
			p.close()
			return err
		}
	}
	if len(f.names)+len(f.streams) > maxMerge {
		return r.addCrowd(p, f.streams)
	}
	for s, names := range f.streams {
		if err := r.addStream(p, s, names); err != nil {
			p.close()
			return err
		}
	}
	return nil
}

// matches tests what the ranges did not decide.
func (p *plan) matches(pos uint64, envelope []byte) (bool, error) {
	if p.decided {
		return true, nil
	}
	if err := checkHeader(envelope); err != nil {
		return false, envelopeError(pos, err)
	}
	if p.keyed != nil && (*p.keyed != "") != (envelope[offFlags]&flagKeyed != 0) {
		return false, nil
	}
	if p.filter != nil {
		if ok, err := p.filter.selects(pos, envelope); err != nil || !ok {
			return false, err
		}
	}
	if p.keyed == nil || *p.keyed == "" {
		return true, nil
	}
	key, err := envelopeField(envelope, pos, fieldRoutingKey)
	return string(key) == *p.keyed, err
}

// start moves every source to its first entry. For a crowd that is a search in each of its
// streams, and counts as an entry.
func (r *reading) start(ctx context.Context, p *plan) error {
	for i := range p.sources {
		if p.sources[i].member != nil {
			if stop, err := r.examine(ctx); err != nil || stop {
				return err
			}
		}
		if err := p.advance(i); err != nil {
			return err
		}
	}
	return nil
}

// next returns the next position of the merged ranges, each once, and whether the entry
// of one of them is a match. Entries that are not are yielded too: they count as examined.
func (p *plan) next() (pos uint64, match, ok bool, err error) {
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
	// What the iterators read was checked as it was read.
	for i := range p.sources {
		if p.sources[i].member == nil {
			_ = p.sources[i].iter.Close()
		}
	}
	if p.crowd != nil {
		_ = p.crowd.iter.Close()
	}
	p.sources, p.crowd = nil, nil
}
