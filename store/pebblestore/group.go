package pebblestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// errAgain hands a request back: the caller's look-up is older than what was evicted.
var errAgain = errors.New("pebblestore: look the versions up again")

// group is one batch being staged. A request is checked whole before anything of it is
// staged.
type group struct {
	d      *driver
	batch  *pebble.Batch
	staged int // requests
	events int
	bytes  int // of the envelopes
	sync   bool
	log    []stagedEvent

	position uint64 // of the last event staged
	millis   int64
	now      int64 // Unix milliseconds
	term     uint64
	dict     *dictionary             // nil while it is the published one
	records  map[string]store.Record // written by this group; revision 0 is deleted
	ids      map[event.ID]uint64
	types    []event.Type // distinct, for waking
	seen     []bool       // by name id

	checked []streamState // per append of the request in hand
	fenced  [][]byte      // per fence of the request in hand: what the term record holds
	scratch []byte
}

// newGroup begins a group in the memory of the last one, whose requests are answered.
func (c *committer) newGroup() *group {
	d, old := c.d, &c.last
	head := d.head.Load()
	clear(old.log)
	clear(old.types)
	clear(old.seen)
	clear(old.checked)
	c.last = group{
		d: d, batch: d.db.NewBatch(), position: head.position, millis: head.millis, now: d.now().UnixMilli(), term: d.term,
		log: old.log[:0], types: old.types[:0], seen: old.seen, checked: old.checked[:0], scratch: old.scratch[:0],
	}
	return &c.last
}

// stage checks a request and stages it, or leaves its error in it.
func (g *group) stage(r *request) {
	if r.err = g.check(r); r.err != nil {
		return
	}
	g.staged++
	if !r.txn.NoSync || len(r.appends) > 0 {
		g.sync = true
	}
	g.stageRecords(r)
	for i := range r.appends {
		g.stageAppend(r, i)
	}
	if len(r.appends) > 0 {
		r.result.Position = event.Position(g.position)
		r.result.Time = time.UnixMilli(g.millis).UTC()
	}
}

// size is what is staged, in bytes. Records are in the batch already, events come last.
func (g *group) size() int { return g.batch.Len() + g.bytes }

func (g *group) check(r *request) error {
	for _, gd := range r.txn.Guards {
		actual, err := g.revision(gd.Key)
		if err != nil {
			return err
		}
		if actual != gd.Revision {
			return &store.GuardError{Key: gd.Key, Expected: gd.Revision, Actual: actual}
		}
	}
	if err := g.checkFence(r); err != nil {
		return err
	}
	// before the expectations: a repeated append that names a version conflicts as well
	if err := g.checkOnce(r); err != nil {
		return err
	}
	g.checked = g.checked[:0]
	for i := range r.appends {
		state, err := g.current(r, i)
		if err != nil {
			return err
		}
		p := &r.appends[i]
		if !p.Expect.Holds(state.version) {
			return &store.ConflictError{Stream: p.Stream, Expect: p.Expect, Actual: state.version, Batch: i}
		}
		if state.version > 0 && p.RoutingKey != "" && p.RoutingKey != state.routingKey {
			return &store.InvalidError{Field: "RoutingKey", Reason: fmt.Sprintf("stream %s has the routing key %q for life, not %q", p.Stream, state.routingKey, p.RoutingKey)}
		}
		if state.version > 0 && p.routingKey != state.routingKey || state.version == 0 && p.routingKey != p.RoutingKey {
			return errAgain // encoded for another routing key
		}
		g.checked = append(g.checked, state)
	}
	if err := g.checkNames(r); err != nil {
		return err
	}
	return g.checkImport(r)
}

