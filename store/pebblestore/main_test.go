package pebblestore

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// The long forms of the tests, for CI: go test ./store/pebblestore -args -long.
var long = flag.Bool("long", os.Getenv("RIFFLE_LONG") != "", "run the long forms of the tests; also RIFFLE_LONG=1")

// childEnv makes the test binary run as another process of a test: "role directory".
const childEnv = "RIFFLE_TEST_CHILD"

// TestMain runs the roles of child processes, and else the tests. Nothing may leak but
// what a failed store is documented to leave behind: the goroutines in the fuse, and
// those of the abandoned Pebble, with the committer and Close behind them.
func TestMain(m *testing.M) {
	if role := os.Getenv(childEnv); role != "" {
		if err := runChild(role, os.Args[len(os.Args)-1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/riffle-go/riffle/store/pebblestore/internal/fuse.(*FS).park"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2/record.(*LogWriter).flushLoop"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2.(*DB).flush"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2.(*DB).compact"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2/internal/compact.(*Runner).writeKeysToTable"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2.(*cleanupManager).mainLoop"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2.(*ConcurrencyLimitScheduler).periodicGranter"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2/internal/genericcache.(*shard[...]).releaseLoop"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2.(*DB).collectTableStats"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2.Open"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2.(*DB).Apply"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2.(*DB).Metrics"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2.(*DB).Close"),
		goleak.IgnoreAnyFunction("github.com/cockroachdb/pebble/v2.(*DB).Flush"),
	)
}

// rounds is how often a random test runs its scenario.
func rounds(short, many int) int {
	switch {
	case *long:
		return many
	case testing.Short():
		return max(1, short/4)
	}
	return short
}
