package pebblestore

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/store"
)

// Options are the optional settings of an embedded store. They are copied; later changes
// of the value have no effect.
type Options struct {
	// Store holds the settings that every store has: name, schema, logger, telemetry, limits.
	Store store.Options

	// CacheSize is the memory for Pebble's block cache and memtables in bytes, the main setting
	// for reads. Default 256 MiB; at least 8 MiB. Without cgo the cache fills 72 % of it, because
	// the Go allocator rounds its blocks up.
	CacheSize int64

	// Sync says when events are durable. Default SyncAlways.
	Sync SyncMode

	// ReadOnly opens the store for reading: nothing is written, upgraded or cleaned up.
	ReadOnly bool

	// FS is the file system; tests give another one. Default: the operating system's.
	FS vfs.FS

	// FreeSpace is the free disk space, in bytes, below which appends and commits answer
	// ErrDiskFull. Default 256 MiB, or two memtables if that is more. NoFreeSpaceCheck turns the
	// check off.
	FreeSpace int64

	// Tune changes Pebble's options before it opens, for what an operator must set. The key
	// layout, the format version, the file system, the logger and the event listener stay the
	// store's.
	Tune func(*pebble.Options)

	// for tests; the zero values are the defaults
	versionCacheSize int
	clock            func() time.Time
	abandonTimeout   time.Duration
	_                struct{}
}

// SyncMode says when an append is durable.
type SyncMode int

// The sync modes.
const (
	// SyncAlways: an append returns, and its events are visible, when they are on disk.
	SyncAlways SyncMode = iota
	// SyncOff: the operating system writes when it likes, for bulk loads and throw-away stores.
	// A crash may lose events that readers have seen; the promises about durability do not
	// hold. A store that was not closed cleanly gets a new History when it is opened again, so
	// that checkpoints elsewhere are not trusted.
	SyncOff
)

// NoFreeSpaceCheck as Options.FreeSpace turns the check for free disk space off.
const NoFreeSpaceCheck = -1

const (
	defaultCacheSize    = 256 << 20
	minCacheSize        = 8 << 20
	defaultFreeSpace    = 256 << 20
	defaultMemTableSize = 64 << 20
	defaultVersionCache = 65_536
)

// formatMajorVersion is Pebble's own format; it is raised only with a layout version.
const formatMajorVersion = pebble.FormatValueSeparation

func (o *Options) withDefaults() Options {
	var c Options
	if o != nil {
		c = *o
	}
	if c.CacheSize == 0 {
		c.CacheSize = defaultCacheSize
	}
	if c.FS == nil {
		c.FS = vfs.Default
	}
	if c.versionCacheSize == 0 {
		c.versionCacheSize = defaultVersionCache
	}
	if c.clock == nil {
		c.clock = time.Now
	}
	if c.abandonTimeout == 0 {
		c.abandonTimeout = defaultAbandonTimeout
	}
	if c.Store.Logger == nil {
		c.Store.Logger = slog.Default()
	}
	if c.Store.Name == "" {
		c.Store.Name = "riffle"
	}
	return c
}

func (o *Options) validate() error {
	var faults []error
	if o.CacheSize < minCacheSize {
		faults = append(faults, &store.InvalidError{Field: "CacheSize", Reason: fmt.Sprintf("%d bytes; it must be at least %d", o.CacheSize, minCacheSize)})
	}
	if o.Sync != SyncAlways && o.Sync != SyncOff {
		faults = append(faults, &store.InvalidError{Field: "Sync", Reason: "use SyncAlways or SyncOff"})
	}
	if o.FreeSpace < NoFreeSpaceCheck {
		faults = append(faults, &store.InvalidError{Field: "FreeSpace", Reason: "negative; use NoFreeSpaceCheck to turn the check off"})
	}
	return errors.Join(append(faults, o.Store.Validate(limits()))...)
}

// pebbleOptions are the settings chosen by measurement; docs/benchmarks.md has the
// figures. Tune runs before what must not be changed is set.
func (o *Options) pebbleOptions(cache *pebble.Cache) *pebble.Options {
	p := &pebble.Options{
		MemTableSize:                defaultMemTableSize,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       1000,
		LBaseMaxBytes:               64 << 20,
		FlushSplitBytes:             2 << 20,
		MaxOpenFiles:                4096,
		CompactionConcurrencyRange:  func() (int, int) { return 1, max(2, runtime.NumCPU()/2) },
	}
	for i := range p.Levels {
		p.Levels[i].BlockSize = 16 << 10
		p.Levels[i].IndexBlockSize = 16 << 10
	}
	p.ApplyCompressionSettings(func() pebble.DBCompressionSettings {
		return pebble.UniformDBCompressionSettings(block.FastestCompression)
	})
	if o.Tune != nil {
		o.Tune(p)
	}
	p.Cache = cache
	p.FormatMajorVersion = formatMajorVersion
	p.Comparer = nil
	p.Merger = nil
	p.ReadOnly = o.ReadOnly
	// Log, indexes and records are cut apart, so that compactions move files of the log
	// instead of writing them again.
	p.Experimental.SpanPolicyFunc = func(start []byte) (pebble.SpanPolicy, []byte, error) {
		if len(start) == 0 || start[0] == 0xff {
			return pebble.SpanPolicy{}, nil, nil
		}
		return pebble.SpanPolicy{}, []byte{start[0] + 1}, nil
	}
	return p
}

// limits are what an embedded store can do.
func limits() store.Limits {
	return store.Limits{
		EventBytes: 1 << 20, AppendEvents: 1000, AppendBytes: 8 << 20, StateBytes: 4 << 20,
		CommitItems: 10_000, CommitBytes: 8 << 20, KeyBytes: 2048, Examine: 20_000,
	}
}
