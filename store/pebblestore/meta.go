package pebblestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/cockroachdb/pebble/v2"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// layoutVersion is the version of keys and values; upgrades lead to it step by step.
const layoutVersion = 2

// The names of the meta keys.
const (
	metaLayout  = "layout"
	metaHistory = "history"
	metaDirty   = "dirty"  // there while a store with Sync off is open
	metaLimits  = "limits" // the largest limits the store was ever written with
)

// upgrades lead from a layout version to the next. Each stages its changes in the batch
// that also writes the new version, so that a crash leaves the old layout or the new one.
var upgrades = map[uint64]func(d *driver, b *pebble.Batch) error{
	// Layout 1 did not say within which limits it was written. Every program of that time had
	// the limits of today.
	1: func(_ *driver, b *pebble.Batch) error { return b.Set(metaKey(metaLimits), encodeLimits(limits()), nil) },
}

// load reads what the driver keeps in memory, creates a new store, upgrades an old one
// and refuses a newer one.
func (d *driver) load() error {
	layout, err := d.getMeta(metaLayout)
	if err != nil {
		return err
	}
	switch {
	case layout == nil && d.opts.ReadOnly:
		return fmt.Errorf("no store here: %w", os.ErrNotExist)
	case layout == nil:
		if err := d.mustBeEmpty(); err != nil {
			return err
		}
		if err := d.create(); err != nil {
			return err
		}
	default:
		if err := d.upgrade(binary.BigEndian.Uint64(pad8(layout))); err != nil {
			return err
		}
	}
	if err := d.loadHistory(); err != nil {
		return err
	}
	term, err := d.getMeta(termCounterKey)
	if err != nil {
		return err
	}
	d.term = binary.BigEndian.Uint64(pad8(term))
	dict, err := loadDictionary(d.db)
	if err != nil {
		return err
	}
	d.dict.Store(dict)
	head, err := d.readHead(d.db)
	if err != nil {
		return err
	}
	d.head.Store(&head)
	d.versions = newVersionCache(d.opts.versionCacheSize, head.position)
	return nil
}

// mustBeEmpty refuses the database of another program, whose keys could look like ours, and
// ours like its.
func (d *driver) mustBeEmpty() error {
	iter, err := d.db.NewIter(nil)
	if err != nil {
		return err
	}
	if !iter.First() {
		return iter.Close()
	}
	key := string(iter.Key())
	if err := iter.Close(); err != nil {
		return err
	}
	return fmt.Errorf("%w: the directory holds a Pebble database that is no store, with a key %q; name a directory of its own for the store", store.ErrIncompatible, key)
}

func (d *driver) create() error {
	b := d.db.NewBatch()
	defer b.Close()
	if err := errors.Join(
		b.Set(metaKey(metaLayout), binary.BigEndian.AppendUint64(nil, layoutVersion), nil),
		b.Set(metaKey(metaLimits), encodeLimits(limits()), nil),
		putHistory(b, event.NewID()),
	); err != nil {
		return err
	}
	d.layout = layoutVersion
	return d.db.Apply(b, pebble.Sync)
}

func (d *driver) upgrade(from uint64) error {
	switch {
	case from > layoutVersion:
		return fmt.Errorf("%w: layout version %d, this program knows %d; use the newer version that wrote it", store.ErrIncompatible, from, layoutVersion)
	case from == 0:
		return &store.CorruptError{What: "meta record", Key: metaLayout, Err: errShort}
	case d.opts.ReadOnly && from < layoutVersion:
		return fmt.Errorf("%w: layout version %d is older than %d and open for reading only; open it once for writing to upgrade it", store.ErrIncompatible, from, layoutVersion)
	}
	for v := from; v < layoutVersion; v++ {
		b := d.db.NewBatch()
		step, ok := upgrades[v]
		if !ok {
			return fmt.Errorf("%w: no upgrade from layout version %d", store.ErrIncompatible, v)
		}
		err := errors.Join(step(d, b), b.Set(metaKey(metaLayout), binary.BigEndian.AppendUint64(nil, v+1), nil))
		if err == nil {
			err = d.db.Apply(b, pebble.Sync)
		}
		if err = errors.Join(err, b.Close()); err != nil {
			return fmt.Errorf("upgrade from layout version %d: %w", v, err)
		}
		d.opts.Store.Logger.Info("store upgraded", "store", d.opts.Store.Name, "from", v, "to", v+1)
	}
	d.layout = layoutVersion
	return nil
}

// loadHistory reads the History id and rotates it where positions may have come to mean
// other events: in a restored backup, and after a crash with Sync off.
func (d *driver) loadHistory() error {
	v, err := d.getMeta(metaHistory)
	if err != nil {
		return err
	}
	if len(v) != len(d.history) {
		return &store.CorruptError{What: "meta record", Key: metaHistory, Err: errShort}
	}
	d.history = event.ID(v)
	if d.opts.ReadOnly {
		return nil
	}
	dirty, err := d.getMeta(metaDirty)
	if err != nil {
		return err
	}
	backup, err := d.hasBackupMarker()
	if err != nil {
		return err
	}
	b := d.db.NewBatch()
	defer b.Close()
	if dirty != nil || backup {
		old := d.history
		d.history = event.NewID()
		if err := errors.Join(putHistory(b, d.history), b.Delete(metaKey(metaDirty), nil)); err != nil {
			return err
		}
		d.opts.Store.Logger.Warn("store has a new history: cursors and checkpoints kept elsewhere are refused",
			"store", d.opts.Store.Name, "old", old, "new", d.history, "backup", backup)
	}
	if d.opts.Sync == SyncOff {
		if err := b.Set(metaKey(metaDirty), []byte{1}, nil); err != nil {
			return err
		}
	}
	if b.Empty() {
		return nil
	}
	if err := d.db.Apply(b, pebble.Sync); err != nil {
		return err
	}
	if backup {
		return d.removeBackupMarker()
	}
	return nil
}

// clearDirty ends a session with Sync off: everything is durable now.
func (d *driver) clearDirty() error {
	return d.db.Delete(metaKey(metaDirty), pebble.Sync)
}

func putHistory(b *pebble.Batch, id event.ID) error {
	return b.Set(metaKey(metaHistory), id[:], nil)
}

func (d *driver) getMeta(name string) ([]byte, error) {
	v, closer, err := d.db.Get(metaKey(name))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, d.readError("meta record", metaKey(name), err)
	}
	defer closer.Close()
	return append([]byte{}, v...), nil
}

// readHead finds the last event of the log.
func (d *driver) readHead(r pebble.Reader) (headState, error) {
	iter, err := r.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceLog}, UpperBound: []byte{spaceLog + 1}})
	if err != nil {
		return headState{}, err
	}
	var h headState
	if iter.Last() {
		v, err := iter.ValueAndErr()
		if err != nil {
			return h, closing(iter, err)
		}
		pos, ok := logKeyPosition(iter.Key())
		if err := checkHeader(v); err != nil || !ok {
			return h, closing(iter, envelopeError(pos, err))
		}
		h = headState{pos, envelopeMillis(v)}
	}
	return h, iter.Close()
}

func encodeLimits(l store.Limits) []byte {
	var b []byte
	for _, n := range []int{l.EventBytes, l.AppendEvents, l.AppendBytes, l.StateBytes, l.CommitItems, l.CommitBytes, l.KeyBytes} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return b
}

// pad8 makes a missing number 0.
func pad8(b []byte) []byte {
	if len(b) != 8 {
		return make([]byte, 8)
	}
	return b
}
