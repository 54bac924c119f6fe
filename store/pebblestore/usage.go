package pebblestore

import (
	"context"
	"fmt"

	"github.com/riffle-go/riffle/store"
)

// spaces are the key spaces and what they hold, the largest first in a usual store.
var spaces = []struct {
	prefix byte
	what   string
}{
	{'e', "log of events"},
	{'a', "streams"},
	{'t', "events by name"},
	{'r', "events by routing key"},
	{'u', "event ids kept by Once"},
	{'n', "states of models"},
	{'f', "snapshots"},
	{'p', "events set aside"},
	{'s', "subscriptions"},
	{'j', "projections"},
	{'d', "dictionary"},
	{'m', "meta"},
}

// Usage implements store.Surveyor. Pebble's answer can wait for a slow fsync, and for ever
// when the disk has failed.
func (d *driver) Usage(ctx context.Context) (store.Usage, error) {
	if d.failed() {
		return store.Usage{}, d.failure()
	}
	if err := d.enter(ctx); err != nil {
		return store.Usage{}, err
	}
	defer d.leave()
	type answer struct {
		usage store.Usage
		err   error
	}
	done := make(chan answer, 1)
	go func() {
		u, err := d.usage()
		done <- answer{u, err}
	}()
	select {
	case a := <-done:
		return a.usage, a.err
	case <-d.fuse.Failed(): // the goroutine may never end now
		return store.Usage{}, d.failure()
	}
}

func (d *driver) usage() (store.Usage, error) {
	m := d.db.Metrics()
	stalls, _ := d.stalls.read()
	u := store.Usage{
		Total: int64(m.DiskSpaceUsage()), WAL: int64(m.WAL.Size), CompactionDebt: int64(m.Compact.EstimatedDebt),
		ReadAmplification: int64(m.ReadAmp()), WriteStalls: stalls,
	}
	if disk, err := d.fuse.GetDiskUsage(d.dir); err == nil { // in memory nobody knows
		u.Free = int64(disk.AvailBytes)
	}
	for i, l := range m.Levels {
		u.Tables += l.TablesSize
		u.Levels = append(u.Levels, store.LevelUsage{Level: i, Tables: l.TablesCount, Bytes: l.TablesSize})
	}
	for _, s := range spaces {
		bytes, err := d.db.EstimateDiskUsage([]byte{s.prefix}, []byte{s.prefix + 1})
		if err != nil {
			return store.Usage{}, fmt.Errorf("pebblestore: size of key space %c: %w", s.prefix, err)
		}
		u.Spaces = append(u.Spaces, store.SpaceUsage{Space: string(s.prefix), What: s.what, Bytes: int64(bytes)})
	}
	return u, nil
}
