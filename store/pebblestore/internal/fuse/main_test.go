package fuse

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain checks that nothing leaks but what a blown fuse is documented to leak:
// the goroutines parked in it, and those of the abandoned pebble.DB that wait
// behind them.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// Parked here.
		goleak.IgnoreAnyFunction("github.com/riffle-go/riffle/store/pebblestore/internal/fuse.(*FS).park"),
		// Pebble's background work: the WAL, flushes and compactions with their table
		// writers, the removal of files, the grants for compactions (a ticker), and
		// the release of cached files.
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2/record.(*LogWriter).flushLoop"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2.(*DB).flush"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2.(*DB).compact"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2/internal/compact.(*Runner).writeKeysToTable"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2.(*cleanupManager).mainLoop"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2.(*ConcurrencyLimitScheduler).periodicGranter"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2/internal/genericcache.(*shard[...]).releaseLoop"),
		// Writes that wait for a sync, for their turn, or for a flush.
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2.(*DB).Apply"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2.(*DB).AsyncFlush"),
	)
}