// current is the state of a stream behind everything staged, the earlier appends of the
// same request included.
func (g *group) current(r *request, i int) (streamState, error) {
	p := &r.appends[i]
	for j := i - 1; j >= 0; j-- {
		if q := &r.appends[j]; q.key == p.key {
			s := g.checked[j]
			key := s.routingKey
			if s.version == 0 {
				key = q.routingKey
			}
			return streamState{version: s.version + uint64(len(q.ends)), routingKey: key}, nil
		}
	}
	if s, ok := g.d.versions.own(p); ok {
		return s, nil
	}
	if p.isKnown && g.d.versions.trusts(p.knownAt) {
		return p.known, nil
	}
	if !r.resolve || g.staged > 0 {
		return streamState{}, errAgain
	}
	// Nothing is staged, so what the database holds is all there is.
	return g.d.lookup(g.d.db, p.Stream, g.position)
}

func (g *group) checkNames(r *request) error {
	var fresh map[event.Type]struct{} // an aggregate has no name
	add := func(t event.Type) {
		if fresh == nil {
			fresh = map[event.Type]struct{}{}
		}
		fresh[t] = struct{}{}
	}
	dict := g.dictionary()
	for i := range r.appends {
		p := &r.appends[i]
		if _, ok := dict.aggregates[p.Stream.Aggregate]; !ok {
			add(event.Type{Aggregate: p.Stream.Aggregate})
		}
		for k := range p.Events {
			t := event.Type{Aggregate: p.Stream.Aggregate, Name: p.Events[k].Name}
			if _, ok := dict.names[t]; !ok {
				add(t)
			}
		}
	}
	if len(fresh) > 0 && dict.size()+len(fresh) > maxDictionary {
		return &store.InvalidError{Field: "Events", Reason: fmt.Sprintf("the store has %d aggregate types and event names, of at most %d; names must not be made from data", dict.size(), maxDictionary)}
	}
	return nil
}

// checkOnce reads the ids that the database holds. Appends that say Once are rare enough
// to do it here, where no other append can come between.
func (g *group) checkOnce(r *request) error {
	var found []event.Position
	hit := false
	for i := range r.appends {
		p := &r.appends[i]
		if !p.Once {
			continue
		}
		for k := range p.Events {
			id := p.Events[k].ID
			pos, ok := g.ids[id]
			if !ok {
				g.scratch = appendIDKey(g.scratch[:0], id)
				v, closer, err := g.d.db.Get(g.scratch)
				switch {
				case errors.Is(err, pebble.ErrNotFound):
				case err != nil:
					return g.d.readError("event id", g.scratch, err)
				default:
					pos = lastUint64(v)
					closer.Close()
				}
			}
			if pos != 0 {
				hit = true
			}
			found = append(found, event.Position(pos))
		}
	}
	if hit {
		return &store.DuplicateError{Positions: found}
	}
	return nil
}

func (g *group) checkImport(r *request) error {
	if !r.txn.Import {
		return nil
	}
	last := g.millis
	for i := range r.appends {
		for k := range r.appends[i].Events {
			t := r.appends[i].Events[k].Time.UnixMilli()
			if t < last && last == 0 {
				return &store.InvalidError{Field: "Time", Reason: fmt.Sprintf("%s is before 1970, where the times of a store begin", time.UnixMilli(t).UTC())}
			}
			if t < last {
				return &store.InvalidError{Field: "Time", Reason: fmt.Sprintf("%s is before %s, the time of the event before it", time.UnixMilli(t).UTC(), time.UnixMilli(last).UTC())}
			}
			last = t
		}
	}
	return nil
}

func (g *group) dictionary() *dictionary {
	if g.dict != nil {
		return g.dict
	}
	return g.d.dict.Load()
}

// stagedEvent is an event of the group with its place.
type stagedEvent struct {
	p         *prepared
	k         int // index in p
	position  uint64
	version   uint64
	aggregate uint32
	name      uint32
	flags     byte
}

