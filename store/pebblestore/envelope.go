package pebblestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// An envelope is a fixed header, so that a scan decides and the committer fills in what
// is known last without parsing, and then protobuf wire fields, so that readers of this
// version survive fields of later ones.
//
//	format u8 | name u32 | flags u8 | version u64 | time u64 (Unix ms) | fields
const (
	envelopeFormat = 1
	offName        = 1
	offFlags       = 5
	offVersion     = 6
	offTime        = 14
	headerSize     = 22
)

// The flags of an envelope and of a stream entry.
const (
	flagKeyed     = 1 << 0 // the stream has a routing key
	flagTombstone = 1 << 1 // reserved: the event was removed, its version stays taken
	flagErased    = 1 << 2 // reserved: the payload was removed
	flagEncrypted = 1 << 3 // reserved: the payload is encrypted
	knownFlags    = flagKeyed
)

// The protobuf fields of an envelope.
const (
	fieldID          = 1
	fieldStreamID    = 2
	fieldRoutingKey  = 3
	fieldSchema      = 4 // left out when 1
	fieldContentType = 5 // left out when JSON
	fieldMetadata    = 6 // left out when empty
	fieldData        = 7
)

const jsonContentType = "application/json"

// appendEnvelope encodes an event with its header still empty but for the format.
func appendEnvelope(b []byte, streamID, routingKey string, ev *event.Event) ([]byte, error) {
	b = append(b, envelopeFormat)
	b = append(b, zeroHeader[1:]...)
	b = protowire.AppendTag(b, fieldID, protowire.BytesType)
	b = protowire.AppendBytes(b, ev.ID[:])
	b = protowire.AppendTag(b, fieldStreamID, protowire.BytesType)
	b = protowire.AppendString(b, streamID)
	if routingKey != "" {
		b = protowire.AppendTag(b, fieldRoutingKey, protowire.BytesType)
		b = protowire.AppendString(b, routingKey)
	}
	if ev.SchemaVersion != 1 {
		b = protowire.AppendTag(b, fieldSchema, protowire.VarintType)
		b = protowire.AppendVarint(b, uint64(ev.SchemaVersion))
	}
	if ev.ContentType != jsonContentType {
		b = protowire.AppendTag(b, fieldContentType, protowire.BytesType)
		b = protowire.AppendString(b, ev.ContentType)
	}
	if !ev.Metadata.IsZero() {
		var err error
		b = protowire.AppendTag(b, fieldMetadata, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(ev.Metadata.Size()))
		if b, err = ev.Metadata.AppendBinary(b); err != nil {
			return b, err
		}
	}
	b = protowire.AppendTag(b, fieldData, protowire.BytesType)
	b = protowire.AppendBytes(b, ev.Data)
	return b, nil
}

var zeroHeader [headerSize]byte

// sealEnvelope fills in what the committer knows.
func sealEnvelope(b []byte, name uint32, flags byte, version uint64, ms int64) {
	binary.BigEndian.PutUint32(b[offName:], name)
	b[offFlags] = flags
	binary.BigEndian.PutUint64(b[offVersion:], version)
	binary.BigEndian.PutUint64(b[offTime:], uint64(ms))
}

func envelopeName(b []byte) uint32    { return binary.BigEndian.Uint32(b[offName:]) }
func envelopeVersion(b []byte) uint64 { return binary.BigEndian.Uint64(b[offVersion:]) }
func envelopeMillis(b []byte) int64   { return int64(binary.BigEndian.Uint64(b[offTime:])) }

var errShort = errors.New("too short")

// checkHeader refuses what this version cannot read; it must not be guessed at.
func checkHeader(b []byte) error {
	switch {
	case len(b) < headerSize:
		return errShort
	case b[0] != envelopeFormat:
		return fmt.Errorf("%w: envelope format %d, this version reads %d; open the store with the newer version that wrote it", store.ErrIncompatible, b[0], envelopeFormat)
	case b[offFlags]&^knownFlags != 0:
		return fmt.Errorf("%w: envelope flags %#x; open the store with the newer version that wrote them", store.ErrIncompatible, b[offFlags])
	}
	return nil
}

// decodeEnvelope decodes without copying: what it returns shares b, which must never
// change again.
func decodeEnvelope(b []byte, pos uint64, dict *dictionary, ev *event.Event) error {
	if err := checkHeader(b); err != nil {
		return envelopeError(pos, err)
	}
	t, ok := dict.name(envelopeName(b))
	if !ok {
		return envelopeError(pos, fmt.Errorf("name id %d is not in the dictionary", envelopeName(b)))
	}
	ev.Position = event.Position(pos)
	ev.Stream.Aggregate = t.Aggregate
	ev.Name = t.Name
	ev.Version = envelopeVersion(b)
	ev.Time = time.UnixMilli(envelopeMillis(b)).UTC()
	ev.SchemaVersion = 1
	ev.ContentType = jsonContentType
	// *ev may have held another event
	ev.ID, ev.Stream.ID, ev.RoutingKey, ev.Metadata, ev.Data = event.ID{}, "", "", event.Metadata{}, nil
	for f := b[headerSize:]; len(f) > 0; {
		var num protowire.Number
		var v []byte
		// most fields have a number and a length of one byte each
		if len(f) > 1 && f[0] >= 8 && f[0] < 0x80 && protowire.Type(f[0]&7) == protowire.BytesType && f[1] < 0x80 && int(f[1]) <= len(f)-2 {
			end := 2 + int(f[1])
			num, v, f = protowire.Number(f[0]>>3), f[2:end], f[end:]
		} else {
			var n int
			if num, v, n = consumeField(f, ev); n < 0 {
				return envelopeError(pos, protowire.ParseError(n))
			}
			f = f[n:]
		}
		switch num {
		case fieldID:
			if len(v) != len(ev.ID) {
				return envelopeError(pos, fmt.Errorf("id of %d bytes", len(v)))
			}
			ev.ID = event.ID(v)
		case fieldStreamID:
			ev.Stream.ID = viewString(v)
		case fieldRoutingKey:
			ev.RoutingKey = viewString(v)
		case fieldContentType:
			ev.ContentType = viewString(v)
		case fieldMetadata:
			ev.Metadata = event.RawMetadata(v[:len(v):len(v)])
		case fieldData:
			ev.Data = v[:len(v):len(v)]
		}
	}
	return nil
}

// consumeField reads any field; what is not bytes it keeps in ev, or passes over with a
// nil value. n is the field's size, or negative when it is damaged.
func consumeField(f []byte, ev *event.Event) (num protowire.Number, v []byte, n int) {
	num, typ, n := protowire.ConsumeTag(f)
	if n < 0 {
		return 0, nil, n
	}
	m := 0
	switch {
	case typ == protowire.BytesType:
		v, m = protowire.ConsumeBytes(f[n:])
	case num == fieldSchema && typ == protowire.VarintType:
		var schema uint64
		schema, m = protowire.ConsumeVarint(f[n:])
		ev.SchemaVersion = int(schema)
		num = 0
	default:
		m = protowire.ConsumeFieldValue(num, typ, f[n:])
		num = 0
	}
	if m < 0 {
		return 0, nil, m
	}
	return num, v, n + m
}

// viewString shares b's bytes. It is sound because the strings of an envelope and the
// Data that a caller may change are different bytes of the page's arena.
func viewString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func envelopeError(pos uint64, err error) error {
	if errors.Is(err, store.ErrIncompatible) {
		return fmt.Errorf("event at position %d: %w", pos, err)
	}
	return &store.CorruptError{What: "event", Key: "position " + event.Position(pos).String(), Err: err}
}
