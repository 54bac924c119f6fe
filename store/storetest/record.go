package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/riffle-go/riffle/store"
)

func recordRules() []rule {
	return []rule{
		{"a record comes back as it was put", 0, recordComesBack},
		{"a deleted record is gone", 0, recordDeleted},
		{"records are listed by prefix, after and limit", needOrdered, recordsListed},
		{"all records of a prefix are listed, whatever the order", 0, recordsComplete},
		{"listings agree with a map", needOrdered, recordsAgainstMap},
	}
}

func recordComesBack(e *env) {
	d := e.open()
	if _, err := d.Get(e.Context(), "nnone"); !errors.Is(err, store.ErrNotFound) {
		e.Errorf("a record that does not exist: %v, want ErrNotFound", err)
	}
	for _, r := range []store.Record{
		{Key: "s", Value: []byte("value"), Revision: 1},
		{Key: "s\x00", Value: nil, Revision: 0},
		{Key: "s\x00\x01", Value: []byte{0, 0xff, 0}, Revision: math.MaxUint64},
		{Key: "j\xff\xff", Value: bytes.Repeat([]byte{0xff}, 70_000), Revision: 1 << 40},
		{Key: "s", Value: []byte("another"), Revision: 0}, // over the first: Store chooses the revision
	} {
		e.put(d, r)
		got, err := d.Get(e.Context(), r.Key)
		e.need(err, "get %q", r.Key)
		if got.Key != r.Key || !bytes.Equal(got.Value, r.Value) || got.Revision != r.Revision {
			e.Errorf("record %q came back as %q with %d bytes at revision %d; put were %d bytes at %d",
				r.Key, got.Key, len(got.Value), got.Revision, len(r.Value), r.Revision)
		}
	}
	if h := e.head(d); h != 0 {
		e.Errorf("records moved the head to %d", h)
	}
}

func recordDeleted(e *env) {
	d := e.open()
	e.put(d, store.Record{Key: "na", Revision: 1}, store.Record{Key: "na\x00", Revision: 2}, store.Record{Key: "nab", Revision: 3})
	res := e.commit(d, &store.Txn{Deletes: []string{"na", "nnone"}})
	if res.Position != 0 || res.First != 0 {
		e.Errorf("a commit without events has the result %+v", res)
	}
	if _, err := d.Get(e.Context(), "na"); !errors.Is(err, store.ErrNotFound) {
		e.Errorf("a deleted record: %v, want ErrNotFound", err)
	}
	e.listed(d, []store.Record{{Key: "na\x00", Revision: 2}, {Key: "nab", Revision: 3}})
	e.put(d, store.Record{Key: "na", Revision: 9})
	if r := e.get(d, "na"); r.Revision != 9 {
		e.Errorf("a record that was put again is at revision %d, want 9", r.Revision)
	}
}

// hostileKeys are keys that a careless encoding confuses, in byte order.
func hostileKeys() []string {
	longest := store.PortableLimits().KeyBytes - 1
	keys := []string{
		"\x00", "\x00\x00", "\x00\x01", "\x00\xff", "\x01", "a", "a\x00", "a\x00\x00", "a\x00\x01", "a\x00b", "a\x00\xff",
		"a\x01", "a.b", "a/b", "ab", "aé", "a\xff", "a\xff\x00", "a\xff\xff", "b", "é", "\xfe", "\xff", "\xff\x00", "\xff\xff",
		strings.Repeat("k", longest), strings.Repeat("\x00", longest), strings.Repeat("\xff", longest),
	}
	for i := range keys {
		keys[i] = "n" + keys[i]
	}
	slices.Sort(keys)
	return keys
}

func recordsListed(e *env) {
	d := e.open()
	keys := hostileKeys()
	for i, key := range slices.Backward(keys) {
		e.put(d, store.Record{Key: key, Value: []byte{byte(i)}, Revision: uint64(i)})
	}
	prefixes := append([]string{"n", "nc", "na\x00\x01\x02"}, keys...)
	afters := append([]string{"", "n", "na\x00a", "nzz"}, keys...)
	for _, prefix := range prefixes {
		for _, after := range afters {
			for _, limit := range []int{1, 2, 1000} {
				r := store.Range{Prefix: prefix, After: after, Limit: limit}
				got, err := d.List(e.Context(), prefix, after, limit)
				e.need(err, "list")
				if want := inRange(keys, r); !slices.Equal(keysOf(got), want) {
					e.Fatalf("prefix %q after %q limit %d: got %q, want %q", prefix, after, limit, keysOf(got), want)
				}
			}
		}
	}
	all, err := d.List(e.Context(), "n", "", 1000)
	e.need(err, "list")
	for i, r := range all {
		if r.Revision != uint64(i) || !bytes.Equal(r.Value, []byte{byte(i)}) {
			e.Errorf("record %q is listed as %q at revision %d", r.Key, r.Value, r.Revision)
		}
	}
}

func keysOf(records []store.Record) []string {
	keys := make([]string, len(records))
	for i, r := range records {
		keys[i] = r.Key
	}
	return keys
}

func recordsComplete(e *env) {
	d := e.open()
	keys := hostileKeys()
	for _, key := range keys {
		e.put(d, store.Record{Key: key, Revision: 1})
	}
	for _, prefix := range []string{"n", "na", "na\x00", "n\xff"} {
		got, err := d.List(e.Context(), prefix, "", 1000)
		e.need(err, "list")
		have := keysOf(got)
		slices.Sort(have)
		if want := inRange(keys, store.Range{Prefix: prefix}); !slices.Equal(have, want) {
			e.Errorf("prefix %q: got %q, want %q", prefix, have, want)
		}
	}
}

func recordsAgainstMap(e *env) {
	d := e.open()
	r := e.rand()
	model := map[string]store.Record{}
	key := func() string {
		b := []byte("n")
		for range 1 + r.IntN(4) {
			b = append(b, pick(r, byte(0), 1, 'a', 'b', 0xfe, 0xff))
		}
		return string(b)
	}
	for n := range uint64(150) {
		txn := &store.Txn{NoSync: r.IntN(3) > 0}
		touched := map[string]bool{}
		for range 1 + r.IntN(4) {
			k := key()
			if touched[k] {
				continue
			}
			touched[k] = true
			if r.IntN(3) == 0 {
				txn.Deletes = append(txn.Deletes, k)
				delete(model, k)
			} else {
				rec := store.Record{Key: k, Value: fmt.Append(nil, n), Revision: r.Uint64()}
				txn.Puts = append(txn.Puts, rec)
				model[k] = rec
			}
		}
		e.commit(d, txn)
		keys := make([]string, 0, len(model))
		for k := range model {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		in := store.Range{Prefix: key()[:1+r.IntN(2)], After: pick(r, "", key()), Limit: 1 + r.IntN(30)}
		got, err := d.List(e.Context(), in.Prefix, in.After, in.Limit)
		e.need(err, "list")
		want := []store.Record{}
		for _, k := range inRange(keys, in) {
			want = append(want, model[k])
		}
		if !slices.EqualFunc(got, want, sameRecord) {
			e.Fatalf("list of %+v: got %s, want %s", in, printed(got), printed(want))
		}
	}
}

func sameRecord(a, b store.Record) bool {
	return a.Key == b.Key && a.Revision == b.Revision && bytes.Equal(a.Value, b.Value)
}
