package store

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/riffle-go/riffle/event"
)

// someTime draws a time as records keep it.
func someTime(t *rapid.T, label string) time.Time {
	if ms := rapid.Int64Range(-1e12, 1e13).Draw(t, label); ms != 0 {
		return time.UnixMilli(ms).UTC()
	}
	return time.Time{}
}

func someID(t *rapid.T, label string) (id event.ID) {
	copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label))
	return id
}

func TestRecordsRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.IntRange(0, 1<<62)
		text := rapid.String()
		same := func(got, want any, err error) {
			t.Helper()
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("got %+v (%v)\nwant %+v", got, err, want)
			}
		}
		term := termValue{
			someID(t, "worker"), someID(t, "process"), someTime(t, "claimed"), number.Draw(t, "crashes"),
			event.Position(rapid.Uint64().Draw(t, "checkpoint")), rapid.Bool().Draw(t, "released"),
			event.Position(rapid.Uint64().Draw(t, "killed")),
		}
		gotTerm, err := decodeTerm("k", term.encode())
		same(gotTerm, term, err)

		checkpoint := checkpointValue{
			event.Position(rapid.Uint64().Draw(t, "head")), event.Position(rapid.Uint64().Draw(t, "in hand")),
			someTime(t, "created"), someTime(t, "updated"), rapid.Uint64().Draw(t, "term"), rapid.Uint64().Draw(t, "serial"),
		}
		gotCheckpoint, err := decodeCheckpoint("k", checkpoint.encode())
		same(gotCheckpoint, checkpoint, err)

		wish := Wish{Paused: text.Draw(t, "paused"), Halted: text.Draw(t, "halted"), Drain: someID(t, "drain"), At: someTime(t, "at")}
		for range rapid.IntRange(0, 3).Draw(t, "retries") {
			wish.Retry = append(wish.Retry, text.Draw(t, "retry"))
		}
		gotWish, err := decodeWish("k", encodeWish(wish))
		same(gotWish, wish, err)

		key := SubscriberKey{text.Draw(t, "projection"), rapid.Uint32().Draw(t, "generation"), rapid.Uint16().Draw(t, "segment")}
		row := Row{
			Key: text.Draw(t, "key"), Position: event.Position(rapid.Uint64().Draw(t, "position")), State: Parked,
			Attempts: number.Draw(t, "attempts"), First: text.Draw(t, "first"), Last: text.Draw(t, "last"),
			Due: someTime(t, "due"), Since: someTime(t, "since"), Updated: someTime(t, "updated"),
		}
		rowKey := rowRecord(key, RowKey{row.Key, row.Position})
		gotRow, err := decodeRow(Record{Key: rowKey, Value: encodeRow(&row)})
		same(gotRow, row, err)
		gotKey, _, ok := parseRowRecord(rowKey)
		if !ok || gotKey != key {
			t.Fatal(gotKey, ok)
		}
		gotKey, part, ok := parseSubscriberRecord(subscriberRecord(key, partWish))
		if !ok || gotKey != key || part != partWish {
			t.Fatal(gotKey, part, ok)
		}

		snapshot := Snapshot{
			Key: SnapshotKey{key.Projection, key.Generation, row.Key}, ContentType: text.Draw(t, "type"),
			Revision: number.Draw(t, "revision"), Version: rapid.Uint64().Draw(t, "version"), Position: row.Position,
		}
		snapshot.State = append(snapshot.State, rapid.SliceOf(rapid.Byte()).Draw(t, "state")...)
		if len(snapshot.State) == 0 {
			snapshot.State = nil
		}
		for _, space := range []byte{spaceState, spaceSnapshot} {
			got, err := decodeSnapshot(Record{Key: stateRecord(space, snapshot.Key), Value: encodeSnapshot(&snapshot)})
			same(got, snapshot, err)
		}
	})
}

