package pebblestore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"runtime"

	"github.com/cockroachdb/pebble/v2"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// maxFaults bounds how many faults Verify lists; one bad block can make thousands.
const maxFaults = 20

// verification checks a store under one iterator per key space, up to a head: nothing
// below it changes any more, so it needs no snapshot, which a failed Pebble could not give.
// What the log says about
// its indexes and what the indexes hold are compared as sums of hashes, which needs one
// pass over each and no memory per event; only where they differ are entries looked up.
type verification struct {
	d        *driver
	db       pebble.Reader
	dict     *dictionary
	head     uint64
	progress func(done, total uint64)
	seed     maphash.Seed
	expected map[byte]*tally
	faults   []error
	scratch  []byte
}

// tally is an order-free summary of a set of entries.
type tally struct {
	count, sum uint64
}

func (v *verification) add(space byte, key, value []byte) {
	var h maphash.Hash
	h.SetSeed(v.seed)
	_, _ = h.Write(key)
	_, _ = h.Write(value)
	t := v.expected[space]
	t.count++
	t.sum += h.Sum64()
}

// Verify implements store.Maintainer: positions and versions are dense, times do not
// fall, every envelope can be decoded, and the indexes say exactly what the log says. It
// runs beside appends and reads, up to the head at its start, and on a failed store too. progress, which may be nil,
// is called now and then with the events checked and to check.
func (d *driver) Verify(ctx context.Context, progress func(done, total uint64)) error {
	if err := d.enter(ctx); err != nil {
		return err
	}
	defer d.leave()
	if progress == nil {
		progress = func(uint64, uint64) {}
	}
	v := &verification{
		d: d, head: d.head.Load().position, dict: d.dict.Load(), progress: progress,
		seed: maphash.MakeSeed(), db: d.db,
		expected: map[byte]*tally{spaceStream: {}, spaceName: {}, spaceRouting: {}},
	}
	if err := v.log(ctx); err != nil {
		return err
	}
	for _, space := range []byte{spaceStream, spaceName, spaceRouting} {
		if err := v.index(ctx, space); err != nil {
			return err
		}
	}
	if err := v.ids(ctx); err != nil {
		return err
	}
	if err := v.dictionary(); err != nil {
		return err
	}
	return errors.Join(v.faults...)
}

func (v *verification) fault(what, key string, err error) bool {
	if !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, store.ErrIncompatible) { // those say where
		err = &store.CorruptError{What: what, Key: key, Err: err}
	}
	v.faults = append(v.faults, err)
	return len(v.faults) < maxFaults
}

// each walks a key space; f returns false to stop.
func (v *verification) each(ctx context.Context, space byte, f func(key, value []byte) bool) error {
	iter, err := v.db.NewIter(&pebble.IterOptions{LowerBound: []byte{space}, UpperBound: []byte{space + 1}})
	if err != nil {
		return v.d.readError("block", []byte{space}, err)
	}
	n := 0
	for ok := iter.First(); ok; ok = iter.Next() {
		if n++; n%yieldEvery == 0 {
			runtime.Gosched()
			if ctx.Err() != nil {
				return closing(iter, context.Cause(ctx))
			}
		}
		value, err := iter.ValueAndErr()
		if err != nil {
			return closing(iter, v.d.readError("block", iter.Key(), err))
		}
		if !f(iter.Key(), value) {
			break
		}
	}
	if err := iter.Close(); err != nil {
		return v.d.readError("block", []byte{space}, err)
	}
	return nil
}

// log checks the events and sums up what the indexes have to say.
func (v *verification) log(ctx context.Context) error {
	var next uint64 = 1
	var millis int64
	err := v.each(ctx, spaceLog, func(key, value []byte) bool {
		pos, ok := logKeyPosition(key)
		if pos > v.head {
			return false
		}
		where := "position " + event.Position(pos).String()
		if !ok || pos != next {
			return v.fault("log", where, fmt.Errorf("position %d expected", next))
		}
		next++
		if pos%10_000 == 0 {
			v.progress(pos, v.head)
		}
		var ev event.Event
		if err := decodeEnvelope(value, pos, v.dict, &ev); err != nil {
			return v.fault("event", where, err)
		}
		if err := ev.Metadata.Err(); err != nil {
			return v.fault("event", where, err)
		}
		if ms := envelopeMillis(value); ms < millis {
			return v.fault("event", where, errors.New("its time is before that of the event before it"))
		} else {
			millis = ms
		}
		v.expect(pos, value, &ev)
		return true
	})
	if err == nil && len(v.faults) == 0 && next != v.head+1 {
		v.fault("log", "position "+event.Position(next).String(), fmt.Errorf("the log ends before its head %d", v.head))
	}
	v.progress(v.head, v.head)
	return err
}

func (v *verification) expect(pos uint64, envelope []byte, ev *event.Event) {
	name := envelopeName(envelope)
	var entry [streamEntrySize]byte
	streamEntry{pos, name, envelope[offFlags]}.put(entry[:])
	aggregate := v.dict.aggregates[ev.Stream.Aggregate]
	v.scratch = appendStreamKey(v.scratch[:0], aggregate, ev.Stream.ID, ev.Version)
	v.add(spaceStream, v.scratch, entry[:])
	v.scratch = appendNameKey(v.scratch[:0], name, pos)
	v.add(spaceName, v.scratch, nil)
	if ev.RoutingKey != "" {
		var id [4]byte
		binary.BigEndian.PutUint32(id[:], name)
		v.scratch = appendRoutingKey(v.scratch[:0], ev.RoutingKey, pos)
		v.add(spaceRouting, v.scratch, id[:])
	}
}

