package telemetry

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
)

// PebbleSample is one look at the numbers of an open Pebble database. Whoever samples
// keeps it; the fields with "since" in their comment never fall while the database is open.
type PebbleSample struct {
	DiskUsage          int64         // bytes of all files, obsolete ones included
	CompactionDebt     int64         // bytes to compact until the tree is in shape
	ReadAmplification  int64         // places that a lookup may have to visit
	WriteStalls        int64         // since opening
	WriteStallDuration time.Duration // since opening, ended stalls and the present one
	MemtableSize       int64         // bytes
	CacheSize          int64         // bytes in the block cache
	CacheHits          int64         // since opening
	CacheMisses        int64         // since opening
	WALSize            int64         // bytes of live data in the write-ahead log
	WALWritten         int64         // bytes, since opening
	FlushWritten       int64         // bytes, since opening
	CompactionWritten  int64         // bytes, since opening
	LevelSizes         [7]int64      // bytes of the tables of each level
	OpenIterators      int64         // iterators over tables that are open
	_                  struct{}
}

// pebbleReadings describes Pebble's instruments and how they are read from a sample.
func pebbleReadings() []reading[PebbleSample] {
	type sample = PebbleSample
	whole := func(name string, kind Kind, unit, text string, value func(*sample) int64) reading[sample] {
		return reading[sample]{
			Instrument: Instrument{Name: name, Kind: kind, Unit: unit, Attributes: sorted(storeKey), Description: text},
			whole:      func(s *sample, observe observeFunc[int64]) { observe(value(s)) },
		}
	}
	return []reading[sample]{
		whole("riffle.pebble.disk.usage", UpDownCounter, "By",
			"Bytes of all files of the database, files that wait for their deletion included.",
			func(s *sample) int64 { return s.DiskUsage }),
		whole("riffle.pebble.compaction.debt", UpDownCounter, "By",
			"Estimate of the bytes to be compacted until the tree is in shape.",
			func(s *sample) int64 { return s.CompactionDebt }),
		whole("riffle.pebble.compaction.written", Counter, "By",
			"Bytes that compactions wrote.",
			func(s *sample) int64 { return s.CompactionWritten }),
		whole("riffle.pebble.flush.written", Counter, "By",
			"Bytes that flushes of memtables wrote.",
			func(s *sample) int64 { return s.FlushWritten }),
		whole("riffle.pebble.read.amplification", Gauge, "{run}",
			"Sorted runs that a lookup may have to visit.",
			func(s *sample) int64 { return s.ReadAmplification }),
		whole("riffle.pebble.write.stalls", Counter, "{stall}",
			"Times that writes had to wait for flushes or compactions.",
			func(s *sample) int64 { return s.WriteStalls }),
		{
			Instrument: Instrument{
				Name: "riffle.pebble.write.stall.duration", Kind: Counter, Unit: "s", Attributes: sorted(storeKey),
				Description: "Time that writes had to wait for flushes or compactions.",
			},
			real: func(s *sample, observe observeFunc[float64]) { observe(s.WriteStallDuration.Seconds()) },
		},
		whole("riffle.pebble.memtable.size", UpDownCounter, "By",
			"Bytes allocated by memtables.",
			func(s *sample) int64 { return s.MemtableSize }),
		whole("riffle.pebble.cache.size", UpDownCounter, "By",
			"Bytes in the block cache.",
			func(s *sample) int64 { return s.CacheSize }),
		whole("riffle.pebble.cache.hits", Counter, "{block}",
			"Blocks that the block cache had.",
			func(s *sample) int64 { return s.CacheHits }),
		whole("riffle.pebble.cache.misses", Counter, "{block}",
			"Blocks that had to be read from a file.",
			func(s *sample) int64 { return s.CacheMisses }),
		whole("riffle.pebble.wal.size", UpDownCounter, "By",
			"Bytes of live data in the write-ahead log.",
			func(s *sample) int64 { return s.WALSize }),
		whole("riffle.pebble.wal.written", Counter, "By",
			"Bytes written to the write-ahead log.",
			func(s *sample) int64 { return s.WALWritten }),
		whole("riffle.pebble.iterators", UpDownCounter, "{iterator}",
			"Iterators over tables that are open.",
			func(s *sample) int64 { return s.OpenIterators }),
		{
			Instrument: Instrument{
				Name: "riffle.pebble.level.size", Kind: UpDownCounter, Unit: "By", Attributes: sorted(storeKey, levelKey),
				Description: "Bytes of the tables of a level of the tree.",
			},
			whole: func(s *sample, observe observeFunc[int64]) {
				for level, size := range s.LevelSizes {
					observe(size, levelKey.Int(level))
				}
			},
		},
	}
}

// ObservePebble reports Pebble's numbers whenever metrics are collected, until unregister
// is called. sample must return a kept copy and not ask Pebble, whose answer can wait for
// a slow fsync; it may run once more while unregister returns. unregister may be called
// twice.
func (t *Store) ObservePebble(sample func() PebbleSample) (unregister func(), err error) {
	return observe(t.meter, pebbleReadings(), func(yield func(*PebbleSample, ...attribute.KeyValue)) {
		yield(new(sample()), t.name)
	})
}