// Keys are ordered as their components are, and none is inside the range of another.
func TestRecordKeysKeepOrder(t *testing.T) {
	t.Parallel()
	text := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.SampledFrom([]rune{0, 1, 'a', 0xff})))
	draw := func(t *rapid.T, n string) (SubscriberKey, RowKey) {
		return SubscriberKey{text.Draw(t, "projection"+n), rapid.Uint32Range(0, 3).Draw(t, "generation"+n), rapid.Uint16Range(0, 3).Draw(t, "segment"+n)},
			RowKey{text.Draw(t, "key"+n), event.Position(rapid.Uint64().Draw(t, "position"+n))}
	}
	compare := func(a SubscriberKey, ar RowKey, b SubscriberKey, br RowKey) int {
		for _, c := range []int{
			compareOf(a.Projection, b.Projection), compareOf(a.Generation, b.Generation), compareOf(a.Segment, b.Segment),
			compareOf(ar.Key, br.Key), compareOf(ar.Position, br.Position),
		} {
			if c != 0 {
				return c
			}
		}
		return 0
	}
	rapid.Check(t, func(t *rapid.T) {
		a, ar := draw(t, "1")
		b, br := draw(t, "2")
		if got, want := compareOf(rowRecord(a, ar), rowRecord(b, br)), compare(a, ar, b, br); got != want {
			t.Fatalf("keys compare as %d, components as %d", got, want)
		}
		if within := len(rowRecord(a, ar)) >= len(rowsPrefix(b)) && rowRecord(a, ar)[:len(rowsPrefix(b))] == rowsPrefix(b); within != (a == b) {
			t.Fatalf("row of %v is in the range of %v: %v", a, b, within)
		}
	})
}

func compareOf[T string | uint16 | uint32 | event.Position](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// These keys are in databases: they must stay as they are.
func TestRecordKeysAreStable(t *testing.T) {
	t.Parallel()
	k := SubscriberKey{"p\x00q", 258, 3}
	for got, want := range map[string]string{
		subscriberRecord(k, partTerm):                             "sp\x00\xffq\x00\x01\x00\x00\x01\x02\x00\x03t",
		subscriberRecord(k, partCheckpoint):                       "sp\x00\xffq\x00\x01\x00\x00\x01\x02\x00\x03c",
		subscriberRecord(k, partWish):                             "sp\x00\xffq\x00\x01\x00\x00\x01\x02\x00\x03w",
		projectionKey("p"):                                        "jp\x00\x01",
		stateRecord(spaceState, SnapshotKey{"p", 1, "k"}):         "np\x00\x01\x00\x00\x00\x01k\x00\x01",
		stateRecord(spaceSnapshot, SnapshotKey{"p", 1, "k"}):      "fp\x00\x01\x00\x00\x00\x01k\x00\x01",
		rowRecord(SubscriberKey{Projection: "p"}, RowKey{"k", 9}): "pp\x00\x01\x00\x00\x00\x00\x00\x00k\x00\x01\x00\x00\x00\x00\x00\x00\x00\x09",
	} {
		if got != want {
			t.Errorf("key %q, want %q", got, want)
		}
	}
}

// And so are these values.
func TestRecordValuesAreStable(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1000)
	for got, want := range map[string]string{
		fmt.Sprintf("%x", checkpointValue{1, 2, at, at, 5, 6}.encode()):                       "010801100218d00f20d00f28053006",
		fmt.Sprintf("%x", termValue{claimed: at, crashes: 2, released: true}.encode()):        "0118d00f20023001",
		fmt.Sprintf("%x", encodeWish(Wish{Paused: "a", Retry: []string{""}, At: at})):         "010a0161220028d00f",
		fmt.Sprintf("%x", encodeSnapshot(&Snapshot{State: []byte{7}, Revision: 1})):           "010a01071801",
		fmt.Sprintf("%x", encodeRow(&Row{State: Skipped, Attempts: 1, Last: "b", Due: at})):   "01080310012201622" + "8d00f",
		fmt.Sprintf("%x", encodeProjection(&ProjectionRow{Next: 1, Skips: []Skip{{"k", 3}}})): "01180132050a016b1003",
	} {
		if got != want {
			t.Errorf("value %s, want %s", got, want)
		}
	}
}

func TestRecordOfANewerFormatIsIncompatible(t *testing.T) {
	t.Parallel()
	_, err := decodeCheckpoint("k", []byte{2})
	if !errors.Is(err, ErrIncompatible) {
		t.Fatal(err)
	}
	// Newer code may add fields.
	c, err := decodeCheckpoint("k", append(checkpointValue{head: 7}.encode(), 0xfa, 0x01, 1, 'x', 0xf8, 0x01, 1, 0xfd, 0x01, 1, 2, 3, 4))
	if err != nil || c.head != 7 {
		t.Fatal(c, err)
	}
}

