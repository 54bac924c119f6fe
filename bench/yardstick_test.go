package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

func setup(t *testing.T) *bench {
	t.Helper()
	c := shortConfig()
	c.events, c.time, c.pause, c.dir = minEvents, 5*time.Millisecond, time.Millisecond, t.TempDir()
	b, err := newBench(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// space is how many keys begin with a byte, and how long they and their values are.
type space struct {
	keys, keyBytes, valueBytes int
}

func spaces(t *testing.T, b *bench, dir string) map[byte]space {
	t.Helper()
	db, err := openPebble(b.settings, dir, vfs.Default, defaultCache)
	if err != nil {
		t.Fatal(err)
	}
	iter, err := db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	found := map[byte]space{}
	for iter.First(); iter.Valid(); iter.Next() {
		s := found[iter.Key()[0]]
		s.keys++
		s.keyBytes += len(iter.Key())
		s.valueBytes += len(iter.Value())
		found[iter.Key()[0]] = s
	}
	if err := errors.Join(iter.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestRawPebbleWritesTheKeysAndBytesThatTheStoreWrites(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const events = 500
	write := func(l *load, d *disk) (wal, syncs int64) {
		wal, syncs = d.wal.Load(), d.syncs.Load()
		for i := range events {
			if err := l.to.append(t.Context(), i, l.versions[i]); err != nil {
				t.Fatal(err)
			}
		}
		wal, syncs = d.wal.Load()-wal, d.syncs.Load()-syncs
		if err := l.to.close(); err != nil {
			t.Fatal(err)
		}
		return wal, syncs
	}
	ourDisk, rawDisk := newDisk(0), newDisk(0)
	ours, err := b.openLoad(t.Context(), 1, on(ourDisk))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := b.openRawLoad(1, rawDisk, pebble.Sync)
	if err != nil {
		t.Fatal(err)
	}
	ourWAL, ourSyncs := write(ours, ourDisk)
	rawWAL, rawSyncs := write(theirs, rawDisk)
	if ratio := float64(rawWAL) / float64(ourWAL); ratio < 0.98 || ratio > 1.02 {
		t.Errorf("raw Pebble wrote %d bytes into its log, the store %d", rawWAL, ourWAL)
	}
	if ourSyncs < events || rawSyncs < events || rawSyncs > ourSyncs+events/50 {
		t.Errorf("%d appends: raw Pebble synced %d times, the store %d times", events, rawSyncs, ourSyncs)
	}
	inStore, inRaw := spaces(t, b, b.dirs[0]), spaces(t, b, b.dirs[1])
	for _, prefix := range []byte("eatr") {
		if inStore[prefix] != inRaw[prefix] || inRaw[prefix].keys == 0 {
			t.Errorf("keys %q: the store has %+v, raw Pebble %+v", prefix, inStore[prefix], inRaw[prefix])
		}
	}
	if n := inRaw['e'].keys; n != len(ours.versions)+events {
		t.Errorf("%d events in the log, want %d", n, len(ours.versions)+events)
	}
}

func TestRawPebbleRunsWithTheSettingsOfTheStore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ours, err := b.openLoad(t.Context(), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := b.openRawLoad(1, vfs.Default, pebble.Sync)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(ours.to.close(), theirs.to.close()); err != nil {
		t.Fatal(err)
	}
	want, got := savedOptions(t, b.dirs[0]), savedOptions(t, b.dirs[1])
	if !bytes.Equal(got, want) {
		t.Errorf("raw Pebble has the options\n%s\nthe store has\n%s", got, want)
	}
}

// savedOptions is what Pebble wrote down about its options.
func savedOptions(t *testing.T, dir string) []byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "OPTIONS-*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no options in %s: %v", dir, err)
	}
	text, err := os.ReadFile(files[len(files)-1])
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestTheYardstickDecodesWhatTheStoreReads(t *testing.T) {
	t.Parallel()
	b := setup(t)
	f, err := b.middle(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	st, err := f.open(0)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	var want []event.Event
	for ev, err := range st.Events(t.Context(), store.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, ev)
	}
	l, err := f.openRaw(b, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	d := decoder{types: l.types}
	n := 0
	if err := l.each(func(position uint64, envelope []byte) error {
		if err := d.decode(position, envelope); err != nil {
			return err
		}
		if !sameEvent(d.event, want[n]) {
			t.Errorf("position %d: the yardstick reads %+v, the store %+v", position, d.event, want[n])
		}
		n++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if n != len(want) || n != f.events {
		t.Errorf("%d events, the store has %d", n, len(want))
	}
}

func sameEvent(a, b event.Event) bool {
	ma, _ := a.Metadata.AppendBinary(nil)
	mb, _ := b.Metadata.AppendBinary(nil)
	return a.ID == b.ID && a.Position == b.Position && a.Stream == b.Stream && a.Version == b.Version && a.Name == b.Name &&
		a.SchemaVersion == b.SchemaVersion && a.RoutingKey == b.RoutingKey && a.Time.Equal(b.Time) && bytes.Equal(ma, mb) &&
		a.ContentType == b.ContentType && bytes.Equal(a.Data, b.Data)
}

func TestDamagedEnvelopesAreErrors(t *testing.T) {
	t.Parallel()
	s := newStreams(9, 1, rareShare)[0]
	whole := appendEnvelope(nil, event.NewID(), &s, []byte(`{}`))
	fillHeader(whole, 1, 1, 0)
	var ev event.Event
	if err := decodeEnvelope(whole, 1, []event.Type{{}, eventType(0, 0)}, &ev); err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func([]byte) []byte{
		"short":          func(b []byte) []byte { return b[:headerSize-1] },
		"other format":   func(b []byte) []byte { b[0]++; return b },
		"unknown flag":   func(b []byte) []byte { b[headerFlags] |= 1 << 7; return b },
		"unknown name":   func(b []byte) []byte { b[headerName] = 1; return b },
		"cut in a field": func(b []byte) []byte { return b[:len(b)-1] },
	} {
		if err := decodeEnvelope(damage(bytes.Clone(whole)), 1, []event.Type{{}, eventType(0, 0)}, &ev); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestADiskCountsByKindOfFileAndDelaysSyncs(t *testing.T) {
	t.Parallel()
	d := newDisk(3 * time.Millisecond)
	dir := t.TempDir()
	for _, name := range []string{"1.log", "2.sst", "MANIFEST-3"} {
		f, err := d.Create(filepath.Join(dir, name), vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("12345")); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := errors.Join(f.Sync(), f.SyncData()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 6*time.Millisecond {
			t.Errorf("two syncs of %s took %s", name, took)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if d.wal.Load() != 5 || d.tables.Load() != 5 || d.other.Load() != 5 || d.written() != 15 || d.syncs.Load() != 6 {
		t.Errorf("log %d, tables %d, other %d, syncs %d", d.wal.Load(), d.tables.Load(), d.other.Load(), d.syncs.Load())
	}
}

func TestTheWorkloadHasTheSharesThatTheFiguresNeed(t *testing.T) {
	t.Parallel()
	const n = 200_000
	var count [aggregates]int
	keyed := 0
	for _, s := range newStreams(1, n, rareShare) {
		count[s.aggregate]++
		if s.routingKey != "" {
			keyed++
		}
		for v := range uint64(3) {
			if got := s.payload(v).EventType(); got != eventType(s.aggregate, name(v)) {
				t.Fatalf("payload of %s, want %s", got, eventType(s.aggregate, name(v)))
			}
		}
	}
	for what, c := range map[string]struct {
		got  int
		want float64
	}{
		"common": {count[commonAggregate], commonShare}, "some": {count[someAggregate], someShare},
		"rare": {count[rareAggregate], rareShare}, "keyed": {keyed, keyedShare},
	} {
		if got := float64(c.got) / n; got < 0.8*c.want || got > 1.2*c.want {
			t.Errorf("%s: %.4f of the streams, want %.4f", what, got, c.want)
		}
	}
}

func TestIdleSubscriptionsThatAreNotReachedAreAnError(t *testing.T) {
	t.Parallel()
	b := setup(t)
	l, err := b.openLoad(t.Context(), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.to.close()
	idle, err := startIdlers(t.Context(), l.to.(*riffle).st)
	if err != nil {
		t.Fatal(err)
	}
	idle.stop() // they go away before their event comes
	if err := idle.wake(t.Context()); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestAPeerRefusesAVersionThatTheStreamDoesNotHave(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]openPeer{"sqlite": openModernc, "bbolt": openBoltJSON, "bbolt binary": openBoltBinary} {
		p, err := open(t.Context(), t.TempDir(), newStreams(1, 2, rareShare))
		if err != nil {
			t.Fatal(name, err)
		}
		if err := p.append(t.Context(), 1, 0); err != nil {
			t.Error(name, err)
		}
		if err := p.append(t.Context(), 1, 0); err == nil {
			t.Errorf("%s: two events have the same version", name)
		}
		if err := p.append(t.Context(), 1, 1); err != nil {
			t.Error(name, err)
		}
		if n, err := p.read(t.Context()); n != 2 || err != nil {
			t.Errorf("%s: %d events, %v", name, n, err)
		}
		if err := p.close(); err != nil {
			t.Error(name, err)
		}
	}
}
