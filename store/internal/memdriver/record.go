package memdriver

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/riffle-go/riffle/store"
)

// Get returns one record.
func (d *Driver) Get(ctx context.Context, key string) (store.Record, error) {
	if err := d.enter(ctx); err != nil {
		return store.Record{}, err
	}
	defer d.leave()
	d.mu.Lock()
	defer d.mu.Unlock()
	r, ok := d.state.records[key]
	if !ok {
		return store.Record{}, store.ErrNotFound
	}
	return d.give(r), nil
}

// List sorts all keys on each call.
func (d *Driver) List(ctx context.Context, prefix, after string, limit int) ([]store.Record, error) {
	if err := d.enter(ctx); err != nil {
		return nil, err
	}
	defer d.leave()
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []store.Record
	for _, key := range d.sorted(slices.Sorted(maps.Keys(d.state.records))) {
		if len(out) == limit {
			break
		}
		if strings.HasPrefix(key, prefix) && d.behind(key, after) {
			out = append(out, d.give(d.state.records[key]))
		}
	}
	return out, nil
}

// give makes a record the caller's own.
func (d *Driver) give(r store.Record) store.Record {
	if !d.breaks(SharesItsRecords) {
		r.Value = bytes.Clone(r.Value)
	}
	return r
}
