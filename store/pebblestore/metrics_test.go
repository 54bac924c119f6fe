package pebblestore

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/riffle-go/riffle/store"
)

// metered lets a store report to a reader.
func metered(reader metric.Reader) func(*Options) {
	return func(o *Options) {
		quiet(o)
		o.Store.MeterProvider = metric.NewMeterProvider(metric.WithReader(reader))
	}
}

// metricsOf returns what a reader sees, by name.
func metricsOf(t *testing.T, reader *metric.ManualReader) map[string]metricdata.Aggregation {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &rm); err != nil {
		t.Fatal(err)
	}
	all := map[string]metricdata.Aggregation{}
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			all[m.Name] = m.Data
		}
	}
	return all
}

// number is the sum of a metric's points.
func number(t *testing.T, all map[string]metricdata.Aggregation, name string) (n float64) {
	t.Helper()
	switch d := all[name].(type) {
	case metricdata.Sum[int64]:
		for _, p := range d.DataPoints {
			n += float64(p.Value)
		}
	case metricdata.Sum[float64]:
		for _, p := range d.DataPoints {
			n += p.Value
		}
	case metricdata.Gauge[int64]:
		for _, p := range d.DataPoints {
			n += float64(p.Value)
		}
	default:
		t.Errorf("%s is %T", name, d)
	}
	return n
}

// histogram is the only point of a histogram.
func histogram[N int64 | float64](t *testing.T, all map[string]metricdata.Aggregation, name string) metricdata.HistogramDataPoint[N] {
	t.Helper()
	h, ok := all[name].(metricdata.Histogram[N])
	if !ok || len(h.DataPoints) != 1 {
		t.Fatalf("%s is %+v", name, all[name])
	}
	return h.DataPoints[0]
}

// TestMetricsTellWhatPebbleDoes: numbers that an append, a flush, a compaction, a read and a
// stall must move.
func TestMetricsTellWhatPebbleDoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reader := metric.NewManualReader()
		d, err := openRaw(vfs.NewMem(), "db", metered(reader))
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		const appends = 20
		for i := range appends {
			a := appending(fmt.Sprint(i%3), store.Any, 2)
			for k := range a.Events {
				a.Events[k].Data = bytes.Repeat([]byte{byte(i)}, 4<<10)
			}
			if _, err := d.try(t.Context(), a); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.db.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := d.db.Compact(t.Context(), []byte("a"), []byte("z"), false); err != nil {
			t.Fatal(err)
		}
		if _, err := scanAll(t.Context(), d, store.Scan{}); err != nil {
			t.Fatal(err)
		}
		d.stalled(3 * time.Second)
		time.Sleep(sampleEvery) // of the bubble
		synctest.Wait()
		all := metricsOf(t, reader)
		const written = appends * 2 * 4 << 10
		for name, least := range map[string]float64{
			"riffle.pebble.wal.written":          written,
			"riffle.pebble.flush.written":        1000, // the same byte over and over is compressed
			"riffle.pebble.compaction.written":   1000,
			"riffle.pebble.disk.usage":           1000,
			"riffle.pebble.level.size":           1000,
			"riffle.pebble.memtable.size":        1,
			"riffle.pebble.cache.size":           1,
			"riffle.pebble.cache.misses":         1,
			"riffle.pebble.read.amplification":   1,
			"riffle.pebble.write.stalls":         1,
			"riffle.pebble.write.stall.duration": 3,
		} {
			if n := number(t, all, name); n < least {
				t.Errorf("%s is %g, want at least %g", name, n, least)
			}
		}
		if n := number(t, all, "riffle.pebble.write.stalls"); n != 1 {
			t.Errorf("%g stalls", n)
		}
		if n := histogram[float64](t, all, "riffle.store.sync.duration").Count; n != appends {
			t.Errorf("%d syncs were measured, want one for each append", n)
		}
		if p := histogram[int64](t, all, "riffle.store.group.events"); p.Count != appends || p.Sum != 2*appends {
			t.Errorf("%d groups of %d events in all", p.Count, p.Sum)
		}
		if p := histogram[int64](t, all, "riffle.store.group.size"); p.Sum < written || p.Sum > 2*written {
			t.Errorf("groups of %d bytes in all, want %d and their keys", p.Sum, written)
		}
	})
}

// stalled lets Pebble tell of a stall.
func (d *driver) stalled(long time.Duration) {
	o := &pebble.Options{}
	d.observe(o)
	o.EventListener.WriteStallBegin(pebble.WriteStallBeginInfo{Reason: "a test"})
	time.Sleep(long)
	o.EventListener.WriteStallEnd()
}

// TestAGroupIsBoundedInBytes, with the records that its commits put: many large commits that
// come while the disk is busy are not one batch.
func TestAGroupIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var busy atomic.Bool
		idle := make(chan struct{})
		reader := metric.NewManualReader()
		d, err := openRaw(injected(vfs.NewMem(), func(op errorfs.Op) error {
			if op.Kind == errorfs.OpFileSyncData && busy.Load() {
				<-idle
			}
			return nil
		}), "db", metered(reader))
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		busy.Store(true)
		const commits, state = 12, 300 << 10
		answers := make(chan error, commits+2)
		begin := func(txn *store.Txn) {
			go func() { _, err := d.Commit(t.Context(), txn); answers <- err }()
			synctest.Wait()
		}
		begin(&store.Txn{Appends: []store.Appending{appending("first", store.NoStream, 1)}})
		for i := range commits {
			begin(&store.Txn{
				Appends: []store.Appending{appending(fmt.Sprint(i), store.NoStream, 1)},
				Puts:    []store.Record{{Key: fmt.Sprintf("n%02d", i), Value: make([]byte, state)}},
			})
		}
		begin(&store.Txn{ // larger than a group, and than what Pebble keeps of a batch
			Appends: []store.Appending{appending("huge", store.NoStream, 1)},
			Puts:    []store.Record{{Key: "nhuge", Value: make([]byte, 40<<20)}},
		})
		close(idle)
		for range commits + 2 {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
		p := histogram[int64](t, metricsOf(t, reader), "riffle.store.group.size")
		if want := uint64(1 + commits/3 + 1); p.Count != want {
			t.Errorf("%d groups, want %d", p.Count, want)
		}
		if p.Sum < commits*state+40<<20 {
			t.Errorf("groups of %d bytes in all", p.Sum)
		}
	})
}
