package store

import (
	"encoding/binary"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/escape"
)

// The spaces of record keys: the first byte of each. Strings in keys are escaped and ended,
// numbers are big-endian of fixed width, so byte order is the order of the components and
// nothing can be injected. These keys are stored: they never change.
const (
	spaceSubscriber = 's' // projection, generation, segment, part
	spaceProjection = 'j' // projection
	spaceState      = 'n' // projection, generation, key
	spaceRow        = 'p' // projection, generation, segment, key, position
	spaceSnapshot   = 'f' // projection, generation, key
)

// The parts of a subscriber: records of their own, because different parties write them.
const (
	partCheckpoint = 'c' // by the holder's commits
	partTerm       = 't' // by claims
	partWish       = 'w' // by operators
)

func projectionKey(name string) string {
	return string(escape.Append([]byte{spaceProjection}, name))
}

func appendGeneration(b []byte, projection string, generation uint32) []byte {
	return binary.BigEndian.AppendUint32(escape.Append(b, projection), generation)
}

func appendSubscriber(b []byte, k SubscriberKey) []byte {
	return binary.BigEndian.AppendUint16(appendGeneration(b, k.Projection, k.Generation), k.Segment)
}

func subscriberRecord(k SubscriberKey, part byte) string {
	return string(append(appendSubscriber([]byte{spaceSubscriber}, k), part))
}

// statesPrefix begins the keys of all states of a generation.
func statesPrefix(projection string, generation uint32) string {
	return string(appendGeneration([]byte{spaceState}, projection, generation))
}

// snapshotsPrefix begins the keys of all snapshots of a projection.
func snapshotsPrefix(projection string) string {
	return string(escape.Append([]byte{spaceSnapshot}, projection))
}

func stateRecord(space byte, k SnapshotKey) string {
	return string(escape.Append(appendGeneration([]byte{space}, k.Projection, k.Generation), k.Key))
}

func rowsPrefix(k SubscriberKey) string {
	return string(appendSubscriber([]byte{spaceRow}, k))
}

func rowRecord(k SubscriberKey, r RowKey) string {
	b := escape.Append(appendSubscriber([]byte{spaceRow}, k), r.Key)
	return string(binary.BigEndian.AppendUint64(b, uint64(r.Position)))
}

// narrow returns the prefix and the exclusive lower bound for a Range of keys behind a
// prefix. last is what follows the escaped key in the last record that Range.After names.
func narrow(prefix string, r Range, last string) (narrowed, after string) {
	narrowed = string(escape.AppendPrefix([]byte(prefix), r.Prefix))
	if r.After != "" {
		after = string(escape.Append([]byte(prefix), r.After)) + last
	}
	return narrowed, after
}

// keyReader takes a record key apart. After the first fault it reads zeros.
type keyReader struct {
	rest []byte
	bad  bool
}

// readKey begins behind the space byte.
func readKey(key string) *keyReader {
	if key == "" {
		return &keyReader{bad: true}
	}
	return &keyReader{rest: []byte(key[1:])}
}

func (k *keyReader) text() string {
	s, rest, ok := escape.Decode(k.rest)
	k.bad = k.bad || !ok
	k.rest = rest
	return s
}

func (k *keyReader) number(width int) (n uint64) {
	if len(k.rest) < width {
		k.bad = true
		return 0
	}
	for _, b := range k.rest[:width] {
		n = n<<8 | uint64(b)
	}
	k.rest = k.rest[width:]
	return n
}

// ok says whether the key was read to its end without a fault.
func (k *keyReader) ok() bool { return !k.bad && len(k.rest) == 0 }

func (k *keyReader) subscriber() SubscriberKey {
	return SubscriberKey{Projection: k.text(), Generation: uint32(k.number(4)), Segment: uint16(k.number(2))}
}

// parseSubscriberRecord reads a key of the subscriber space.
func parseSubscriberRecord(key string) (k SubscriberKey, part byte, ok bool) {
	r := readKey(key)
	k, part = r.subscriber(), byte(r.number(1))
	return k, part, r.ok()
}

// parseStateRecord reads a key of the state or the snapshot space.
func parseStateRecord(key string) (k SnapshotKey, ok bool) {
	r := readKey(key)
	k = SnapshotKey{Projection: r.text(), Generation: uint32(r.number(4)), Key: r.text()}
	return k, r.ok()
}

// parseRowRecord reads a key of the row space.
func parseRowRecord(key string) (sub SubscriberKey, k RowKey, ok bool) {
	r := readKey(key)
	sub = r.subscriber()
	k = RowKey{Key: r.text(), Position: event.Position(r.number(8))}
	return sub, k, r.ok()
}
