package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/riffle-go/riffle/event"
)

var (
	boltLog     = []byte("log")     // position → event
	boltStreams = []byte("streams") // a bucket per stream: version → position
)

// boltDB is a bucket of events in bbolt, with the versions of each stream in a bucket of
// their own.
type boltDB struct {
	db      *bolt.DB
	streams []stream

	encode func(*event.Event) ([]byte, error)
	decode func(position uint64, b []byte, ev *event.Event) error
	update func(*bolt.DB, func(*bolt.Tx) error) error
}

// openBoltJSON is what a program on bbolt does: events as JSON, a transaction for each.
func openBoltJSON(_ context.Context, dir string, streams []stream) (peer, error) {
	return openBolt(dir, &boltDB{
		streams: streams, encode: encodeJSON, decode: decodeJSON, update: (*bolt.DB).Update,
	})
}

// openBoltBinary gives bbolt all that Riffle gives Pebble: its encoding, and commits for
// many callers at once.
func openBoltBinary(_ context.Context, dir string, streams []stream) (peer, error) {
	return openBolt(dir, &boltDB{
		streams: streams, encode: encodeBinary, decode: decodeBinary, update: (*bolt.DB).Batch,
	})
}

func openBolt(dir string, b *boltDB) (_ peer, err error) {
	if b.db, err = bolt.Open(filepath.Join(dir, "events.db"), 0o600, nil); err != nil {
		return nil, fmt.Errorf("bbolt: %w", err)
	}
	err = b.db.Update(func(tx *bolt.Tx) error {
		_, err1 := tx.CreateBucket(boltLog)
		_, err2 := tx.CreateBucket(boltStreams)
		return errors.Join(err1, err2)
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("bbolt: %w", err), b.db.Close())
	}
	return b, nil
}

func (b *boltDB) append(_ context.Context, i int, version uint64) error {
	ev, err := b.streams[i].event(version + 1)
	if err != nil {
		return err
	}
	return b.update(b.db, func(tx *bolt.Tx) error { return b.put(tx, ev) })
}

func (b *boltDB) load(_ context.Context, events []event.Event) error {
	return b.db.Update(func(tx *bolt.Tx) error {
		for i := range events {
			if err := b.put(tx, events[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *boltDB) put(tx *bolt.Tx, ev event.Event) error {
	name := string(ev.Stream.Aggregate) + "\x00" + ev.Stream.ID
	versions, err := tx.Bucket(boltStreams).CreateBucketIfNotExists([]byte(name))
	if err != nil {
		return fmt.Errorf("bbolt: %w", err)
	}
	last := uint64(0)
	if k, _ := versions.Cursor().Last(); k != nil {
		last = binary.BigEndian.Uint64(k)
	}
	if last != ev.Version-1 {
		return fmt.Errorf("bbolt: the stream has version %d, the event %d", last, ev.Version)
	}
	log := tx.Bucket(boltLog)
	position, err := log.NextSequence()
	if err != nil {
		return fmt.Errorf("bbolt: %w", err)
	}
	ev.Position = event.Position(position)
	value, err := b.encode(&ev)
	if err != nil {
		return err
	}
	return errors.Join(
		log.Put(key64(position), value),
		versions.Put(key64(ev.Version), key64(position)),
	)
}

func (b *boltDB) read(context.Context) (count int, err error) {
	err = b.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(boltLog).Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			var ev event.Event
			if err := b.decode(binary.BigEndian.Uint64(k), v, &ev); err != nil {
				return err
			}
			count++
		}
		return nil
	})
	return count, err
}

func (b *boltDB) close() error { return b.db.Close() }

func key64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// boltEvent is an event as JSON.
type boltEvent struct {
	ID         event.ID        `json:"id"`
	Position   uint64          `json:"position"`
	Aggregate  event.Aggregate `json:"aggregate"`
	Stream     string          `json:"stream"`
	Version    uint64          `json:"version"`
	Name       string          `json:"name"`
	RoutingKey string          `json:"routing_key,omitempty"`
	Time       time.Time       `json:"time"`
	Metadata   event.Metadata  `json:"metadata"`
	Data       json.RawMessage `json:"data"`
}

func encodeJSON(ev *event.Event) ([]byte, error) {
	return json.Marshal(boltEvent{
		ID: ev.ID, Position: uint64(ev.Position), Aggregate: ev.Stream.Aggregate, Stream: ev.Stream.ID, Version: ev.Version,
		Name: ev.Name, RoutingKey: ev.RoutingKey, Time: ev.Time, Metadata: ev.Metadata, Data: ev.Data,
	})
}

func decodeJSON(position uint64, b []byte, ev *event.Event) error {
	var e boltEvent
	if err := json.Unmarshal(b, &e); err != nil {
		return err
	}
	*ev = event.Event{
		ID: e.ID, Position: event.Position(position), Stream: e.Aggregate.Stream(e.Stream), Version: e.Version, Name: e.Name,
		SchemaVersion: 1, RoutingKey: e.RoutingKey, Time: e.Time, Metadata: e.Metadata, ContentType: "application/json", Data: e.Data,
	}
	return nil
}

func encodeBinary(ev *event.Event) ([]byte, error) {
	s := stream{id: ev.Stream.ID, routingKey: ev.RoutingKey, metadata: ev.Metadata}
	b := appendEnvelope(nil, ev.ID, &s, ev.Data)
	fillHeader(b, boltNames[ev.StoredType()], ev.Version, ev.Time.UnixMilli())
	return b, nil
}

// decodeBinary copies first: what bbolt gives is valid inside the transaction only.
func decodeBinary(position uint64, b []byte, ev *event.Event) error {
	return decodeEnvelope(append([]byte(nil), b...), position, boltTypes, ev)
}

// boltTypes and boltNames are the dictionary of the binary encoding.
var boltTypes, boltNames = func() ([]event.Type, map[event.Type]uint32) {
	types, names := []event.Type{{}}, map[event.Type]uint32{}
	for a := range eventTypes {
		for _, t := range eventTypes[a] {
			names[t] = uint32(len(types))
			types = append(types, t)
		}
	}
	return types, names
}()
