package admin

import (
	"context"
	"errors"
	"time"

	"github.com/riffle-go/riffle/store"
)

// Disk is what a store takes on disk, in bytes. A number that is not known is left 0.
type Disk struct {
	Total             int64       `json:"total"`                        // all files
	Free              int64       `json:"free,omitempty"`               // of the file system
	Tables            int64       `json:"tables,omitempty"`             // sorted tables
	WAL               int64       `json:"wal,omitempty"`                // log of what is not yet in tables
	CompactionDebt    int64       `json:"compaction_debt"`              // to be compacted until the tree is in shape
	ReadAmplification int64       `json:"read_amplification,omitempty"` // places that a lookup may visit
	WriteStalls       int64       `json:"write_stalls"`                 // since the store was opened
	Levels            []DiskLevel `json:"levels,omitempty"`
	Spaces            []DiskSpace `json:"spaces,omitempty"`
	_                 struct{}
}

// DiskLevel is a level of the tree of tables.
type DiskLevel struct {
	Level  int   `json:"level"`
	Tables int64 `json:"tables"`
	Bytes  int64 `json:"bytes"`
	_      struct{}
}

// DiskSpace is what one kind of keys takes in tables.
type DiskSpace struct {
	Space string `json:"space"` // short name, such as "e"
	What  string `json:"what"`  // what it holds, for people
	Bytes int64  `json:"bytes"`
	_     struct{}
}

const (
	// diskFor is how old numbers of the disk may be.
	diskFor = 5 * time.Second
	// diskWithin is how long a request waits for them at most: it has other things to show.
	diskWithin = 2 * time.Second
)

// diskCache asks Options.Disk now and then. Its owner uses it from one goroutine at a time.
type diskCache struct {
	ask    func(context.Context) (Disk, error)
	within time.Duration // that a request waits
	at     time.Time
	disk   *Disk
	err    error
}

// now returns the numbers of a moment ago, nil when nobody knows them.
func (c *diskCache) now(ctx context.Context) (*Disk, error) {
	if c.ask == nil || !c.at.IsZero() && time.Since(c.at) < diskFor {
		return c.disk, c.err
	}
	within, cancel := context.WithTimeout(ctx, c.within)
	defer cancel()
	d, err := c.ask(within)
	if err != nil && ctx.Err() != nil {
		return nil, err // the request ended, which tells nothing about the disk
	}
	c.at, c.disk = time.Now(), nil
	if errors.Is(err, store.ErrUnsupported) {
		err = nil
	} else if err == nil {
		c.disk = &d
	}
	c.err = err
	return c.disk, c.err
}

// diskOf asks the store itself.
func diskOf(st *store.Store) func(context.Context) (Disk, error) {
	return func(ctx context.Context) (Disk, error) {
		u, err := st.Usage(ctx)
		if err != nil {
			return Disk{}, err
		}
		d := Disk{
			Total: u.Total, Free: u.Free, Tables: u.Tables, WAL: u.WAL, CompactionDebt: u.CompactionDebt,
			ReadAmplification: u.ReadAmplification, WriteStalls: u.WriteStalls,
		}
		for _, l := range u.Levels {
			d.Levels = append(d.Levels, DiskLevel{Level: l.Level, Tables: l.Tables, Bytes: l.Bytes})
		}
		for _, s := range u.Spaces {
			d.Spaces = append(d.Spaces, DiskSpace{Space: s.Space, What: s.What, Bytes: s.Bytes})
		}
		return d, nil
	}
}
