package store

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// A record's value is a format byte and protobuf wire fields, those with a zero value left
// out. Unknown fields are passed over: newer code may add some without a new format. The
// numbers of fields are stored and never change their meaning.
const recordFormat = 1

func newValue(size int) []byte { return append(make([]byte, 0, size), recordFormat) }

func appendNumber[T ~int | ~uint8 | ~uint32 | ~uint64](b []byte, field protowire.Number, n T) []byte {
	if n == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(n))
}

func appendBytes[T ~string | ~[]byte](b []byte, field protowire.Number, s T) []byte {
	if len(s) == 0 {
		return b
	}
	b = protowire.AppendVarint(protowire.AppendTag(b, field, protowire.BytesType), uint64(len(s)))
	return append(b, s...)
}

func appendBool(b []byte, field protowire.Number, v bool) []byte {
	if !v {
		return b
	}
	return appendNumber(b, field, uint8(1))
}

func appendID(b []byte, field protowire.Number, id [16]byte) []byte {
	if id == ([16]byte{}) {
		return b
	}
	return appendBytes(b, field, id[:])
}

// appendTime writes milliseconds; the zero time is left out.
func appendTime(b []byte, field protowire.Number, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), protowire.EncodeZigZag(t.UnixMilli()))
}

// readValue hands each field of a record to visit. what and key name the record in errors:
// ErrIncompatible for another format, *CorruptError for damage.
func readValue(what, key string, value []byte, visit func(f wireField) error) error {
	if len(value) == 0 {
		return corruptRecord(what, key, errors.New("it is empty"))
	}
	if value[0] != recordFormat {
		return fmt.Errorf("%w: %s %s has format %d, this version of Riffle knows %d; run the newer version that wrote it",
			ErrIncompatible, what, strconv.Quote(key), value[0], recordFormat)
	}
	if err := readFields(value[1:], visit); err != nil {
		return corruptRecord(what, key, err)
	}
	return nil
}

func corruptRecord(what, key string, err error) error {
	return &CorruptError{What: what, Key: strconv.Quote(key), Err: err}
}

func readFields(b []byte, visit func(f wireField) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		f := wireField{num: num, typ: typ}
		switch typ {
		case protowire.VarintType:
			f.n, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			f.b, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if err := visit(f); err != nil {
			return fmt.Errorf("field %d: %w", num, err)
		}
	}
	return nil
}

// wireField is one field of a record. Its bytes share memory with the record.
type wireField struct {
	num protowire.Number
	typ protowire.Type
	n   uint64
	b   []byte
}

var (
	errWireType = errors.New("it has another wire type")
	errRange    = errors.New("its number is out of range")
	errLength   = errors.New("it has a wrong length")
)

func readNumber[T ~int | ~uint8 | ~uint32 | ~uint64](f wireField, to *T) error {
	if f.typ != protowire.VarintType {
		return errWireType
	}
	*to = T(f.n)
	if *to < 0 || uint64(*to) != f.n {
		return errRange
	}
	return nil
}

func readBool(f wireField, to *bool) error {
	var n uint64
	err := readNumber(f, &n)
	*to = n != 0
	return err
}

func readText(f wireField, to *string) error {
	if f.typ != protowire.BytesType {
		return errWireType
	}
	*to = string(f.b)
	return nil
}

func readBytes(f wireField, to *[]byte) error {
	if f.typ != protowire.BytesType {
		return errWireType
	}
	*to = f.b
	return nil
}

func readID(f wireField, to *[16]byte) error {
	if f.typ != protowire.BytesType {
		return errWireType
	}
	if len(f.b) != len(to) {
		return errLength
	}
	copy(to[:], f.b)
	return nil
}

func readTime(f wireField, to *time.Time) error {
	if f.typ != protowire.VarintType {
		return errWireType
	}
	*to = time.UnixMilli(protowire.DecodeZigZag(f.n)).UTC()
	return nil
}
