package pebblestore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/riffle-go/riffle/store"
)

const termCounterKey = "term"

// checkRecordKeys keeps the records' key spaces apart from the driver's own.
func checkRecordKeys(txn *store.Txn) error {
	check := func(key string) error {
		if key == "" || strings.IndexByte(store.RecordSpaces, key[0]) < 0 {
			return &store.InvalidError{Field: "Key", Reason: fmt.Sprintf("record key %q is outside the key spaces %q", key, store.RecordSpaces)}
		}
		return nil
	}
	var errs []error
	for _, g := range txn.Guards {
		errs = append(errs, check(g.Key))
	}
	for _, r := range txn.Puts {
		errs = append(errs, check(r.Key))
	}
	for _, k := range txn.Deletes {
		errs = append(errs, check(k))
	}
	for _, k := range txn.Fence {
		errs = append(errs, check(k))
	}
	return errors.Join(errs...)
}

// revision reads a record's revision behind everything staged.
func (g *group) revision(key string) (uint64, error) {
	if rec, ok := g.records[key]; ok {
		return rec.Revision, nil
	}
	v, closer, err := g.d.db.Get([]byte(key))
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return 0, nil
	case err != nil:
		return 0, g.d.readError("record", []byte(key), err)
	}
	defer closer.Close()
	if len(v) < 8 {
		return 0, recordError(key)
	}
	return binary.BigEndian.Uint64(v), nil
}

func recordError(key string) error {
	return &store.CorruptError{What: "record", Key: fmt.Sprintf("%q", key), Err: errShort}
}

// checkFence reads the values that the term records of a control write keep: one that
// cannot be read must not be overwritten.
func (g *group) checkFence(r *request) error {
	g.fenced = g.fenced[:0]
	for i, key := range r.txn.Fence {
		var value []byte
		if r.claims == nil || r.claims[i] == nil {
			rec, err := g.d.getRecord(key)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			value = rec.Value
		}
		g.fenced = append(g.fenced, value)
	}
	return nil
}

func (g *group) stageRecords(r *request) {
	txn := r.txn
	for i, key := range txn.Fence {
		g.term++
		var value []byte
		if r.claims != nil && r.claims[i] != nil {
			value = r.claims[i]
		} else if rec, ok := g.records[key]; ok {
			value = rec.Value
		} else {
			value = g.fenced[i]
		}
		g.putRecord(store.Record{Key: key, Value: value, Revision: g.term})
		r.terms = append(r.terms, g.term)
	}
	if len(txn.Fence) > 0 {
		g.must(g.batch.Set(metaKey(termCounterKey), binary.BigEndian.AppendUint64(nil, g.term), nil))
	}
	for _, rec := range txn.Puts {
		g.putRecord(rec)
	}
	for _, key := range txn.Deletes {
		g.must(g.batch.Delete([]byte(key), nil))
		g.note(store.Record{Key: key})
	}
}

func (g *group) putRecord(rec store.Record) {
	op := g.batch.SetDeferred(len(rec.Key), 8+len(rec.Value))
	copy(op.Key, rec.Key)
	binary.BigEndian.PutUint64(op.Value, rec.Revision)
	copy(op.Value[8:], rec.Value)
	g.must(op.Finish())
	g.note(rec)
}

func (g *group) note(rec store.Record) {
	if g.records == nil {
		g.records = map[string]store.Record{}
	}
	g.records[rec.Key] = rec
}

func (d *driver) getRecord(key string) (store.Record, error) {
	v, closer, err := d.db.Get([]byte(key))
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return store.Record{}, store.ErrNotFound
	case err != nil:
		return store.Record{}, d.readError("record", []byte(key), err)
	}
	defer closer.Close()
	if len(v) < 8 {
		return store.Record{}, recordError(key)
	}
	return store.Record{Key: key, Revision: binary.BigEndian.Uint64(v), Value: append([]byte(nil), v[8:]...)}, nil
}

// Get implements store.Driver.
func (d *driver) Get(ctx context.Context, key string) (store.Record, error) {
	if err := d.enter(ctx); err != nil {
		return store.Record{}, err
	}
	defer d.leave()
	return d.getRecord(key)
}

// List implements store.Driver.
func (d *driver) List(ctx context.Context, prefix, after string, limit int) ([]store.Record, error) {
	if err := d.enter(ctx); err != nil {
		return nil, err
	}
	defer d.leave()
	if prefix == "" || strings.IndexByte(store.RecordSpaces, prefix[0]) < 0 {
		return nil, &store.InvalidError{Field: "prefix", Reason: fmt.Sprintf("%q is outside the key spaces %q", prefix, store.RecordSpaces)}
	}
	lower := []byte(prefix)
	if after >= prefix {
		lower = append([]byte(after), 0) // the smallest key above after
	}
	iter, err := d.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: successor([]byte(prefix))})
	if err != nil {
		return nil, d.readError("record", lower, err)
	}
	var out []store.Record
	for ok := iter.First(); ok && len(out) < limit; ok = iter.Next() {
		v, err := iter.ValueAndErr()
		if err != nil {
			return nil, closing(iter, d.readError("record", iter.Key(), err))
		}
		if len(v) < 8 {
			return nil, closing(iter, recordError(string(iter.Key())))
		}
		out = append(out, store.Record{
			Key:      string(iter.Key()),
			Revision: binary.BigEndian.Uint64(v),
			Value:    append([]byte(nil), v[8:]...),
		})
	}
	if err := iter.Close(); err != nil {
		return nil, d.readError("record", lower, err)
	}
	return out, nil
}
