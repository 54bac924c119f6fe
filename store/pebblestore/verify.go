package pebblestore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"

	"github.com/cockroachdb/pebble/v2"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// maxFaults bounds how many faults Verify lists; one bad disk can make thousands.
const maxFaults = 20

// verification checks a store, one key space after the other, up to a head: nothing below
// it changes any more, so it needs no snapshot, which a failed Pebble could not give.
// What the log says about its indexes and what the indexes hold are compared as sums of
// hashes, which needs one pass over each and no memory per event; only where they differ
// are entries looked up.
type verification struct {
	d        *driver
	db       pebble.Reader
	dict     *dictionary
	head     uint64
	progress func(done, total uint64)
	seed     maphash.Seed
	expected map[byte]*tally
	faults   []error
	lost     []gap               // of the log, in order
	told     map[string]struct{} // files whose damage is among the faults
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
// runs beside appends and reads, up to the head at its start, and on a failed store too.
// progress, which may be nil, is called now and then with the events checked and to check.
//
// A block that cannot be read is a fault, and ends writing as any damage does. The check
// goes on with the first event of the log that can be read again, in an index behind the
// table of the block; entries of lost events are not compared with the log, and neither is
// an index that has a damaged block itself. Whatever ends the check early is joined to the
// faults found so far.
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
		told:     map[string]struct{}{},
	}
	err := v.run(ctx)
	if errors.Is(err, errEnough) {
		err = nil
	}
	return errors.Join(append(v.faults, err)...)
}

func (v *verification) run(ctx context.Context) error {
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
	return v.dictionary()
}

// errEnough ends a check whose list of faults is full.
var errEnough = errors.New("enough faults")

// fault notes damage; its error is errEnough when there is no room for more.
func (v *verification) fault(what, key string, err error) error {
	if !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, store.ErrIncompatible) { // those say where
		err = &store.CorruptError{What: what, Key: key, Err: err}
	}
	if v.faults = append(v.faults, err); len(v.faults) >= maxFaults {
		return errEnough
	}
	return nil
}

// entryFault is a fault of an index entry.
func (v *verification) entryFault(key []byte, err error) error {
	return v.fault("index entry", v.dict.place(key), err)
}

// log checks the events and sums up what the indexes have to say.
func (v *verification) log(ctx context.Context) error {
	var next uint64 = 1
	var millis int64
	skipped := func(behind uint64) { next = behind }
	err := v.events(ctx, skipped, func(key, value []byte) error {
		pos, ok := logKeyPosition(key)
		where := "position " + event.Position(pos).String()
		if !ok {
			return v.fault("log", v.dict.place(key), fmt.Errorf("position %d expected", next))
		}
		if pos != next {
			if err := v.fault("log", where, fmt.Errorf("position %d expected", next)); err != nil {
				return err
			}
		}
		next = pos + 1
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
		return nil
	})
	if err != nil {
		return err
	}
	v.progress(v.head, v.head)
	if next != v.head+1 {
		return v.fault("log", "position "+event.Position(next).String(), fmt.Errorf("the log ends before its head %d", v.head))
	}
	return nil
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
	whole, resumed := true, false
	skipped := func() { whole, resumed = false, true }
	err := v.each(ctx, space, skipped, func(key, value []byte) error {
		pos := lastUint64(key)
		if space == spaceStream {
			e, ok := parseStreamEntry(value)
			if !ok || len(key) < 8 {
				return v.entryFault(key, errShort)
			}
			if pos = e.position; pos > v.head {
				return nil
			}
			if same := bytes.Equal(prefix, key[:len(key)-8]); !same || resumed {
				prefix, version = append(prefix[:0], key[:len(key)-8]...), 0
				if resumed { // how much of the stream was passed over, nobody knows
					version = lastUint64(key) - 1
				}
			}
			resumed = false
			if version++; lastUint64(key) != version {
				return v.fault("stream", v.dict.place(key), fmt.Errorf("version %d expected", version))
			}
		}
		if pos <= v.head && !v.isLost(pos) {
			v.add(space, key, value)
		}
		return nil
	})
	if err != nil || !whole || *v.expected[space] == want {
		return err
	}
	return v.locate(ctx, space)
}

