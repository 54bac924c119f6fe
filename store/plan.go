package store

import (
	"context"
	"math"

	"github.com/riffle-go/riffle/event"
)

// span is a closed interval of positions. It is empty when lo is above hi.
type span struct{ lo, hi event.Position }

func (s span) empty() bool { return s.lo > s.hi }

// behind returns the part of s that lies beyond a position, in the direction of a read.
func (s span) behind(at event.Position, backward bool) span {
	if backward {
		if at == 0 {
			return span{s.lo, 0}
		}
		return span{s.lo, min(s.hi, at-1)}
	}
	if at == math.MaxUint64 {
		return span{at, min(s.hi, at-1)}
	}
	return span{max(s.lo, at+1), s.hi}
}

// reading is a Query made ready for the driver: names expanded, points resolved.
type reading struct {
	match      []Match
	routingKey *string
	minVersion uint64
	backward   bool
	nothing    bool // it selects nothing
	bounds     span // of From and To, and of the head
	rest       span // the part of bounds that is behind the cursor
	head       Head // when it was planned

	// into is the page before, for loops that hand events on one by one
	into []event.Event
}

// plan validates a query and resolves its points under one head.
func (s *Store) plan(ctx context.Context, q Query) (*reading, error) {
	if q.Limit < 0 {
		return nil, &InvalidError{Field: "Query.Limit", Reason: "is negative"}
	}
	if err := checkMatches(q.Match); err != nil {
		return nil, within("Query", err)
	}
	if q.RoutingKey != nil {
		if err := checkText("Query.RoutingKey", *q.RoutingKey, maxText); err != nil {
			return nil, err
		}
	}
	var after place
	if q.After != "" {
		var err error
		if after, err = parseStoreCursor(q.After); err != nil {
			return nil, err
		}
	}
	head, err := s.head(ctx, s.reads)
	if err != nil {
		return nil, err
	}
	if q.After != "" && !after.in(head.History) {
		return nil, ErrHistory
	}
	r := &reading{
		match: s.expand(q.Match), routingKey: q.RoutingKey, backward: q.Backward,
		nothing: q.Match != nil && len(q.Match) == 0, head: head,
	}
	r.bounds.lo = 1
	if v, ok := versionOf(q); ok {
		r.minVersion = v
	} else if r.bounds.lo, err = s.resolveFrom(ctx, s.reads, q.From, head); err != nil {
		return nil, within("Query.From", err)
	}
	if r.bounds.hi, err = s.resolveTo(ctx, s.reads, q.To, head); err != nil {
		return nil, within("Query.To", err)
	}
	r.bounds.hi = min(r.bounds.hi, head.Position)
	r.rest = r.bounds
	if q.After != "" {
		r.rest = r.bounds.behind(after.position, q.Backward)
	}
	return r, nil
}

// versionOf returns the version from which a query reads one whole stream. A driver
// finds it in its index, and a version that the stream has not reached is an empty page.
func versionOf(q Query) (uint64, bool) {
	p := q.From
	if p.kind != pointVersion || p.version == 0 || len(q.Match) != 1 || q.Match[0].Name != "" {
		return 0, false
	}
	m := q.Match[0]
	return p.version, p.stream == event.Stream{Aggregate: m.Aggregate, ID: m.ID} && m.ID != ""
}

// expand replaces names by all names under which such events are stored.
func (c *core) expand(match []Match) []Match {
	if len(match) == 0 {
		return nil
	}
	out := make([]Match, 0, len(match))
	for _, m := range match {
		if m.Name == "" {
			out = append(out, m)
			continue
		}
		for _, t := range c.schema.Sources(event.Type{Aggregate: m.Aggregate, Name: m.Name}) {
			out = append(out, Match{Aggregate: t.Aggregate, ID: m.ID, Name: t.Name})
		}
	}
	return out
}

// piece is what one scan gave.
type piece struct {
	events []event.Event
	// covered is the interval that events answer for; with nothing to look at it is empty and
	// stands where the read stood.
	covered span
	more    bool
}

// look scans a part of what a reading selects, in a direction.
func (s *Store) look(ctx context.Context, r *reading, in span, limit int, backward bool) (piece, error) {
	if in.empty() {
		if backward {
			return piece{covered: span{in.hi + 1, in.hi}}, nil
		}
		return piece{covered: span{in.lo, in.lo - 1}}, nil
	}
	if r.nothing {
		return piece{covered: in}, nil
	}
	scan := Scan{
		Match: r.match, RoutingKey: r.routingKey, MinVersion: r.minVersion,
		To: in.hi, Limit: limit, Backward: backward, Into: r.into,
	}
	if in.lo > 1 {
		scan.From = in.lo
	}
	res, err := s.scan(ctx, s.reads, scan)
	if err != nil {
		return piece{}, err
	}
	p := piece{events: res.Events, covered: in, more: res.More}
	// A replica that is several servers may be behind the one that told the head.
	p.covered.hi = max(min(in.hi, res.Head), in.lo-1)
	switch {
	case res.More && backward:
		p.covered.lo = res.Scanned
	case res.More:
		p.covered.hi = res.Scanned
	}
	if res.More && p.covered.empty() {
		return piece{}, &CorruptError{What: "page", Key: "position " + res.Scanned.String(), Err: errNoProgress}
	}
	return p, nil
}
