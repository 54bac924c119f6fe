package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/riffle-go/riffle/event"
)

// Merged reads several stores as one: by time, then by the order of the stores, then by
// position. Every event comes exactly once; but times of different stores are those of
// different clocks, so an event may be committed later with a place before one that was
// read already. Who needs one stable order needs one store.
//
// A Merged is safe for concurrent use and owns nothing: the stores are closed by whoever
// opened them.
type Merged struct{ stores []*Store }

// Merge returns the stores as one. Cursors say how many there were and hold a position of
// each, so they are good for the same stores in the same order.
func Merge(stores ...*Store) *Merged {
	return &Merged{stores: append([]*Store(nil), stores...)}
}

// source is the page of one store in a merged read.
type source struct {
	store   *Store
	reading *reading
	piece   piece
	taken   int // events that went into the merged page
}

// next returns the first event not taken yet.
func (s *source) next() (event.Event, bool) {
	if s.taken == len(s.piece.events) {
		return event.Event{}, false
	}
	return s.piece.events[s.taken], true
}

// covered is the interval that the taken events answer for.
func (s *source) covered() span {
	c := s.piece.covered
	if e, ok := s.next(); ok {
		if s.reading.backward {
			c.lo = e.Position + 1
		} else {
			c.hi = e.Position - 1
		}
	}
	return c
}

func (s *source) more() bool { return s.piece.more || s.taken < len(s.piece.events) }

// Read returns one page; Query is as in [Store.Read], but From and To are zero, AtTime or
// AtHead, since a position means nothing to several stores. Page.Scanned is 0 for the same
// reason: a reader is caught up when HasNext is false.
func (m *Merged) Read(ctx context.Context, q Query) (Page[event.Event], error) {
	limit, err := pageSize(q.Limit)
	if err != nil {
		return Page[event.Event]{}, err
	}
	sources, err := m.open(ctx, q, limit)
	if err != nil {
		return Page[event.Event]{}, err
	}
	page := Page[event.Event]{Items: m.take(sources, limit, q.Backward)}
	var starts, ends []byte
	for _, s := range sources {
		if q.After != "" && !page.HasPrev {
			if page.HasPrev, err = s.store.hasPrev(ctx, s.reading, s.covered()); err != nil {
				return Page[event.Event]{}, err
			}
		}
		page.HasNext = page.HasNext || s.more()
		c, hash := s.covered(), historyHash(s.reading.head.History)
		first, last := c.lo, c.hi
		if q.Backward {
			first, last = last, first
		}
		starts, ends = place{first, hash}.append(starts), place{last, hash}.append(ends)
	}
	page.Start, page.End = m.cursor(starts), m.cursor(ends)
	return page, nil
}

// open reads a page of every store.
func (m *Merged) open(ctx context.Context, q Query, limit int) ([]*source, error) {
	if err := m.check(q); err != nil {
		return nil, err
	}
	places, err := m.parse(q.After)
	if err != nil {
		return nil, err
	}
	q.After = ""
	sources := make([]*source, len(m.stores))
	for i, st := range m.stores {
		if err := st.ready(ctx); err != nil {
			return nil, err
		}
		r, err := st.plan(ctx, q)
		if err != nil {
			return nil, err
		}
		rest := r.bounds
		if places != nil {
			if !places[i].in(r.head.History) {
				return nil, fmt.Errorf("store %d of the merge: %w", i, ErrHistory)
			}
			rest = r.bounds.behind(places[i].position, q.Backward)
		}
		p, err := st.look(ctx, r, rest, limit, q.Backward)
		if err != nil {
			return nil, err
		}
		sources[i] = &source{store: st, reading: r, piece: p}
	}
	return sources, nil
}

