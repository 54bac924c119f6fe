package pebblestore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// This file holds what the fault, crash and race tests share: a ledger of what was
// promised, and the check that a store keeps it.

// patience is how long a test waits for what must happen.
const patience = 60 * time.Second

// quiet keeps what a test provokes out of its output.
func quiet(o *Options) { o.Store.Logger = slog.New(slog.NewTextHandler(io.Discard, nil)) }

// small makes Pebble rotate its log, flush, compact and write new MANIFESTs all the time.
func small(o *Options) {
	quiet(o)
	o.Tune = func(p *pebble.Options) {
		p.MemTableSize = 32 << 10
		p.L0CompactionThreshold = 2
		p.MaxManifestFileSize = 1
	}
}

// openRaw opens a driver that the test closes, loses or breaks itself.
func openRaw(fs vfs.FS, dir string, changes ...func(*Options)) (*driver, error) {
	o := Options{FS: fs, CacheSize: minCacheSize, FreeSpace: NoFreeSpaceCheck}
	for _, change := range changes {
		change(&o)
	}
	return open(dir, o.withDefaults())
}

// commit appends and returns the error only.
func (d *driver) try(ctx context.Context, appends ...store.Appending) (store.Result, error) {
	return d.Commit(ctx, &store.Txn{Appends: appends})
}

// mustAppend appends n events to a stream.
func mustAppend(tb testing.TB, d *driver, id string, n int) store.Result {
	tb.Helper()
	res, err := d.try(tb.Context(), appending(id, store.Any, n))
	if err != nil {
		tb.Fatal(err)
	}
	return res
}

// within fails the test when f does not end in time: a caller without an answer.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s: no answer in %v", what, patience)
	}
}

// eventually waits, with a deadline, for what another goroutine is about to do.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !f(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// reach waits until a load has brought the head to a position. A load that ends before is
// a failure, whose errors come by done.
func reach(t *testing.T, d *driver, position uint64, done <-chan error) {
	t.Helper()
	eventually(t, fmt.Sprint("head ", position), func() bool {
		select {
		case err := <-done:
			t.Fatalf("the callers have ended at head %d: %v", d.head.Load().position, err)
		default:
		}
		return d.head.Load().position >= position
	})
}

// scanAll reads everything that a scan selects, page by page, and checks on the way that
// the pages go on.
func scanAll(ctx context.Context, d *driver, scan store.Scan) ([]event.Event, error) {
	if scan.Limit == 0 {
		scan.Limit = 500
	}
	if scan.Examine == 0 {
		scan.Examine = 20_000
	}
	var all []event.Event
	for {
		res, err := d.Read(ctx, scan)
		if err != nil {
			return nil, err
		}
		all = append(all, res.Events...)
		if !res.More {
			return all, nil
		}
		if scan.Backward {
			if scan.To != 0 && res.Scanned > scan.To || res.Scanned <= 1 {
				return nil, fmt.Errorf("no progress at %d", res.Scanned)
			}
			scan.To = res.Scanned - 1
			continue
		}
		if res.Scanned < scan.From {
			return nil, fmt.Errorf("no progress at %d", res.Scanned)
		}
		scan.From = res.Scanned + 1
	}
}

// ledger remembers what callers were promised: events acknowledged, events shown to
// readers, and counters of commits that write two records and perhaps an event at once.
type ledger struct {
	mu     sync.Mutex
	events map[event.Position]event.ID
	pairs  map[string]uint64 // by pair name: the highest counter that is durable for sure
	tried  map[string]uint64 // and the highest that was ever attempted
}

func newLedger() *ledger {
	return &ledger{events: map[event.Position]event.ID{}, pairs: map[string]uint64{}, tried: map[string]uint64{}}
}

// saw notes events that were acknowledged or read; a position never changes its event.
func (l *ledger) saw(events ...event.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ev := range events {
		if id, ok := l.events[ev.Position]; ok && id != ev.ID {
			return fmt.Errorf("position %d was %s and is %s", ev.Position, id, ev.ID)
		}
		l.events[ev.Position] = ev.ID
	}
	return nil
}

func (l *ledger) acked(a store.Appending, res store.Result) error {
	events := make([]event.Event, len(a.Events))
	for i, ev := range a.Events {
		events[i] = event.Event{ID: ev.ID, Position: res.First + event.Position(i)}
	}
	return l.saw(events...)
}

func (l *ledger) attempt(pair string, n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tried[pair] = max(l.tried[pair], n)
}

func (l *ledger) durable(pair string, n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pairs[pair] = max(l.pairs[pair], n)
}

func (l *ledger) clone() *ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &ledger{events: maps.Clone(l.events), pairs: maps.Clone(l.pairs), tried: maps.Clone(l.tried)}
}

// check verifies a store against the ledger. What was tried is taken from now: a commit
// without an answer may be there or not.
func (l *ledger) check(ctx context.Context, d *driver, now *ledger) error {
	if err := d.Verify(ctx, nil); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	events, err := scanAll(ctx, d, store.Scan{})
	if err != nil {
		return err
	}
	for pos, id := range l.events {
		if int(pos) > len(events) {
			return fmt.Errorf("event %s at position %d is lost; the head is %d", id, pos, len(events))
		}
		if got := events[pos-1]; got.ID != id {
			return fmt.Errorf("position %d was %s and is %s", pos, id, got.ID)
		}
	}
	tried := now.clone().tried
	for pair, most := range tried {
		if err := checkPair(ctx, d, pair, l.pairs[pair], most); err != nil {
			return err
		}
	}
	return nil
}

