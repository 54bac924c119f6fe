package pebblestore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/crashfs"
	"github.com/riffle-go/riffle/store"
)

// damaged is a store of 30 events: stream a with the routing key eu and kept ids, b
// without.
func damaged(t *testing.T) *driver {
	t.Helper()
	d := openDriver(t, nil, quiet)
	for range 10 {
		a := appending("a", store.Any, 2)
		a.RoutingKey, a.Once = "eu", true
		if _, err := d.try(t.Context(), a, appending("b", store.Any, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Verify(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return d
}

// envelopeAt copies a stored event.
func envelopeAt(t *testing.T, d *driver, pos uint64) []byte {
	t.Helper()
	v, closer, err := d.db.Get(logKey(pos))
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	return slices.Clone(v)
}

// patched is an event with one number of its header changed.
func patched(t *testing.T, d *driver, pos uint64, offset int, value uint64) []byte {
	b := envelopeAt(t, d, pos)
	binary.BigEndian.PutUint64(b[offset:], value)
	return b
}

// TestVerifyFindsAndNamesDamage: each kind of it, made behind the driver's back.
func TestVerifyFindsAndNamesDamage(t *testing.T) {
	t.Parallel()
	type damage struct {
		make func(t *testing.T, d *driver, b *pebble.Batch) error
		say  []string // what the report holds
	}
	agg := func(d *driver) uint32 { return d.dict.Load().aggregates[things] }
	name := func(d *driver, n string) uint32 {
		return d.dict.Load().names[event.Type{Aggregate: things, Name: n}]
	}
	for what, c := range map[string]damage{
		"gap in the log": {func(_ *testing.T, _ *driver, b *pebble.Batch) error { return b.Delete(logKey(7), nil) },
			[]string{"corrupt log at position 8: position 7 expected"}},
		"end of the log": {func(_ *testing.T, _ *driver, b *pebble.Batch) error { return b.Delete(logKey(30), nil) },
			[]string{"position 30", "ends before its head 30"}},
		"log key": {func(_ *testing.T, _ *driver, b *pebble.Batch) error {
			return b.Set(append(logKey(7), 1), []byte("x"), nil)
		}, []string{"corrupt log"}},
		"short envelope": {func(_ *testing.T, _ *driver, b *pebble.Batch) error { return b.Set(logKey(5), []byte{1, 2}, nil) },
			[]string{"corrupt event at position 5", "too short"}},
		"undecodable envelope": {func(t *testing.T, d *driver, b *pebble.Batch) error {
			return b.Set(logKey(5), append(envelopeAt(t, d, 5), 0xff), nil)
		}, []string{"corrupt event at position 5"}},
		"unknown name": {func(t *testing.T, d *driver, b *pebble.Batch) error {
			e := envelopeAt(t, d, 5)
			binary.BigEndian.PutUint32(e[offName:], 999)
			return b.Set(logKey(5), e, nil)
		}, []string{"corrupt event at position 5", "name id 999"}},
		"another name": {func(t *testing.T, d *driver, b *pebble.Batch) error {
			e := envelopeAt(t, d, 1) // name0
			binary.BigEndian.PutUint32(e[offName:], name(d, "name1"))
			return b.Set(logKey(1), e, nil)
		}, []string{"index entry", "position 1"}},
		"time that falls": {func(t *testing.T, d *driver, b *pebble.Batch) error {
			return b.Set(logKey(9), patched(t, d, 9, offTime, 1), nil)
		}, []string{"corrupt event at position 9", "time"}},
		"wrong version": {func(t *testing.T, d *driver, b *pebble.Batch) error {
			return b.Set(logKey(9), patched(t, d, 9, offVersion, 77), nil)
		}, []string{"index entry", "position 9"}},
		"missing name entry": {func(_ *testing.T, d *driver, b *pebble.Batch) error {
			return b.Delete(appendNameKey(nil, name(d, "name1"), 2), nil)
		}, []string{"index entry", "missing for the event at position 2"}},
		"extra name entry": {func(_ *testing.T, d *driver, b *pebble.Batch) error {
			return b.Set(appendNameKey(nil, name(d, "name1"), 1), nil, nil)
		}, []string{"index entry", "position 1 is another"}},
		"name entry moved": {func(_ *testing.T, d *driver, b *pebble.Batch) error {
			return errors.Join(b.Delete(appendNameKey(nil, name(d, "name1"), 2), nil), b.Set(appendNameKey(nil, name(d, "name1"), 1), nil, nil))
		}, []string{"position 1 is another", "missing for the event at position 2"}},
		"missing routing entry": {func(_ *testing.T, _ *driver, b *pebble.Batch) error {
			return b.Delete(appendRoutingKey(nil, "eu", 4), nil)
		},
			[]string{"index entry", "missing for the event at position 4"}},
		"extra routing entry": {func(_ *testing.T, d *driver, b *pebble.Batch) error {
			return b.Set(appendRoutingKey(nil, "us", 3), binary.BigEndian.AppendUint32(nil, name(d, "name0")), nil)
		}, []string{"index entry", "position 3 is another"}},
		"wrong routing entry": {func(_ *testing.T, d *driver, b *pebble.Batch) error {
			return b.Set(appendRoutingKey(nil, "eu", 4), binary.BigEndian.AppendUint32(nil, 999), nil)
		}, []string{"index entry", "position 4"}},
		"missing stream entry": {func(_ *testing.T, d *driver, b *pebble.Batch) error {
			return b.Delete(appendStreamKey(nil, agg(d), "b", 10), nil)
		}, []string{"index entry", "missing for the event at position 30"}},
		"gap in a stream": {func(_ *testing.T, d *driver, b *pebble.Batch) error {
			return b.Delete(appendStreamKey(nil, agg(d), "b", 4), nil)
		}, []string{"corrupt stream", "version 4 expected"}},
		"extra stream entry": {func(_ *testing.T, d *driver, b *pebble.Batch) error {
			var e [streamEntrySize]byte
			streamEntry{30, name(d, "name0"), 0}.put(e[:])
			return b.Set(appendStreamKey(nil, agg(d), "b", 11), e[:], nil)
		}, []string{"index entry", "position 30 is another"}},
		"short stream entry": {func(_ *testing.T, d *driver, b *pebble.Batch) error {
			return b.Set(appendStreamKey(nil, agg(d), "b", 4), []byte{1}, nil)
		}, []string{"index entry", "too short"}},
		"wrong position in a stream entry": {func(_ *testing.T, d *driver, b *pebble.Batch) error {
			var e [streamEntrySize]byte
			streamEntry{13, name(d, "name0"), 0}.put(e[:])
			return b.Set(appendStreamKey(nil, agg(d), "b", 4), e[:], nil)
		}, []string{"index entry", "position 13 is another"}},
		"id of another event": {func(t *testing.T, d *driver, b *pebble.Batch) error {
			return b.Set(appendIDKey(nil, event.NewID()), binary.BigEndian.AppendUint64(nil, 4), nil)
		}, []string{"event id", "position 4 has another"}},
		"id of no event": {func(t *testing.T, d *driver, b *pebble.Batch) error {
			return b.Set(appendIDKey(nil, event.NewID()), binary.BigEndian.AppendUint64(nil, 0), nil)
		}, []string{"event id", "position 0"}},
		"short id entry": {func(t *testing.T, d *driver, b *pebble.Batch) error {
			return b.Set(appendIDKey(nil, event.NewID()), []byte{1}, nil)
		}, []string{"event id"}},
		"missing dictionary entry": {func(_ *testing.T, d *driver, b *pebble.Batch) error {
			return b.Delete(dictKey(kindName, agg(d), "name1"), nil)
		}, []string{"dictionary entry", "name1"}},
		"wrong dictionary entry": {func(_ *testing.T, d *driver, b *pebble.Batch) error {
			return b.Set(dictKey(kindName, agg(d), "name1"), binary.BigEndian.AppendUint32(nil, 60), nil)
		}, []string{"dictionary entry", "name1", "60"}},
		"short dictionary entry": {func(_ *testing.T, d *driver, b *pebble.Batch) error {
			return b.Set(dictKey(kindName, agg(d), "name9"), []byte{1}, nil)
		}, []string{"dictionary entry", "name9"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			d := damaged(t)
			b := d.db.NewBatch()
			if err := errors.Join(c.make(t, d, b), d.db.Apply(b, pebble.Sync)); err != nil {
				t.Fatal(err)
			}
			err := d.Verify(t.Context(), nil)
			if !errors.Is(err, store.ErrCorrupt) {
				t.Fatalf("Verify: %v, want ErrCorrupt", err)
			}
			for _, say := range c.say {
				if !strings.Contains(err.Error(), say) {
					t.Errorf("Verify does not say %q:\n%v", say, err)
				}
			}
		})
	}
}

// TestVerifyListsAtMostSoManyFaults, and still ends.
func TestVerifyListsAtMostSoManyFaults(t *testing.T) {
	t.Parallel()
	d := openDriver(t, nil, quiet)
	mustAppend(t, d, "a", 500)
	for pos := range uint64(400) {
		if err := d.db.Set(logKey(pos+1), []byte("x"), pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
	err := d.Verify(t.Context(), nil)
	if n := strings.Count(err.Error(), "corrupt"); n != maxFaults {
		t.Errorf("%d faults, want %d", n, maxFaults)
	}
}

func TestVerifyTellsItsProgressAndEndsWithItsContext(t *testing.T) {
	t.Parallel()
	d := openDriver(t, nil, quiet)
	for range 15 {
		mustAppend(t, d, "a", 1000)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var done, total uint64
	if err := d.Verify(ctx, func(d, t uint64) { done, total = d, t }); err != nil {
		t.Fatal(err)
	}
	if done != 15_000 || total != 15_000 {
		t.Errorf("progress ends at %d of %d", done, total)
	}
	err := d.Verify(ctx, func(uint64, uint64) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestVerifyGoesOnBehindDamage: a block that cannot be read hides nothing that lies elsewhere,
// in the log, in an index or among the records.
func TestVerifyGoesOnBehindDamage(t *testing.T) {
	t.Parallel()
	fs := crashfs.New()
	d := reopenIn(t, fs, "db", uncached)
	rng := rand.NewChaCha8([32]byte{1})
	const rounds, each = 4, 300
	for range rounds { // each makes tables of its own
		a := appending("a", store.Any, each)
		for i := range a.Events {
			a.Events[i].Data = make([]byte, 500)
			rng.Read(a.Events[i].Data)
		}
		if _, err := d.try(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if err := d.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	logs := 0
	for name, size := range tables(t, fs) {
		if size > 100*each { // the log; its events cannot be compressed
			logs++
			flip(t, fs, name, size/3)
			flip(t, fs, name, size*2/3)
		}
	}
	if logs != rounds {
		t.Fatalf("%d tables of the log, want %d: the test shows nothing", logs, rounds)
	}
	d, err := openRaw(fs, "db", uncached)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	err = d.Verify(t.Context(), nil)
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("%v, want all faults joined", err)
	}
	found := map[int]int{} // by round
	for _, fault := range joined.Unwrap() {
		damage, ok := errors.AsType[*store.CorruptError](fault)
		var position int
		if !ok || !errors.Is(fault, store.ErrCorrupt) {
			t.Errorf("%v", fault)
		} else if _, err := fmt.Sscanf(damage.Key, "position %d", &position); err != nil {
			t.Errorf("a fault of something that is whole: %v", fault)
		}
		found[(position-1)/each]++
	}
	for round := range rounds {
		if found[round] != 2 {
			t.Errorf("%d faults in table %d of the log, want its 2: %v", found[round], round, err)
		}
	}
	if err := d.Err(); !errors.Is(err, store.ErrFailed) || !errors.Is(err, store.ErrCorrupt) || strings.Contains(err.Error(), "reopen it to go on") {
		t.Errorf("a store that met damage: %v, want ErrFailed that does not promise anything of another opening", err)
	}
}