// take merges the pages. It stops early at a page that came back short of events and is not
// the last one: what follows it might belong before the events of the others.
func (m *Merged) take(sources []*source, limit int, backward bool) []event.Event {
	var items []event.Event
	for len(items) < limit {
		best := -1
		for i, s := range sources {
			e, ok := s.next()
			if !ok {
				if s.piece.more {
					return items
				}
				continue
			}
			if best < 0 || before(e, sources[best].piece.events[sources[best].taken], backward) {
				best = i
			}
		}
		if best < 0 {
			return items
		}
		e, _ := sources[best].next()
		items = append(items, e)
		sources[best].taken++
	}
	return items
}

// before says whether a, of a later store than b, comes first nevertheless.
func before(a, b event.Event, backward bool) bool {
	if backward {
		return !a.Time.Before(b.Time)
	}
	return a.Time.Before(b.Time)
}

// Events yields the events of all stores, each up to its head as it is when the loop
// begins; see [Store.Events] and [Merged.Read].
func (m *Merged) Events(ctx context.Context, q Query) iter.Seq2[event.Event, error] {
	return func(yield func(event.Event, error) bool) {
		if err := m.eachEvent(ctx, q, yield); err != nil {
			yield(event.Event{}, err)
		}
	}
}

func (m *Merged) eachEvent(ctx context.Context, q Query, yield func(event.Event, error) bool) error {
	if err := m.check(q); err != nil {
		return err
	}
	if q.Limit < 0 {
		return &InvalidError{Field: "Query.Limit", Reason: "is negative; 0 is all"}
	}
	places, err := m.parse(q.After)
	if err != nil {
		return err
	}
	heads := make([]pulled, len(m.stores))
	for i, st := range m.stores {
		each := q
		if each.After = ""; places != nil {
			each.After = seal(cursorStore, places[i].append(nil))
		}
		next, stop := iter.Pull2(st.Events(ctx, each))
		defer stop()
		heads[i].next = next
		if err := heads[i].advance(); err != nil {
			return err
		}
	}
	for n := 0; q.Limit == 0 || n < q.Limit; n++ {
		best := -1
		for i := range heads {
			if heads[i].ok && (best < 0 || before(heads[i].event, heads[best].event, q.Backward)) {
				best = i
			}
		}
		if best < 0 || !yield(heads[best].event, nil) {
			return nil
		}
		if err := heads[best].advance(); err != nil {
			return err
		}
	}
	return nil
}

// pulled is the next event of one store.
type pulled struct {
	next  func() (event.Event, error, bool)
	event event.Event
	ok    bool
}

func (p *pulled) advance() error {
	e, err, ok := p.next()
	p.event, p.ok = e, ok
	return err
}

func (m *Merged) check(q Query) error {
	if len(m.stores) == 0 {
		return &InvalidError{Field: "Merge", Reason: "has no stores"}
	}
	for _, p := range [...]struct {
		field string
		point Point
	}{{"Query.From", q.From}, {"Query.To", q.To}} {
		if p.point.kind == pointPosition || p.point.kind == pointVersion {
			return &InvalidError{Field: p.field, Reason: "is a position or a version, which mean nothing to several stores; use AtTime or AtHead"}
		}
	}
	return nil
}

// cursor seals one place for every store behind their number.
func (m *Merged) cursor(places []byte) Cursor {
	return seal(cursorMerged, append(binary.BigEndian.AppendUint32(nil, uint32(len(m.stores))), places...))
}

// parse returns a place for every store; none for the empty cursor.
func (m *Merged) parse(c Cursor) ([]place, error) {
	if c == "" {
		return nil, nil
	}
	b, err := unseal(cursorMerged, c)
	if err != nil {
		return nil, err
	}
	if len(b) != 4+len(m.stores)*placeBytes || binary.BigEndian.Uint32(b) != uint32(len(m.stores)) {
		return nil, invalidCursor("was made by a merge of another number of stores")
	}
	places := make([]place, len(m.stores))
	for i := range places {
		places[i] = placeOf(b[4+i*placeBytes:])
	}
	return places, nil
}