// locate names the entries that differ: those missing, by walking the log, and those too
// many, by walking the index.
func (v *verification) locate(ctx context.Context, space byte) error {
	before := len(v.faults)
	err := v.each(ctx, space, func() {}, func(key, value []byte) error {
		pos := lastUint64(key)
		if e, ok := parseStreamEntry(value); space == spaceStream && ok {
			pos = e.position
		}
		if pos > v.head {
			return nil
		}
		envelope, err := v.get(logKey(pos))
		switch {
		case errors.Is(err, pebble.ErrNotFound):
			return v.entryFault(key, fmt.Errorf("there is no event at position %d", pos))
		case err != nil:
			return unlessTold(err)
		case !v.asks(space, key, value, pos, envelope):
			return v.entryFault(key, fmt.Errorf("the event at position %d is another", pos))
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = v.events(ctx, func(uint64) {}, func(key, value []byte) error {
		pos, _ := logKeyPosition(key)
		for _, e := range v.entries(pos, value) {
			if e.space != space {
				continue
			}
			got, err := v.get(e.key)
			switch {
			case errors.Is(err, pebble.ErrNotFound):
				return v.entryFault(e.key, fmt.Errorf("missing for the event at position %d", pos))
			case err != nil:
				return unlessTold(err)
			case !bytes.Equal(got, e.value):
				return v.entryFault(e.key, fmt.Errorf("says another thing than the event at position %d", pos))
			}
		}
		return nil
	})
	if err == nil && len(v.faults) == before {
		return v.fault("index", spaceTitles[space], errors.New("differs from the log"))
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

// asks says whether an event asks for an index entry.
func (v *verification) asks(space byte, key, value []byte, pos uint64, envelope []byte) bool {
	for _, e := range v.entries(pos, envelope) {
		if e.space == space && bytes.Equal(e.key, key) && bytes.Equal(e.value, value) {
			return true
		}
	}
	return false
}

// ids checks that every kept event id is the id of the event it points to.
func (v *verification) ids(ctx context.Context) error {
	return v.each(ctx, spaceID, func() {}, func(key, value []byte) error {
		pos := lastUint64(value)
		if pos > v.head || v.isLost(pos) {
			return nil
		}
		envelope, err := v.get(logKey(pos))
		if errors.Is(err, pebble.ErrNotFound) {
			return v.fault("event id", v.dict.place(key), fmt.Errorf("there is no event at position %d", pos))
		}
		if err != nil {
			return unlessTold(err)
		}
		var ev event.Event
		if err := decodeEnvelope(envelope, pos, v.dict, &ev); err != nil || !bytes.Equal(ev.ID[:], key[1:]) {
			return v.fault("event id", v.dict.place(key), fmt.Errorf("the event at position %d has another", pos))
		}
		return nil
	})
}

// dictionary checks that what is on disk is what is in memory.
func (v *verification) dictionary() error {
	disk, err := loadDictionary(v.db)
	switch {
	case pebble.IsCorruptionError(err):
		return v.fault("dictionary", spaceTitles[spaceDict], plainDamage(err))
	case errors.Is(err, store.ErrCorrupt) || errors.Is(err, store.ErrIncompatible):
		return v.fault("dictionary", spaceTitles[spaceDict], err)
	case err != nil:
		return v.d.readError("dictionary", []byte{spaceDict}, err)
	}
	for t, id := range v.dict.names {
		if got, ok := disk.names[t]; !ok || got != id {
			if err := v.fault("dictionary entry", t.String(), fmt.Errorf("id %d in memory, %d on disk", id, got)); err != nil {
				return err
			}
		}
	}
	return nil
}