func (g *group) stageAppend(r *request, i int) {
	p := &r.appends[i]
	state := g.checked[i]
	aggregate := g.aggregateID(p.Stream.Aggregate)
	var flags byte
	if p.routingKey != "" {
		flags = flagKeyed
	}
	if i == 0 {
		r.result.First = event.Position(g.position + 1)
	}
	for k := range p.Events {
		ev := &p.Events[k]
		g.position++
		g.events++
		if r.txn.Import {
			g.millis = ev.Time.UnixMilli()
		} else {
			g.millis = max(g.millis, g.now)
		}
		state.version++
		name := g.nameID(event.Type{Aggregate: p.Stream.Aggregate, Name: ev.Name})
		sealEnvelope(p.envelope(k), name, flags, state.version, g.millis)
		g.log = append(g.log, stagedEvent{p, k, g.position, state.version, aggregate, name, flags})
		if p.Once {
			if g.ids == nil {
				g.ids = map[event.ID]uint64{}
			}
			g.ids[ev.ID] = g.position
		}
	}
	if i == 0 {
		r.result.Version = state.version
	}
	g.bytes += len(p.arena)
	state.last, state.routingKey = g.position, p.routingKey
	g.d.versions.put(p.key, p.cached, state)
}

// writeEvents puts the staged events into the batch, one key space after the other:
// neighbours in the memtable are inserted several times faster than keys far apart.
func (g *group) writeEvents() {
	for i := range g.log {
		e := &g.log[i]
		g.set(appendLogKey(g.scratch[:0], e.position), e.p.envelope(e.k))
	}
	for i := range g.log {
		e := &g.log[i]
		g.set(appendNameKey(g.scratch[:0], e.name, e.position), nil)
	}
	for i := range g.log {
		e := &g.log[i]
		var entry [streamEntrySize]byte
		streamEntry{e.position, e.name, e.flags}.put(entry[:])
		g.set(appendStreamKey(g.scratch[:0], e.aggregate, e.p.Stream.ID, e.version), entry[:])
	}
	for i := range g.log {
		e := &g.log[i]
		if e.p.routingKey != "" {
			var id [4]byte
			binary.BigEndian.PutUint32(id[:], e.name)
			g.set(appendRoutingKey(g.scratch[:0], e.p.routingKey, e.position), id[:])
		}
		if e.p.Once {
			var pos [8]byte
			binary.BigEndian.PutUint64(pos[:], e.position)
			g.set(appendIDKey(g.scratch[:0], e.p.Events[e.k].ID), pos[:])
		}
	}
}

// set stages a key that was built in scratch.
func (g *group) set(key, value []byte) {
	g.scratch = key
	op := g.batch.SetDeferred(len(key), len(value))
	copy(op.Key, key)
	copy(op.Value, value)
	g.must(op.Finish())
}

// must turns a misuse of the batch into the panic that latches the store: a group that
// is staged in part must not go on.
func (g *group) must(err error) {
	if err != nil {
		panic(fmt.Errorf("stage: %w", err))
	}
}

func (g *group) aggregateID(a event.Aggregate) uint32 {
	if id, ok := g.dictionary().aggregates[a]; ok {
		return id
	}
	g.extend()
	id := g.dict.nextAgg
	g.dict.addAggregate(a, id)
	g.putDict(kindAggregate, 0, string(a), id)
	return id
}

func (g *group) nameID(t event.Type) uint32 {
	id, ok := g.dictionary().names[t]
	if !ok {
		g.extend()
		id = uint32(len(g.dict.types))
		g.dict.addName(t, id)
		g.putDict(kindName, g.dict.aggregates[t.Aggregate], t.Name, id)
	}
	if int(id) >= len(g.seen) {
		g.seen = append(g.seen, make([]bool, int(id)+1-len(g.seen))...)
	}
	if !g.seen[id] {
		g.seen[id] = true
		g.types = append(g.types, t)
	}
	return id
}

func (g *group) extend() {
	if g.dict == nil {
		g.dict = g.d.dict.Load().clone()
	}
}

func (g *group) putDict(kind byte, parent uint32, name string, id uint32) {
	g.must(g.batch.Set(dictKey(kind, parent, name), binary.BigEndian.AppendUint32(nil, id), nil))
}
