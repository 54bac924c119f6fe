package pebblestore

import (
	"encoding/binary"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/escape"
)

// The key spaces. docs/format.md describes every key and value; a change there is a new
// layout version.
const (
	spaceMeta    = 'm'
	spaceDict    = 'd'
	spaceLog     = 'e'
	spaceStream  = 'a'
	spaceName    = 't'
	spaceRouting = 'r'
	spaceID      = 'u'
)

func logKey(pos uint64) []byte { return appendLogKey(make([]byte, 0, 9), pos) }

func appendLogKey(b []byte, pos uint64) []byte {
	return binary.BigEndian.AppendUint64(append(b, spaceLog), pos)
}

func logKeyPosition(key []byte) (uint64, bool) {
	if len(key) != 9 {
		return 0, false
	}
	return binary.BigEndian.Uint64(key[1:]), true
}

// isLogKey says whether a key of the log is that of a position.
func isLogKey(key []byte, position uint64) bool {
	got, ok := logKeyPosition(key)
	return ok && got == position
}

// appendStreamPrefix appends what all versions of a stream share.
func appendStreamPrefix(b []byte, aggregate uint32, id string) []byte {
	b = binary.BigEndian.AppendUint32(append(b, spaceStream), aggregate)
	return escape.Append(b, id)
}

func appendStreamKey(b []byte, aggregate uint32, id string, version uint64) []byte {
	return binary.BigEndian.AppendUint64(appendStreamPrefix(b, aggregate, id), version)
}

// streamEntry is the value behind a stream key.
type streamEntry struct {
	position uint64
	name     uint32
	flags    byte
}

const streamEntrySize = 13

func (e streamEntry) put(b []byte) {
	binary.BigEndian.PutUint64(b, e.position)
	binary.BigEndian.PutUint32(b[8:], e.name)
	b[12] = e.flags
}

func parseStreamEntry(b []byte) (streamEntry, bool) {
	if len(b) != streamEntrySize {
		return streamEntry{}, false
	}
	return streamEntry{binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:]), b[12]}, true
}

func appendNameKey(b []byte, name uint32, pos uint64) []byte {
	b = binary.BigEndian.AppendUint32(append(b, spaceName), name)
	return binary.BigEndian.AppendUint64(b, pos)
}

func appendRoutingPrefix(b []byte, routingKey string) []byte {
	return escape.Append(append(b, spaceRouting), routingKey)
}

func appendRoutingKey(b []byte, routingKey string, pos uint64) []byte {
	return binary.BigEndian.AppendUint64(appendRoutingPrefix(b, routingKey), pos)
}

func appendIDKey(b []byte, id event.ID) []byte {
	return append(append(b, spaceID), id[:]...)
}

func metaKey(name string) []byte { return append([]byte{spaceMeta}, name...) }

// lastUint64 reads the number that ends a key.
func lastUint64(key []byte) uint64 {
	if len(key) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(key[len(key)-8:])
}

// successor returns the smallest key above every key that begins with prefix.
func successor(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] < 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}
