package main

import (
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/riffle-go/riffle/event"
)

// rawLog reads the log of a store with nothing but a Pebble iterator.
type rawLog struct {
	db    *pebble.DB
	types []event.Type // by name id
}

// chunkSize is how much memory the loops below take at once for what they copy.
const chunkSize = 256 << 10

// scan walks over the log and copies nothing.
func (l *rawLog) scan() (events int, bytes int64, err error) {
	err = l.each(func(_ uint64, envelope []byte) error {
		events++
		bytes += int64(len(envelope))
		return nil
	})
	return events, bytes, err
}

// all copies and decodes every event.
func (l *rawLog) all() (events int, err error) {
	d := decoder{types: l.types}
	err = l.each(func(position uint64, envelope []byte) error {
		events++
		return d.decode(position, envelope)
	})
	return events, err
}

// filtered looks at the header of every event, and copies and decodes those whose name is
// wanted.
func (l *rawLog) filtered(wanted func(event.Type) bool) (hits int, err error) {
	names := make([]bool, len(l.types))
	for id, t := range l.types {
		names[id] = wanted(t)
	}
	d := decoder{types: l.types}
	err = l.each(func(position uint64, envelope []byte) error {
		if len(envelope) < headerSize || envelope[0] != envelopeV1 {
			return errHeader
		}
		if id := envelopeName(envelope); int(id) >= len(names) || !names[id] {
			return nil
		}
		hits++
		return d.decode(position, envelope)
	})
	return hits, err
}

// decoder copies envelopes into memory that belongs to the events, and decodes them there.
type decoder struct {
	types []event.Type
	chunk []byte
	event event.Event
	bytes int // of data, so that the work is used
}

func (d *decoder) decode(position uint64, envelope []byte) error {
	if len(d.chunk)+len(envelope) > cap(d.chunk) {
		d.chunk = make([]byte, 0, max(chunkSize, len(envelope)))
	}
	start := len(d.chunk)
	d.chunk = append(d.chunk, envelope...)
	if err := decodeEnvelope(d.chunk[start:], position, d.types, &d.event); err != nil {
		return err
	}
	d.bytes += len(d.event.Data)
	return nil
}

func (l *rawLog) each(visit func(position uint64, envelope []byte) error) (err error) {
	iter, err := l.db.NewIter(&pebble.IterOptions{LowerBound: []byte{'e'}, UpperBound: []byte{'e' + 1}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, iter.Close()) }()
	for ok := iter.First(); ok; ok = iter.Next() {
		envelope, err := iter.ValueAndErr()
		if err != nil {
			return err
		}
		if err := visit(binary.BigEndian.Uint64(iter.Key()[1:]), envelope); err != nil {
			return err
		}
	}
	return iter.Error()
}

func (l *rawLog) close() error { return l.db.Close() }
