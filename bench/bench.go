package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// config is how much to measure, and where.
type config struct {
	events int           // in the largest store
	runs   int           // pairs per figure
	time   time.Duration // of one side of a pair, where a figure runs by time
	pause  time.Duration // before each side of a pair, for the disk to settle
	dir    string        // for the stores; "" is the system's directory for temporary files
	heap   int           // MiB of live heap that the process has beside, as a service does

	profiles string // directory for profiles; "" is none
}

func fullConfig() config {
	return config{events: 1_000_000, runs: 7, time: time.Second, pause: 400 * time.Millisecond, heap: defaultHeap}
}

// shortConfig does everything once, to see that it works; its numbers say little.
func shortConfig() config {
	return config{events: 20_000, runs: 1, time: 100 * time.Millisecond, pause: 10 * time.Millisecond, heap: defaultHeap}
}

// defaultHeap is that of a small service. In a process with nothing but a store, whose heap
// is 2 MiB, Go collects garbage two hundred times a second during a catch-up.
const defaultHeap = 64

// bench is what figures share while they run, one after the other.
type bench struct {
	config
	root     string
	settings *pebble.Options // of the store, for the yardsticks on Pebble
	figure   string          // the one that runs
	dirs     []string        // of the figure that runs
	shared   fixtures
}

func newBench(c config) (*bench, error) {
	settings, err := storeSettings()
	if err != nil {
		return nil, err
	}
	root, err := os.MkdirTemp(c.dir, "riffle-bench-")
	if err != nil {
		return nil, fmt.Errorf("bench: %w; name a directory that exists with -dir", err)
	}
	return &bench{config: c, root: root, settings: settings}, nil
}

// close removes everything.
func (b *bench) close() error { return os.RemoveAll(b.root) }

// measure runs a figure and removes its directories.
func (b *bench) measure(ctx context.Context, f figure) (result, error) {
	b.figure, b.dirs = f.name, nil
	pairs, err := f.run(ctx, b)
	for _, dir := range b.dirs {
		_ = os.RemoveAll(dir) // again at the end, with everything
	}
	if err != nil {
		return result{}, fmt.Errorf("bench: %s: %w", f.name, err)
	}
	return newResult(f, pairs)
}

// dir names a directory that does not exist yet and goes with the figure.
func (b *bench) dir(name string) string {
	dir := filepath.Join(b.root, fmt.Sprintf("%s-%d-%s", b.figure, len(b.dirs), name))
	b.dirs = append(b.dirs, dir)
	return dir
}

// settle waits for what the last measurement left to do. Removed files are the worst of it:
// with online discard they slow down the syncs of whoever comes next.
func (b *bench) settle() {
	runtime.GC()
	syncDisks()
	time.Sleep(b.pause)
}

// side measures one side of a pair.
type side func(context.Context) (float64, error)

// pairs measures both sides in turns. Which one goes first alternates, so that none of them
// always meets the machine as the other one left it.
func (b *bench) pairs(ctx context.Context, ours, yardstick side) ([]pair, error) {
	heap := make([]byte, b.heap<<20)
	defer runtime.KeepAlive(heap)
	pairs := make([]pair, b.runs)
	for i := range pairs {
		p := &pairs[i]
		turns := []struct {
			side  side
			value *float64
		}{{ours, &p.value}, {yardstick, &p.yardstick}}
		if i%2 == 1 {
			turns[0], turns[1] = turns[1], turns[0]
		}
		for _, t := range turns {
			b.settle()
			v, err := t.side(ctx)
			if err != nil {
				return nil, err
			}
			*t.value = v
		}
	}
	if b.profiles != "" {
		if err := b.profile(ctx, ours); err != nil {
			return nil, err
		}
	}
	return pairs, nil
}

// quiet is the logger of the stores: what they say is not a figure.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
