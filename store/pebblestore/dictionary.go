package pebblestore

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// The kinds of dictionary entries.
const (
	kindAggregate = 1
	kindName      = 2
)

// maxDictionary bounds the number of aggregate types and event names together: they are
// in memory whole, and a program that makes names from data would grow it for ever.
const maxDictionary = 65_536

// dictionary maps names to the short ids that keys and envelopes carry. A published
// dictionary never changes: the committer clones, extends and publishes the clone when
// the new entries are durable.
type dictionary struct {
	aggregates map[event.Aggregate]uint32
	names      map[event.Type]uint32
	types      []event.Type // by name id; index 0 is unused
	byAgg      map[event.Aggregate][]uint32
	nextAgg    uint32
}

func newDictionary() *dictionary {
	return &dictionary{
		aggregates: map[event.Aggregate]uint32{},
		names:      map[event.Type]uint32{},
		types:      make([]event.Type, 1),
		byAgg:      map[event.Aggregate][]uint32{},
		nextAgg:    1,
	}
}

func (d *dictionary) clone() *dictionary {
	byAgg := maps.Clone(d.byAgg)
	for a, ids := range byAgg {
		byAgg[a] = slices.Clip(ids) // shared until something is appended
	}
	return &dictionary{
		aggregates: maps.Clone(d.aggregates),
		names:      maps.Clone(d.names),
		types:      slices.Clone(d.types),
		byAgg:      byAgg,
		nextAgg:    d.nextAgg,
	}
}

func (d *dictionary) name(id uint32) (event.Type, bool) {
	if id == 0 || int(id) >= len(d.types) {
		return event.Type{}, false
	}
	return d.types[id], true
}

// aggregateNames are the name ids of an aggregate's events.
func (d *dictionary) aggregateNames(a event.Aggregate) []uint32 { return d.byAgg[a] }

func (d *dictionary) size() int { return len(d.aggregates) + len(d.names) }

func (d *dictionary) addAggregate(a event.Aggregate, id uint32) {
	d.aggregates[a] = id
	d.nextAgg = max(d.nextAgg, id+1)
}

func (d *dictionary) addName(t event.Type, id uint32) {
	d.names[t] = id
	for int(id) >= len(d.types) {
		d.types = append(d.types, event.Type{})
	}
	d.types[id] = t
	d.byAgg[t.Aggregate] = append(d.byAgg[t.Aggregate], id)
}

func dictKey(kind byte, parent uint32, name string) []byte {
	b := binary.BigEndian.AppendUint32([]byte{spaceDict, kind}, parent)
	return append(b, name...)
}

// loadDictionary reads the whole dictionary; aggregates sort before names.
func loadDictionary(r pebble.Reader) (*dictionary, error) {
	d := newDictionary()
	iter, err := r.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceDict}, UpperBound: []byte{spaceDict + 1}})
	if err != nil {
		return nil, err
	}
	byID := map[uint32]event.Aggregate{}
	for iter.First(); iter.Valid(); iter.Next() {
		k, v := iter.Key(), iter.Value()
		if len(k) < 7 || len(v) != 4 {
			return nil, closing(iter, dictError(k, errShort))
		}
		parent, id, name := binary.BigEndian.Uint32(k[2:]), binary.BigEndian.Uint32(v), string(k[6:])
		switch k[1] {
		case kindAggregate:
			d.addAggregate(event.Aggregate(name), id)
			byID[id] = event.Aggregate(name)
		case kindName:
			a, ok := byID[parent]
			if !ok {
				return nil, closing(iter, dictError(k, fmt.Errorf("aggregate id %d is unknown", parent)))
			}
			if id == 0 || id > maxDictionary {
				return nil, closing(iter, dictError(k, fmt.Errorf("name id %d", id)))
			}
			d.addName(event.Type{Aggregate: a, Name: name}, id)
		default:
			return nil, closing(iter, fmt.Errorf("%w: dictionary entries of kind %d; open the store with the newer version that wrote them", store.ErrIncompatible, k[1]))
		}
	}
	return d, iter.Close()
}

func dictError(key []byte, err error) error {
	return &store.CorruptError{What: "dictionary entry", Key: fmt.Sprintf("%q", key), Err: err}
}

// closing closes an iterator; an error from before is the one to tell.
func closing(iter *pebble.Iterator, err error) error {
	return cmp.Or(err, iter.Close())
}
