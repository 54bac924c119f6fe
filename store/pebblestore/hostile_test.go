package pebblestore

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// hostileIDs are ids that bad keys would mix up: prefixes of each other, the bytes of the
// escape, digits that look like versions, and the longest allowed.
func hostileIDs() []string {
	return []string{
		"a", "a\x00", "a\x00\x00", "a\x00\x01", "a\x00\xff", "a\x01", "a\xff", "\x00", "\x00\x00", "\x00\x01", "\xff", "\xff\xff",
		".", "..", "a.b", "a/b", "a\x00\x00\x00\x00\x00\x00\x00\x00\x01", "a\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01",
		strings.Repeat("x", 255), strings.Repeat("\x00", 255), strings.Repeat("\xff", 255),
	}
}

// TestHostileIDsAndRoutingKeysStayApart: every stream and every routing key has its own
// events, in every way to read.
func TestHostileIDsAndRoutingKeysStayApart(t *testing.T) {
	t.Parallel()
	d := openDriver(t, nil, nil)
	for range 3 {
		for i, id := range hostileIDs() {
			a := appending(id, store.Any, 1+i%2)
			a.RoutingKey = id
			if _, err := d.try(t.Context(), a); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, id := range hostileIDs() {
		want := 3 * (1 + i%2)
		for what, scan := range map[string]store.Scan{
			"stream":  {Match: store.MatchStreams(things.Stream(id))},
			"cut":     {Match: store.MatchStreams(things.Stream(id)), From: 1, To: 1000},
			"routing": {RoutingKey: &id},
			"both":    {Match: store.MatchStreams(things.Stream(id)), RoutingKey: &id, Backward: true},
		} {
			events, err := scanAll(t.Context(), d, scan)
			if err != nil || len(events) != want {
				t.Errorf("%s %q: %d events, want %d: %v", what, id, len(events), want, err)
			}
			for _, ev := range events {
				if ev.Stream.ID != id || ev.RoutingKey != id {
					t.Errorf("%s %q has an event of %q, %q", what, id, ev.Stream.ID, ev.RoutingKey)
				}
			}
		}
		if info, err := d.Stream(t.Context(), things.Stream(id)); err != nil || info.Version != uint64(want) || info.RoutingKey != id {
			t.Errorf("%q: %+v, %v", id, info, err)
		}
	}
	want := hostileIDs()
	slices.Sort(want)
	streams, err := d.Streams(t.Context(), things, store.Range{})
	if err != nil {
		t.Fatal(err)
	}
	got := make([]string, len(streams))
	for i, s := range streams {
		got[i] = s.ID
	}
	if !slices.Equal(got, want) {
		t.Errorf("streams %q, want %q", got, want)
	}
	if err := d.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func TestAppendsAtTheLimits(t *testing.T) {
	t.Parallel()
	d := openDriver(t, nil, small) // far larger than a memtable
	l := limits()
	big := appending("big", store.NoStream, 8)
	for i := range big.Events {
		big.Events[i].Data = bytes.Repeat([]byte{byte(i)}, l.EventBytes-1000)
	}
	long := appending(strings.Repeat("i", 255), store.NoStream, 1)
	long.RoutingKey, long.Events[0].Name = strings.Repeat("k", 255), strings.Repeat("n", 255)
	long.Stream.Aggregate = event.Aggregate(strings.Repeat("a", 255))
	for name, a := range map[string]store.Appending{"events": appending("many", store.NoStream, l.AppendEvents), "bytes": big, "names": long} {
		if _, err := d.try(t.Context(), a); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		events, err := scanAll(t.Context(), d, store.Scan{Match: store.MatchStreams(a.Stream)})
		if err != nil || len(events) != len(a.Events) {
			t.Fatalf("%s: %d events, %v", name, len(events), err)
		}
		for i, ev := range events {
			if !bytes.Equal(ev.Data, a.Events[i].Data) || ev.Name != a.Events[i].Name {
				t.Errorf("%s: event %d is another", name, i)
			}
		}
	}
	if err := d.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// TestRecordsCannotReachTheDriversKeys, by no key of a Txn and by no listing.
func TestRecordsCannotReachTheDriversKeys(t *testing.T) {
	t.Parallel()
	d := openDriver(t, nil, nil)
	mustAppend(t, d, "a", 3)
	for _, key := range []string{"", string(logKey(1)), string(metaKey(metaHistory)), "d", "t", "a", "u", "r", "\x00", "\xff"} {
		for what, txn := range map[string]*store.Txn{
			"put": {Puts: []store.Record{{Key: key}}}, "delete": {Deletes: []string{key}},
			"fence": {Fence: []string{key}}, "guard": {Guards: []store.Guard{{Key: key}}},
		} {
			if _, err := d.Commit(t.Context(), txn); !errors.Is(err, store.ErrInvalid) {
				t.Errorf("%s %q: %v, want ErrInvalid", what, key, err)
			}
		}
		if _, err := d.List(t.Context(), key, "", 10); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("list %q: %v, want ErrInvalid", key, err)
		}
	}
	if err := d.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// TestExtremePositions overflow nothing.
func TestExtremePositions(t *testing.T) {
	t.Parallel()
	d := openDriver(t, nil, nil)
	mustAppend(t, d, "a", 3)
	for _, from := range []event.Position{0, 1, 3, 4, math.MaxInt64, math.MaxUint64} {
		for _, to := range []event.Position{0, 1, 3, 4, math.MaxInt64, math.MaxUint64} {
			for _, match := range [][]store.Match{nil, {{Aggregate: things, ID: "a"}}, {{Aggregate: things, Name: "name0"}}} {
				for _, backward := range []bool{false, true} {
					scan := store.Scan{Match: match, From: from, To: to, Limit: 10, Examine: 10, Backward: backward}
					res, err := d.Read(t.Context(), scan)
					if err != nil || res.Scanned > max(3, from) {
						t.Errorf("%+v: scanned %d, %v", scan, res.Scanned, err)
					}
					want := 0
					for p := event.Position(1); p <= 3; p++ {
						if p >= from && (to == 0 || p <= to) && (match == nil || match[0].ID != "" || p == 1) {
							want++
						}
					}
					if len(res.Events) != want {
						t.Errorf("%+v: %d events, want %d", scan, len(res.Events), want)
					}
				}
			}
		}
	}
	for _, v := range []uint64{4, math.MaxInt64, math.MaxUint64} {
		res, err := d.Read(t.Context(), store.Scan{Match: store.MatchStreams(things.Stream("a")), MinVersion: v, Limit: 10, Examine: 10})
		if err != nil || len(res.Events) != 0 {
			t.Errorf("from version %d: %d events, %v", v, len(res.Events), err)
		}
	}
	if err := d.Wait(t.Context(), 2, nil); err != nil {
		t.Error(err)
	}
	if err := d.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// TestTheDictionaryIsBounded, and a refused append leaves no entry.
func TestTheDictionaryIsBounded(t *testing.T) {
	t.Parallel()
	d := openDriver(t, nil, quiet)
	name := 0
	naming := func(n int) store.Appending {
		a := appending("a", store.Any, n)
		for i := range a.Events {
			name++
			a.Events[i].Name = fmt.Sprint("n", name)
		}
		return a
	}
	for size := 1; size < maxDictionary-1; { // 1 is the aggregate
		n := min(1000, maxDictionary-1-size)
		if _, err := d.try(t.Context(), naming(n)); err != nil {
			t.Fatal(err)
		}
		size += n
	}
	last := naming(3)
	for i := range last.Events {
		last.Events[i].Name = "the last one"
	}
	if _, err := d.try(t.Context(), last); err != nil {
		t.Errorf("the last name, three times: %v", err)
	}
	head, before := d.head.Load().position, d.dict.Load()
	if _, err := d.try(t.Context(), naming(1)); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("a name too many: %v", err)
	}
	if d.head.Load().position != head || d.dict.Load() != before {
		t.Error("the refused append left something behind")
	}
	name = 0
	if _, err := d.try(t.Context(), naming(1)); err != nil {
		t.Errorf("a name that is there: %v", err)
	}
	if err := d.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// TestUnknownFormatsAreRefused, wherever an event is met first.
func TestUnknownFormatsAreRefused(t *testing.T) {
	t.Parallel()
	type change struct {
		at    int
		value byte
	}
	changes := map[string]change{"a newer format": {0, envelopeFormat + 1}, "a format of old": {0, 0}}
	for bit := byte(flagTombstone); bit != 0; bit <<= 1 { // also those with a reserved meaning
		changes[fmt.Sprintf("flag %#x", bit)] = change{offFlags, bit}
	}
	for what, c := range changes {
		d := openDriver(t, nil, quiet)
		mustAppend(t, d, "a", 5)
		e := envelopeAt(t, d, 3)
		e[c.at] = c.value
		if err := d.db.Set(logKey(3), e, pebble.Sync); err != nil {
			t.Fatal(err)
		}
		for name, scan := range map[string]store.Scan{
			"log": {}, "backward": {Backward: true}, "unkeyed": {RoutingKey: new("")}, "stream": {Match: store.MatchStreams(things.Stream("a"))},
		} {
			if _, err := scanAll(t.Context(), d, scan); !errors.Is(err, store.ErrIncompatible) || errors.Is(err, store.ErrCorrupt) {
				t.Errorf("%s, %s: %v, want ErrIncompatible and no damage", what, name, err)
			}
		}
		if err := d.Verify(t.Context(), nil); !errors.Is(err, store.ErrIncompatible) {
			t.Errorf("%s: verify: %v, want ErrIncompatible", what, err)
		}
	}
}

// FuzzEnvelope: no bytes make the decoder panic, and what it decodes it encodes to the
// same event again.
func FuzzEnvelope(f *testing.F) {
	dict := newDictionary()
	dict.addAggregate(things, 1)
	dict.addName(event.Type{Aggregate: things, Name: "name"}, 1)
	full := event.Event{ID: event.NewID(), SchemaVersion: 3, ContentType: "text/plain", Data: []byte("data"), Metadata: event.Metadata{}.With("k", "v")}
	for _, ev := range []event.Event{full, {SchemaVersion: 1, ContentType: jsonContentType}} {
		b, err := appendEnvelope(nil, "id\x00", "key", &ev)
		if err != nil {
			f.Fatal(err)
		}
		sealEnvelope(b, 1, flagKeyed, 7, 1234)
		f.Add(b)
		f.Add(b[:len(b)-1])
		f.Add(append(b, 0x52, 0x01, 'x')) // a field of a later version
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var ev, again event.Event
		if err := decodeEnvelope(b, 9, dict, &ev); err != nil {
			if !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, store.ErrIncompatible) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		if ev.Metadata.Err() != nil {
			return
		}
		b2, err := appendEnvelope(nil, ev.Stream.ID, ev.RoutingKey, &ev)
		if err != nil {
			t.Fatal(err)
		}
		sealEnvelope(b2, 1, b[offFlags], ev.Version, ev.Time.UnixMilli())
		if err := decodeEnvelope(b2, 9, dict, &again); err != nil {
			t.Fatalf("encoded again: %v", err)
		}
		if again.ID != ev.ID || again.Stream != ev.Stream || again.RoutingKey != ev.RoutingKey || again.Version != ev.Version || !again.Time.Equal(ev.Time) ||
			again.SchemaVersion != ev.SchemaVersion || again.ContentType != ev.ContentType || !bytes.Equal(again.Data, ev.Data) {
			t.Fatalf("%+v became %+v", ev, again)
		}
	})
}

// FuzzKeys: keys of streams sort by aggregate, then id, then version; no key lies in the
// range of another stream or routing key; and they decode.
func FuzzKeys(f *testing.F) {
	ids := hostileIDs()
	for i := range ids {
		f.Add(uint32(1), ids[i], uint64(1), uint32(1), ids[(i+1)%len(ids)], uint64(i))
	}
	f.Add(uint32(math.MaxUint32), "\xff", uint64(math.MaxUint64), uint32(0), "", uint64(0))
	f.Fuzz(func(t *testing.T, agg1 uint32, id1 string, v1 uint64, agg2 uint32, id2 string, v2 uint64) {
		k1, k2 := appendStreamKey(nil, agg1, id1, v1), appendStreamKey(nil, agg2, id2, v2)
		want := slices.Compare([]uint32{agg1}, []uint32{agg2})
		if want == 0 {
			want = strings.Compare(id1, id2)
		}
		if want == 0 {
			want = slices.Compare([]uint64{v1}, []uint64{v2})
		}
		if got := bytes.Compare(k1, k2); got != want {
			t.Errorf("keys compare %d, want %d", got, want)
		}
		prefix := appendStreamPrefix(nil, agg1, id1)
		same := agg1 == agg2 && id1 == id2
		if bytes.HasPrefix(k2, prefix) != same {
			t.Errorf("a key of %d %q lies in the range of %d %q", agg2, id2, agg1, id1)
		}
		if end := successor(prefix); (bytes.Compare(k2, prefix) >= 0 && (end == nil || bytes.Compare(k2, end) < 0)) != same {
			t.Error("the successor of the prefix does not end the range")
		}
		if lastUint64(k1) != v1 {
			t.Errorf("version %d, want %d", lastUint64(k1), v1)
		}
		r2 := appendRoutingKey(nil, id2, v2)
		if bytes.HasPrefix(r2, appendRoutingPrefix(nil, id1)) != (id1 == id2) {
			t.Errorf("an entry of the routing key %q lies in the range of %q", id2, id1)
		}
		if pos, ok := logKeyPosition(logKey(v1)); !ok || pos != v1 || bytes.Compare(logKey(v1), logKey(v2)) != slices.Compare([]uint64{v1}, []uint64{v2}) {
			t.Error("log keys")
		}
	})
}

// TestAnImportFromBefore1970IsRefused with that reason, also by an empty store.
func TestAnImportFromBefore1970IsRefused(t *testing.T) {
	t.Parallel()
	d := openDriver(t, nil, quiet)
	a := appending("a", store.NoStream, 1)
	a.Events[0].Time = time.UnixMilli(-1)
	_, err := d.Commit(t.Context(), &store.Txn{Appends: []store.Appending{a}, Import: true})
	if !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "is before 1970, where") {
		t.Errorf("%v", err)
	}
	a.Events[0].Time = time.UnixMilli(0)
	if _, err := d.Commit(t.Context(), &store.Txn{Appends: []store.Appending{a}, Import: true}); err != nil {
		t.Errorf("1970: %v", err)
	}
}
