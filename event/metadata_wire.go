package event

import (
	"cmp"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// The wire form of metadata is that of a protobuf map<string, string>: entries as
// field 1, each a message of key (1) and value (2). A protobuf reader of another
// language can read it, and unknown fields leave room to grow.
const (
	fieldEntry = protowire.Number(1)
	fieldKey   = protowire.Number(1)
	fieldValue = protowire.Number(2)
)

type pair struct{ key, value string }

func encodePairs(pairs []pair) Metadata {
	size := 0
	for _, p := range pairs {
		size += 1 + protowire.SizeBytes(sizeOfPair(p)) // all tags here take one byte
	}
	if size == 0 {
		return Metadata{}
	}
	b := make([]byte, 0, size)
	for _, p := range pairs {
		b = protowire.AppendTag(b, fieldEntry, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(sizeOfPair(p)))
		b = protowire.AppendTag(b, fieldKey, protowire.BytesType)
		b = protowire.AppendString(b, p.key)
		b = protowire.AppendTag(b, fieldValue, protowire.BytesType)
		b = protowire.AppendString(b, p.value)
	}
	return Metadata{wire: b}
}

func sizeOfPair(p pair) int {
	return 2 + protowire.SizeBytes(len(p.key)) + protowire.SizeBytes(len(p.value))
}

// pairs returns copies of the entries, sorted by key; of equal keys the last one
// counts, as in protobuf.
func (m Metadata) pairs() []pair {
	if m.IsZero() {
		return nil
	}
	ps := make([]pair, 0, 8)
	_ = scanPairs(m.wire, func(k, v []byte) { // damage: the entries that can be read count
		ps = append(ps, pair{string(k), string(v)})
	})
	ascending := func(a, b pair) int { return cmp.Compare(a.key, b.key) }
	if !slices.IsSortedFunc(ps, ascending) {
		slices.SortStableFunc(ps, ascending)
	}
	return dropOverwritten(ps)
}

// dropOverwritten keeps the last one of each run of equal keys, in place.
func dropOverwritten(ps []pair) []pair {
	kept := ps[:0]
	for i, p := range ps {
		if i+1 == len(ps) || ps[i+1].key != p.key {
			kept = append(kept, p)
		}
	}
	return kept
}

// mergePairs merges two sorted lists; over wins.
func mergePairs(under, over []pair) []pair {
	merged := make([]pair, 0, len(under)+len(over))
	for len(under) > 0 && len(over) > 0 {
		switch c := cmp.Compare(under[0].key, over[0].key); {
		case c < 0:
			merged, under = append(merged, under[0]), under[1:]
		case c > 0:
			merged, over = append(merged, over[0]), over[1:]
		default:
			under = under[1:]
		}
	}
	return append(append(merged, under...), over...)
}

// scanPairs hands each readable entry to visit, in the order of the bytes, without
// allocating, and reports the first damage. A broken entry is passed over; a broken
// frame ends the scan, since nothing behind it can be found.
func scanPairs(b []byte, visit func(key, value []byte)) error {
	var damage error
	report := func(rest []byte, what string) {
		if damage == nil {
			damage = &InvalidError{Field: "Metadata", Reason: fmt.Sprintf("is damaged %d bytes before its end: %s", len(rest), what)}
		}
	}
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			report(b, "no field tag")
			return damage
		}
		if num != fieldEntry {
			skip := protowire.ConsumeFieldValue(num, typ, b[n:])
			if skip < 0 {
				report(b, "truncated unknown field")
				return damage
			}
			b = b[n+skip:]
			continue
		}
		entry, size := protowire.ConsumeBytes(b[n:])
		if typ != protowire.BytesType || size < 0 {
			report(b, "truncated entry")
			return damage
		}
		if k, v, ok := parseEntry(entry); ok {
			visit(k, v)
		} else {
			report(b, "broken entry")
		}
		b = b[n+size:]
	}
	return damage
}

func parseEntry(b []byte) (key, value []byte, ok bool) {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil, nil, false
		}
		b = b[n:]
		if num != fieldKey && num != fieldValue {
			if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
				return nil, nil, false
			}
			b = b[n:]
			continue
		}
		text, n := protowire.ConsumeBytes(b)
		if typ != protowire.BytesType || n < 0 {
			return nil, nil, false
		}
		if num == fieldKey {
			key = text
		} else {
			value = text
		}
		b = b[n:]
	}
	return key, value, true
}
