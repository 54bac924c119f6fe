package pebblestore

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/riffle-go/riffle/internal/telemetry"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore/internal/fuse"
)

// sampleEvery is how old Pebble's numbers may be when they are read.
const sampleEvery = 5 * time.Second

// retryPause keeps the background work of an abandoned Pebble, which cannot be ended, from
// taking a processor. It may hold Pebble's lock meanwhile, which reads hardly need.
const retryPause = time.Second

// sampleMetrics is the one goroutine that asks Pebble for its numbers: the answer can
// wait for a slow fsync, and callbacks of a meter must not.
func (d *driver) sampleMetrics() {
	var current atomic.Pointer[telemetry.PebbleSample]
	current.Store(&telemetry.PebbleSample{})
	unregister, err := d.telemetry.ObservePebble(func() telemetry.PebbleSample { return *current.Load() })
	if err != nil {
		d.opts.Store.Logger.Warn("no metrics of Pebble", "store", d.opts.Store.Name, "error", err)
		return
	}
	defer unregister()
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for {
		if d.failed() {
			return // Metrics would wait for ever
		}
		s := d.sample(d.db.Metrics())
		current.Store(&s)
		select {
		case <-ticker.C:
		case <-d.life.Done():
			return
		case <-d.fuse.Failed():
			return
		}
	}
}

func (d *driver) sample(m *pebble.Metrics) telemetry.PebbleSample {
	count, duration := d.stalls.read()
	s := telemetry.PebbleSample{
		DiskUsage:          int64(m.DiskSpaceUsage()),
		CompactionDebt:     int64(m.Compact.EstimatedDebt),
		ReadAmplification:  int64(m.ReadAmp()),
		WriteStalls:        count,
		WriteStallDuration: duration,
		MemtableSize:       int64(m.MemTable.Size),
		CacheSize:          m.BlockCache.Size,
		CacheHits:          m.BlockCache.Hits,
		CacheMisses:        m.BlockCache.Misses,
		WALSize:            int64(m.WAL.Size),
		WALWritten:         int64(m.WAL.BytesWritten),
		OpenIterators:      m.TableIters,
	}
	for i := range m.Levels {
		s.LevelSizes[i] = m.Levels[i].TablesSize
		s.FlushWritten += int64(m.Levels[i].TableBytesFlushed)
		s.CompactionWritten += int64(m.Levels[i].TableBytesCompacted)
	}
	return s
}

// stalls adds up the time that Pebble held writes back.
type stalls struct {
	mu    sync.Mutex
	count int64
	total time.Duration
	since time.Time // of the present one; zero is none
}

func (s *stalls) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	s.since = time.Now()
}

func (s *stalls) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.since.IsZero() {
		s.total += time.Since(s.since)
		s.since = time.Time{}
	}
}

func (s *stalls) read() (int64, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	total := s.total
	if !s.since.IsZero() {
		total += time.Since(s.since)
	}
	return s.count, total
}

// logFailure writes down why the store failed, once, whoever found it: what the fuse keeps from
// Pebble never gets to its logger. What fails before it runs is in the answer of Open.
func (d *driver) logFailure() {
	select {
	case <-d.life.Done():
	case <-d.fuse.Failed():
	}
	if d.failed() { // a closing store may have failed too
		d.opts.Store.Logger.Error("store failed", "store", d.opts.Store.Name, "error", d.failure())
	}
}

// observe puts the fuse below Pebble and listens to what it tells.
func (d *driver) observe(p *pebble.Options) {
	logger := pebbleLogger{fuse: d.fuse, log: d.opts.Store.Logger, store: d.opts.Store.Name}
	p.FS = d.fuse
	p.Lock = d.lock
	p.Logger = logger
	p.EventListener = &pebble.EventListener{
		// A failed flush or compaction would be tried again without end, and a store that lost
		// bytes must not go on as if it had them.
		BackgroundError: func(err error) {
			if d.failed() { // some of Pebble's work is tried again at once and for ever
				time.Sleep(retryPause)
				return
			}
			if pebble.IsCorruptionError(err) {
				d.fuse.Trip(&store.CorruptError{What: "file", Key: "a flush or compaction", Err: plainDamage(err)})
				return
			}
			d.fuse.Trip(fmt.Errorf("background work: %w", err))
		},
		// Whoever reads the block, also Verify: what is written on top of lost bytes is worth
		// nothing, and a compaction would carry the loss on. Reads of other blocks go on.
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			d.fuse.Trip(&store.CorruptError{What: "file", Key: info.Path, Err: info.Details})
		},
		// Flushes can begin before Open has returned, and an error in one would be a panic that
		// nobody can recover.
		FlushBegin:      func(pebble.FlushInfo) { d.fuse.Arm() },
		CompactionBegin: func(pebble.CompactionInfo) { d.fuse.Arm() },
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			d.stalls.begin()
			logger.log.Warn("writes stall", "store", logger.store, "reason", info.Reason)
		},
		WriteStallEnd: func() { d.stalls.end() },
	}
}

// plainDamage is an error of damage without the carrier of details that Pebble joins to it,
// which reads as a second line of noise.
func plainDamage(err error) error {
	if info := pebble.ExtractDataCorruptionInfo(err); info != nil {
		return info.Details
	}
	return err
}

// pebbleLogger gives Pebble's own lines to slog. Fatalf must not return, or a write
// whose sync failed would be acknowledged: it latches the fuse and parks its caller.
type pebbleLogger struct {
	fuse  *fuse.FS
	log   *slog.Logger
	store string
}

func (l pebbleLogger) Infof(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("pebble: "+fmt.Sprintf(format, args...), "store", l.store)
	}
}

func (l pebbleLogger) Errorf(format string, args ...any) {
	l.log.Error("pebble: "+fmt.Sprintf(format, args...), "store", l.store)
}

func (l pebbleLogger) Fatalf(format string, args ...any) {
	l.fuse.Trip(fmt.Errorf("pebble: "+format, args...))
	l.fuse.Block()
}