func TestDamagedRecordsAreCorrupt(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		"", "\x01\x08", "\x01\x0a\x05a", "\x01\x00", "\x01\x0a\x00", "\x01\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "\x01\x18",
	} {
		_, err := decodeCheckpoint("k", []byte(value))
		corrupt, ok := errors.AsType[*CorruptError](err)
		if !ok || !errors.Is(err, ErrCorrupt) || corrupt.Key != `"k"` {
			t.Errorf("%q: %v", value, err)
		}
	}
	if _, err := decodeTerm("k", []byte("\x01\x0a\x02ab")); !errors.Is(err, ErrCorrupt) {
		t.Error("an id of two bytes:", err)
	}
	if _, err := decodeTerm("k", []byte("\x01\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")); !errors.Is(err, ErrCorrupt) {
		t.Error("a negative number:", err)
	}
	if term, err := decodeTerm("k", nil); err != nil || term != (termValue{}) {
		t.Error("what a fence creates:", term, err)
	}
	for _, key := range []string{"", "n", "np", "np\x00\x01\x00\x00\x00\x01k", "np\x00\x01\x00\x00\x00\x01k\x00\x01x"} {
		if _, err := decodeSnapshot(Record{Key: key, Value: []byte{1}}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("key %q: %v", key, err)
		}
		if _, err := decodeRow(Record{Key: key, Value: []byte{1}}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("key %q: %v", key, err)
		}
	}
	for _, key := range []string{"", "s", "sp", "sp\x00\x01", "sp\x00\x01\x00\x00\x00\x01", "sp\x00\x01\x00\x00\x00\x01\x00\x00", "sp\x00\x01\x00\x00\x00\x01\x00\x00tt"} {
		if k, part, ok := parseSubscriberRecord(key); ok {
			t.Errorf("key %q is part %q of %v", key, part, k)
		}
	}
	for _, key := range []string{"pp\x00\x01\x00\x00\x00\x01\x00\x00k\x00\x01", "pp\x00\x01\x00\x00\x00\x01\x00\x00k\x00\x01\x01"} {
		if _, k, ok := parseRowRecord(key); ok {
			t.Errorf("key %q is of the row %v", key, k)
		}
	}
	if _, err := decodeProjection(Record{Key: "j", Value: []byte{1}}); !errors.Is(err, ErrCorrupt) {
		t.Error(err)
	}
}

// FuzzRecord: hostile bytes give an error or a value, and what was read can be written.
func FuzzRecord(f *testing.F) {
	sub := SubscriberKey{Projection: "p", Generation: 1}
	f.Add(subscriberRecord(sub, partTerm), termValue{crashes: 1, claimed: time.UnixMilli(1)}.encode())
	f.Add(subscriberRecord(sub, partCheckpoint), checkpointValue{head: 9, term: 1}.encode())
	f.Add(subscriberRecord(sub, partWish), encodeWish(Wish{Paused: "p", Retry: []string{"a", ""}}))
	f.Add(rowRecord(sub, RowKey{"k", 3}), encodeRow(&Row{State: Parked, First: "e"}))
	f.Add(stateRecord(spaceState, SnapshotKey{"p", 1, "k"}), encodeSnapshot(&Snapshot{State: []byte("s"), Position: 4}))
	f.Add(projectionKey("p"), encodeProjection(&ProjectionRow{Next: 2, Generations: []Generation{{Number: 1}}, Skips: []Skip{{"k", 1}}}))
	f.Add("", []byte{})
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		check := func(err error, encode func() []byte, decode func([]byte) (any, error), v any) {
			t.Helper()
			if err != nil {
				if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrIncompatible) {
					t.Fatal(err)
				}
				return
			}
			again, err := decode(encode())
			if err != nil || fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", v) {
				t.Fatalf("read %+v, written and read again %+v (%v)", v, again, err)
			}
		}
		term, err := decodeTerm(key, value)
		check(err, term.encode, func(b []byte) (any, error) { return decodeTerm(key, b) }, term)
		checkpoint, err := decodeCheckpoint(key, value)
		check(err, checkpoint.encode, func(b []byte) (any, error) { return decodeCheckpoint(key, b) }, checkpoint)
		wish, err := decodeWish(key, value)
		check(err, func() []byte { return encodeWish(wish) }, func(b []byte) (any, error) { return decodeWish(key, b) }, wish)
		row, err := decodeRow(Record{Key: key, Value: value})
		check(err, func() []byte { return encodeRow(&row) }, func(b []byte) (any, error) { return decodeRow(Record{Key: key, Value: b}) }, row)
		snapshot, err := decodeSnapshot(Record{Key: key, Value: value})
		check(err, func() []byte { return encodeSnapshot(&snapshot) }, func(b []byte) (any, error) { return decodeSnapshot(Record{Key: key, Value: b}) }, snapshot)
		projection, err := decodeProjection(Record{Key: key, Value: value})
		check(err, func() []byte { return encodeProjection(&projection) }, func(b []byte) (any, error) { return decodeProjection(Record{Key: key, Value: b}) }, projection)
		_, _, _ = parseSubscriberRecord(key)
	})
}
