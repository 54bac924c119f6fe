package store

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"hash/fnv"

	"github.com/riffle-go/riffle/event"
)

// Cursor says where a page ended. It is opaque text, safe in a URL, and holds no secret: a
// reader may make one up and read from there. It belongs to the store that made it, and
// to that store's history; another store answers ErrHistory. The empty Cursor is none.
type Cursor string

// The kinds of cursors; each is refused where another is meant.
const (
	cursorStore    = 1
	cursorMerged   = 2
	cursorPaginate = 3
)

var (
	cursorText  = base64.RawURLEncoding.Strict()
	cursorTable = crc32.MakeTable(crc32.Castagnoli)
)

// seal makes a cursor of a kind and a body: kind, body, CRC32C of both.
func seal(kind byte, body []byte) Cursor {
	b := make([]byte, 0, 1+len(body)+4)
	b = append(b, kind)
	b = append(b, body...)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, cursorTable))
	return Cursor(cursorText.EncodeToString(b))
}

// unseal returns the body of a cursor.
func unseal(kind byte, c Cursor) ([]byte, error) {
	b, err := cursorText.DecodeString(string(c))
	// The decoder passes over line breaks: the text must be the one that seal makes.
	if err != nil || cursorText.EncodedLen(len(b)) != len(c) || len(b) < 5 {
		return nil, invalidCursor("is damaged or was cut off; use one as it came in a page")
	}
	end := len(b) - 4
	if crc32.Checksum(b[:end], cursorTable) != binary.BigEndian.Uint32(b[end:]) {
		return nil, invalidCursor("is damaged; use one as it came in a page")
	}
	if b[0] != kind {
		return nil, invalidCursor("was made by another kind of read; Store, Merged and Paginate have cursors of their own")
	}
	return b[1:end], nil
}

func invalidCursor(reason string) error {
	return &InvalidError{Field: "Query.After", Reason: reason}
}

// place is a position in one history.
type place struct {
	position event.Position
	history  uint32
}

const placeBytes = 8 + 4

func (p place) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(p.position))
	return binary.BigEndian.AppendUint32(b, p.history)
}

func placeOf(b []byte) place {
	return place{event.Position(binary.BigEndian.Uint64(b)), binary.BigEndian.Uint32(b[8:])}
}

func (p place) in(history event.ID) bool { return p.history == historyHash(history) }

// historyHash is short: it finds mistakes, it does not keep out attackers.
func historyHash(history event.ID) uint32 {
	h := fnv.New32a()
	_, _ = h.Write(history[:]) // a hash takes everything
	return h.Sum32()
}

func storeCursor(p event.Position, history event.ID) Cursor {
	return seal(cursorStore, place{p, historyHash(history)}.append(make([]byte, 0, placeBytes)))
}

func parseStoreCursor(c Cursor) (place, error) {
	b, err := unseal(cursorStore, c)
	if err != nil {
		return place{}, err
	}
	if len(b) != placeBytes {
		return place{}, invalidCursor("has a wrong length")
	}
	return placeOf(b), nil
}
