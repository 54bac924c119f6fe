package pebblestore

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// book is a public store beside a slice of what is in it.
type book struct {
	st     *store.Store
	exact  bool // no page ends for its budget, so HasNext and HasPrev are exact
	events []event.Event
	keys   map[event.Stream]string
}

// page is a payload of any type.
type page struct{ t event.Type }

func (p page) EventType() event.Type { return p.t }

var (
	walkNames = []string{"x", "y", "old"}
	// events named so count as the others too
	walkOld, walkNew = event.Aggregate("a").Event("old"), event.Aggregate("b").Event("y")
)

// TestWalks reads with cursors through the public store, on and back again, while it grows, and
// compares each page with a slice. CI walks through 5,000 stores:
//
//	go test ./store/pebblestore -run '^TestWalks$' -rapid.checks 5000
func TestWalks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		examine := rapid.SampledFrom([]int{1, 2, 3, 7, 0}).Draw(t, "examine")
		st, err := OpenMem(&Options{
			CacheSize: minCacheSize,
			Store:     store.Options{Limits: store.Limits{Examine: examine}, Schema: event.NewSchema(event.Alias(walkOld, walkNew))},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := st.Close(); err != nil {
				t.Error(err)
			}
		}()
		b := &book{st: st, exact: examine == 0, keys: map[event.Stream]string{}}
		for range rapid.IntRange(1, 20).Draw(t, "appends") {
			b.grow(t)
		}
		t.Repeat(map[string]func(*rapid.T){"append": b.grow, "walk": b.walk, "walk2": b.walk, "all": b.all})
	})
}

func (b *book) grow(t *rapid.T) {
	var batches []store.Batch
	for _, s := range rapid.SliceOfNDistinct(rapid.Custom(drawStream), 1, 3, rapid.ID).Draw(t, "streams") {
		if _, ok := b.keys[s]; !ok {
			b.keys[s] = rapid.SampledFrom(modelKeys).Draw(t, "key")
		}
		var payloads []event.Payload
		for _, name := range rapid.SliceOfN(rapid.SampledFrom(walkNames), 1, 3).Draw(t, "names") {
			payloads = append(payloads, page{s.Aggregate.Event(name)})
		}
		batches = append(batches, store.Batch{Stream: s, Expect: store.Any, RoutingKey: b.keys[s], Events: payloads})
	}
	res, err := b.st.Append(t.Context(), batches...)
	if err != nil {
		t.Fatal(err)
	}
	for _, batch := range batches {
		for _, p := range batch.Events {
			ev := event.Event{
				Position: event.Position(len(b.events) + 1), Stream: batch.Stream, Name: p.EventType().Name,
				RoutingKey: batch.RoutingKey, Version: b.version(batch.Stream) + 1, Time: res.Time,
			}
			b.events = append(b.events, ev)
		}
	}
}

func (b *book) version(s event.Stream) (n uint64) {
	for i := range b.events {
		if b.events[i].Stream == s {
			n++
		}
	}
	return n
}

// bounded is a query and the positions that its points stand for, as of now.
type bounded struct {
	store.Query
	lo, hi func() event.Position
}

func (b *book) drawQuery(t *rapid.T) bounded {
	at := func(p event.Position) func() event.Position { return func() event.Position { return p } }
	head := func() event.Position { return event.Position(len(b.events)) }
	q := bounded{lo: at(1), hi: head}
	if rapid.IntRange(0, 2).Draw(t, "filtered") > 0 {
		q.Match = b.drawMatch(t)
	}
	if rapid.IntRange(0, 2).Draw(t, "routed") == 0 {
		q.RoutingKey = new(rapid.SampledFrom(append(modelKeys, "none")).Draw(t, "key"))
	}
	ev := b.events[rapid.IntRange(0, len(b.events)-1).Draw(t, "event of the points")]
	switch rapid.SampledFrom([]string{"begin", "position", "time", "version", "head"}).Draw(t, "from") {
	case "position":
		first := event.Position(rapid.Uint64Range(0, uint64(head())+2).Draw(t, "first"))
		q.From, q.lo = store.AtPosition(first), at(first)
	case "time":
		first := 1 + slices.IndexFunc(b.events, func(e event.Event) bool { return !e.Time.Before(ev.Time) })
		q.From, q.lo = store.AtTime(ev.Time), at(event.Position(first))
	case "version":
		q.From, q.lo = store.AtVersion(ev.Stream, ev.Version), at(ev.Position)
	case "head":
		q.From, q.lo = store.AtHead(), func() event.Position { return head() + 1 }
	}
	switch rapid.SampledFrom([]string{"end", "end", "position", "time", "version"}).Draw(t, "to") {
	case "position":
		last := event.Position(rapid.Uint64Range(0, uint64(head())+2).Draw(t, "last"))
		q.To, q.hi = store.AtPosition(last), at(last)
	case "time": // events that come in the same millisecond count too
		q.To, q.hi = store.AtTime(ev.Time), func() (last event.Position) {
			for _, e := range b.events {
				if !e.Time.After(ev.Time) {
					last = e.Position
				}
			}
			return last
		}
	case "version":
		q.To, q.hi = store.AtVersion(ev.Stream, ev.Version), at(ev.Position)
	}
	q.Backward = rapid.Bool().Draw(t, "backward")
	return q
}

