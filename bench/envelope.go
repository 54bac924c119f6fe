package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/riffle-go/riffle/event"
)

// The yardsticks write and read the bytes that docs/format.md describes, with code of their
// own: a header of fixed size, then protobuf fields.
const (
	headerSize    = 22
	headerName    = 1
	headerFlags   = 5
	headerVersion = 6
	headerTime    = 14
	envelopeV1    = 1
	flagKeyed     = 1
)

const (
	fieldID          = 1
	fieldStream      = 2
	fieldRoutingKey  = 3
	fieldSchema      = 4
	fieldContentType = 5
	fieldMetadata    = 6
	fieldData        = 7
)

// appendEnvelope encodes an event of a stream without name, version and time.
func appendEnvelope(b []byte, id event.ID, s *stream, data []byte) []byte {
	var header [headerSize]byte
	header[0] = envelopeV1
	if s.routingKey != "" {
		header[headerFlags] = flagKeyed
	}
	b = append(b, header[:]...)
	b = protowire.AppendTag(b, fieldID, protowire.BytesType)
	b = protowire.AppendBytes(b, id[:])
	b = protowire.AppendTag(b, fieldStream, protowire.BytesType)
	b = protowire.AppendString(b, s.id)
	if s.routingKey != "" {
		b = protowire.AppendTag(b, fieldRoutingKey, protowire.BytesType)
		b = protowire.AppendString(b, s.routingKey)
	}
	metadata, _ := s.metadata.AppendBinary(nil) // its error is always nil
	b = protowire.AppendTag(b, fieldMetadata, protowire.BytesType)
	b = protowire.AppendBytes(b, metadata)
	b = protowire.AppendTag(b, fieldData, protowire.BytesType)
	return protowire.AppendBytes(b, data)
}

// fillHeader sets what an append knows last.
func fillHeader(b []byte, name uint32, version uint64, millis int64) {
	binary.BigEndian.PutUint32(b[headerName:], name)
	binary.BigEndian.PutUint64(b[headerVersion:], version)
	binary.BigEndian.PutUint64(b[headerTime:], uint64(millis))
}

func envelopeName(b []byte) uint32 { return binary.BigEndian.Uint32(b[headerName:]) }

var (
	errHeader = errors.New("bench: not an envelope of format 1")
	errField  = errors.New("bench: damaged field in an envelope")
)

// decodeEnvelope decodes b, which the event shares from then on. types is by name id.
func decodeEnvelope(b []byte, position uint64, types []event.Type, ev *event.Event) error {
	if len(b) < headerSize || b[0] != envelopeV1 || b[headerFlags]&^flagKeyed != 0 {
		return errHeader
	}
	id := envelopeName(b)
	if int(id) >= len(types) {
		return fmt.Errorf("bench: name id %d is not in the dictionary", id)
	}
	t := types[id]
	*ev = event.Event{
		Position:      event.Position(position),
		Stream:        event.Stream{Aggregate: t.Aggregate},
		Version:       binary.BigEndian.Uint64(b[headerVersion:]),
		Name:          t.Name,
		SchemaVersion: 1,
		ContentType:   "application/json",
		Time:          time.UnixMilli(int64(binary.BigEndian.Uint64(b[headerTime:]))).UTC(),
	}
	for f := b[headerSize:]; len(f) > 0; {
		num, typ, n := protowire.ConsumeTag(f)
		if n < 0 {
			return errField
		}
		f = f[n:]
		if typ != protowire.BytesType {
			n := protowire.ConsumeFieldValue(num, typ, f)
			if n < 0 {
				return errField
			}
			if num == fieldSchema && typ == protowire.VarintType {
				v, _ := protowire.ConsumeVarint(f)
				ev.SchemaVersion = int(v)
			}
			f = f[n:]
			continue
		}
		v, n := protowire.ConsumeBytes(f)
		if n < 0 {
			return errField
		}
		f = f[n:]
		switch num {
		case fieldID:
			if len(v) != len(ev.ID) {
				return errField
			}
			ev.ID = event.ID(v)
		case fieldStream:
			ev.Stream.ID = sharedString(v)
		case fieldRoutingKey:
			ev.RoutingKey = sharedString(v)
		case fieldContentType:
			ev.ContentType = sharedString(v)
		case fieldMetadata:
			ev.Metadata = event.RawMetadata(v)
		case fieldData:
			ev.Data = v
		}
	}
	return nil
}

// sharedString shares b's bytes, which nobody writes again.
func sharedString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