func counter(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// pairTxn moves a pair from n-1 to n: a checkpoint, a state, and with emit one event, all
// or nothing.
func pairTxn(pair string, n uint64, emit, lazy bool) *store.Txn {
	txn := &store.Txn{
		Guards: []store.Guard{{Key: "s" + pair, Revision: n - 1}},
		Puts: []store.Record{
			{Key: "s" + pair, Value: counter(n), Revision: n},
			{Key: "n" + pair, Value: counter(n), Revision: n},
		},
		NoSync: lazy,
	}
	if emit {
		txn.Appends = []store.Appending{appending(pair, store.Exact(n-1), 1)}
	}
	return txn
}

// checkPair checks that the records of a pair, and its events if its name says that it
// emits, agree, and that it is not behind what was durable nor beyond what was tried.
func checkPair(ctx context.Context, d *driver, pair string, least, most uint64) error {
	var values [2]uint64
	for i, space := range []string{"s", "n"} {
		rec, err := d.Get(ctx, space+pair)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err == nil {
			values[i] = binary.BigEndian.Uint64(rec.Value)
			if rec.Revision != values[i] {
				return fmt.Errorf("%s%s: revision %d, value %d", space, pair, rec.Revision, values[i])
			}
		}
	}
	if values[0] != values[1] {
		return fmt.Errorf("%s: checkpoint %d, state %d", pair, values[0], values[1])
	}
	if values[0] < least || values[0] > most {
		return fmt.Errorf("%s: at %d, want %d to %d", pair, values[0], least, most)
	}
	if pair[0] == 'e' {
		info, err := d.Stream(ctx, things.Stream(pair))
		if err != nil {
			return err
		}
		if info.Version != values[0] {
			return fmt.Errorf("%s: checkpoint %d, %d events", pair, values[0], info.Version)
		}
	}
	return nil
}

// load is a crowd of callers that works on a driver until it is told to stop or its store
// closes or fails, and writes a ledger.
type load struct {
	d       *driver
	l       *ledger
	appends int // goroutines that append
	pairs   int // goroutines that commit pairs with an event
	lazies  int // goroutines that commit lazily
	readers int

	reads func(failed bool) // told after every page
}

// run returns the errors that nothing excuses, when all callers have ended.
func (w load) run(ctx context.Context, stop <-chan struct{}) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var faults []error
	spawn := func(n int, f func(i int) error) {
		for i := range n {
			wg.Go(func() {
				if err := f(i); err != nil && !errors.Is(err, store.ErrFailed) && !errors.Is(err, store.ErrClosed) {
					mu.Lock()
					faults = append(faults, err)
					mu.Unlock()
				}
			})
		}
	}
	over := func() bool {
		select {
		case <-stop:
			return true
		default:
			return false
		}
	}
	spawn(w.appends, func(i int) error {
		for n := 0; !over(); n++ {
			a := appending(fmt.Sprintf("s%d", (i+n)%20), store.Any, 1+rand.IntN(3))
			if n%5 == 0 {
				a.Once = true
			}
			res, err := w.d.try(ctx, a)
			if err != nil {
				return err
			}
			if err := w.l.acked(a, res); err != nil {
				return err
			}
		}
		return nil
	})
	spawn(w.pairs, func(i int) error {
		return w.pair(ctx, fmt.Sprintf("e%d", i), false, over)
	})
	spawn(w.lazies, func(i int) error {
		return w.pair(ctx, fmt.Sprintf("z%d", i), true, over)
	})
	spawn(w.readers, func(i int) error { return w.read(ctx, i, over) })
	wg.Wait()
	return errors.Join(faults...)
}

// pair commits a pair again and again. A lazy one is durable for sure when a later append
// was acknowledged.
func (w load) pair(ctx context.Context, pair string, lazy bool, over func() bool) error {
	for n := uint64(1); !over(); n++ {
		w.l.attempt(pair, n)
		if _, err := w.d.Commit(ctx, pairTxn(pair, n, pair[0] == 'e', lazy)); err != nil {
			return err
		}
		if lazy && n%4 == 0 {
			a := appending("sync-"+pair, store.Any, 1)
			res, err := w.d.try(ctx, a)
			if err != nil {
				return err
			}
			if err := w.l.acked(a, res); err != nil {
				return err
			}
			w.l.durable(pair, n)
		}
		if !lazy {
			w.l.durable(pair, n)
		}
	}
	return nil
}

// read goes through the store again and again, also after it has failed.
func (w load) read(ctx context.Context, i int, over func() bool) error {
	scans := []store.Scan{
		{},
		{Match: []store.Match{{Aggregate: things, Name: "name1"}}},
		{Match: []store.Match{{Aggregate: things, ID: "s3"}}},
	}
	for n := i; !over(); n++ {
		failed := w.d.failed()
		events, err := scanAll(ctx, w.d, scans[n%len(scans)])
		if err != nil {
			return err
		}
		if err := w.l.saw(events...); err != nil {
			return err
		}
		if w.reads != nil {
			w.reads(failed)
		}
	}
	return nil
}