func (b *book) drawMatch(t *rapid.T) []store.Match {
	match := []store.Match{}
	for range rapid.SampledFrom([]int{0, 1, 1, 2, 3, maxMerge + 1}).Draw(t, "matches") {
		match = append(match, store.Match{
			Aggregate: rapid.SampledFrom(append(modelAggregates, "none")).Draw(t, "aggregate"),
			ID:        rapid.SampledFrom(append(modelIDs, "", "", "none")).Draw(t, "id"),
			Name:      rapid.SampledFrom(append(walkNames, "", "", "none")).Draw(t, "name"),
		})
	}
	return match
}

func (q *bounded) selects(ev *event.Event) bool {
	if ev.Position < q.lo() || ev.Position > q.hi() || q.RoutingKey != nil && *q.RoutingKey != ev.RoutingKey {
		return false
	}
	return q.Match == nil || slices.ContainsFunc(q.Match, func(m store.Match) bool {
		if m.ID != "" && m.ID != ev.Stream.ID {
			return false
		}
		if m.Name == "" {
			return m.Aggregate == ev.Stream.Aggregate
		}
		wanted := m.Aggregate.Event(m.Name)
		return wanted == ev.StoredType() || wanted == walkNew && ev.StoredType() == walkOld
	})
}

// beyond returns what the query selects on the far side of a cursor, in the order of the
// read, and how much it selects on the near side. The cursor lies behind the position at.
func (b *book) beyond(q *bounded, at event.Position) (far []event.Position, near int) {
	for i := range b.events {
		ev := &b.events[i]
		switch {
		case !q.selects(ev):
		case (ev.Position > at) != q.Backward:
			far = append(far, ev.Position)
		default:
			near++
		}
	}
	if q.Backward {
		slices.Reverse(far)
	}
	return far, near
}

// walk follows the cursors of a query and turns round at times.
func (b *book) walk(t *rapid.T) {
	q := b.drawQuery(t)
	q.Limit = rapid.IntRange(1, 9).Draw(t, "limit")
	var at event.Position // the cursor lies behind it
	if q.Backward {
		at = 1 << 62
	}
	for range rapid.IntRange(1, 12).Draw(t, "steps") {
		before := len(b.events)
		p, err := b.st.Read(t.Context(), q.Query)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		far, near := b.beyond(&q, at)
		got := positions(p.Items)
		if len(got) > q.Limit || len(got) > len(far) || !slices.Equal(got, far[:len(got)]) {
			t.Fatalf("%+v behind %d: events %v, want the beginning of %v", q, at, got, far)
		}
		rest := far[len(got):]
		if b.exact {
			if p.HasNext != (len(rest) > 0) || p.HasNext && len(got) < q.Limit {
				t.Fatalf("%+v behind %d: has next %t behind %v, left are %v", q, at, p.HasNext, got, rest)
			}
			if want := q.After != "" && near > 0; p.HasPrev != want {
				t.Fatalf("%+v behind %d: has previous %t, want %t", q, at, p.HasPrev, want)
			}
		}
		if !p.HasNext && len(rest) > 0 {
			t.Fatalf("%+v behind %d: %v are lost", q, at, rest)
		}
		for _, pos := range rest {
			if !q.Backward && pos <= p.Scanned || q.Backward && pos >= p.Scanned {
				t.Fatalf("%+v behind %d: scanned to %d, but %d was not returned", q, at, p.Scanned, pos)
			}
		}
		if !q.Backward && p.Scanned > event.Position(before) {
			t.Fatalf("%+v: scanned to %d, the head is %d", q, p.Scanned, before)
		}
		if rapid.IntRange(0, 2).Draw(t, "turn") == 0 {
			if q.Backward { // the newest page begins at the end as it was
				at = min(at, q.hi(), event.Position(before))
			}
			q.After, q.Backward = p.Start, !q.Backward
			continue // the cursor stays where it is
		}
		if !p.HasNext {
			return
		}
		q.After = p.End
		at = p.Scanned
		if b.exact {
			at = got[len(got)-1]
		}
		if q.Backward {
			at--
		}
		if rapid.IntRange(0, 3).Draw(t, "growth") == 0 {
			b.grow(t)
		}
	}
}

// all reads everything that a query selects, or as much as its limit says.
func (b *book) all(t *rapid.T) {
	q := b.drawQuery(t)
	q.Limit = rapid.IntRange(0, 40).Draw(t, "limit")
	var at event.Position
	if q.Backward {
		at = 1 << 62
	}
	want, _ := b.beyond(&q, at)
	if q.Limit > 0 && len(want) > q.Limit {
		want = want[:q.Limit]
	}
	var got []event.Position
	for ev, err := range b.st.Events(t.Context(), q.Query) {
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		got = append(got, ev.Position)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%+v: events %v, want %v", q, got, want)
	}
}

func positions(events []event.Event) (all []event.Position) {
	for i := range events {
		all = append(all, events[i].Position)
	}
	return all
}