// index compares an index with what the log said, and checks that versions are dense.
func (v *verification) index(ctx context.Context, space byte) error {
	want := *v.expected[space]
	*v.expected[space] = tally{}
	var prefix []byte
	var version uint64
	err := v.each(ctx, space, func(key, value []byte) bool {
		pos := lastUint64(key)
		if space == spaceStream {
			e, ok := parseStreamEntry(value)
			if !ok || len(key) < 8 {
				return v.fault("index entry", fmt.Sprintf("%q", key), errShort)
			}
			if pos = e.position; pos > v.head {
				return true
			}
			if !bytes.Equal(prefix, key[:len(key)-8]) {
				prefix, version = append(prefix[:0], key[:len(key)-8]...), 0
			}
			if version++; lastUint64(key) != version {
				return v.fault("stream", fmt.Sprintf("%q", key), fmt.Errorf("version %d expected", version))
			}
		}
		if pos <= v.head {
			v.add(space, key, value)
		}
		return true
	})
	if err != nil || *v.expected[space] == want || len(v.faults) >= maxFaults {
		return err
	}
	return v.locate(ctx, space)
}

// locate names the entries that differ: those missing, by walking the log, and those too
// many, by walking the index.
func (v *verification) locate(ctx context.Context, space byte) error {
	before := len(v.faults)
	err := v.each(ctx, space, func(key, value []byte) bool {
		pos := lastUint64(key)
		if e, ok := parseStreamEntry(value); space == spaceStream && ok {
			pos = e.position
		}
		if pos > v.head {
			return true
		}
		if !v.holds(space, key, value, pos) {
			return v.fault("index entry", fmt.Sprintf("%q", key), fmt.Errorf("the event at position %d is another", pos))
		}
		return true
	})
	if err != nil || len(v.faults) >= maxFaults {
		return err
	}
	err = v.each(ctx, spaceLog, func(key, value []byte) bool {
		pos, _ := logKeyPosition(key)
		if pos > v.head {
			return false
		}
		for _, e := range v.entries(pos, value) {
			if e.space != space {
				continue
			}
			got, closer, err := v.db.Get(e.key)
			if err != nil {
				return v.fault("index entry", fmt.Sprintf("%q", e.key), fmt.Errorf("missing for the event at position %d: %w", pos, err))
			}
			same := bytes.Equal(got, e.value)
			closer.Close()
			if !same {
				return v.fault("index entry", fmt.Sprintf("%q", e.key), fmt.Errorf("says another thing than the event at position %d", pos))
			}
		}
		return true
	})
	if err == nil && len(v.faults) == before {
		v.fault("index", string(space), errors.New("differs from the log"))
	}
	return err
}

type indexEntry struct {
	space      byte
	key, value []byte
}

// entries are the index entries of an event.
func (v *verification) entries(pos uint64, envelope []byte) []indexEntry {
	var ev event.Event
	if decodeEnvelope(envelope, pos, v.dict, &ev) != nil {
		return nil
	}
	name := envelopeName(envelope)
	entry := make([]byte, streamEntrySize)
	streamEntry{pos, name, envelope[offFlags]}.put(entry)
	out := []indexEntry{
		{spaceStream, appendStreamKey(nil, v.dict.aggregates[ev.Stream.Aggregate], ev.Stream.ID, ev.Version), entry},
		{spaceName, appendNameKey(nil, name, pos), nil},
	}
	if ev.RoutingKey != "" {
		out = append(out, indexEntry{spaceRouting, appendRoutingKey(nil, ev.RoutingKey, pos), binary.BigEndian.AppendUint32(nil, name)})
	}
	return out
}

// holds says whether the event at a position asks for an index entry.
func (v *verification) holds(space byte, key, value []byte, pos uint64) bool {
	envelope, closer, err := v.db.Get(logKey(pos))
	if err != nil {
		return false
	}
	defer closer.Close()
	for _, e := range v.entries(pos, envelope) {
		if e.space == space && bytes.Equal(e.key, key) && bytes.Equal(e.value, value) {
			return true
		}
	}
	return false
}

// ids checks that every kept event id is the id of the event it points to.
func (v *verification) ids(ctx context.Context) error {
	return v.each(ctx, spaceID, func(key, value []byte) bool {
		pos := lastUint64(value)
		if pos > v.head {
			return true
		}
		envelope, closer, err := v.db.Get(logKey(pos))
		if err != nil {
			return v.fault("event id", fmt.Sprintf("%x", key[1:]), fmt.Errorf("position %d: %w", pos, err))
		}
		defer closer.Close()
		var ev event.Event
		if err := decodeEnvelope(envelope, pos, v.dict, &ev); err != nil || !bytes.Equal(ev.ID[:], key[1:]) {
			return v.fault("event id", fmt.Sprintf("%x", key[1:]), fmt.Errorf("the event at position %d has another", pos))
		}
		return true
	})
}

// dictionary checks that what is on disk is what is in memory.
func (v *verification) dictionary() error {
	disk, err := loadDictionary(v.db)
	if err != nil {
		return err
	}
	for t, id := range v.dict.names {
		if got, ok := disk.names[t]; !ok || got != id {
			v.fault("dictionary entry", t.String(), fmt.Errorf("id %d in memory, %d on disk", id, got))
		}
	}
	return nil
}
