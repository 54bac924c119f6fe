package pebblestore

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/pprof"
	"sync"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// liveAppends appends to several streams with and without routing keys under names that
// keep coming up new, and returns what was appended, by position.
func liveAppends(t *testing.T, d *driver, writers, each int) []event.Event {
	var mu sync.Mutex
	byPosition := map[event.Position]event.Event{}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				a := appending(fmt.Sprintf("s%d", w%4), store.Any, 1+rand.IntN(3))
				a.Stream.Aggregate = event.Aggregate(fmt.Sprintf("live/%d", w%2))
				a.RoutingKey = []string{"", "eu", "us"}[w%4%3]
				for k := range a.Events {
					a.Events[k].Name = fmt.Sprintf("n%d", (i/10*3+k)%40)
				}
				res, err := d.try(t.Context(), a)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for k, ev := range a.Events {
					ev.Position, ev.Stream, ev.RoutingKey = res.First+event.Position(k), a.Stream, a.RoutingKey
					byPosition[ev.Position] = ev
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	events := make([]event.Event, len(byPosition))
	for pos, ev := range byPosition {
		events[pos-1] = ev
	}
	return events
}

// liveEnd holds the last events, one for every routing key: they end the readers.
const liveEnd = event.Aggregate("live/end")

// follow reads forward from the beginning as a subscription does, by Wait and Scanned,
// until it meets the end.
func follow(ctx context.Context, d *driver, scan store.Scan) ([]event.Event, error) {
	var all []event.Event
	for {
		res, err := d.Read(ctx, scan)
		if err != nil {
			return nil, err
		}
		if res.Scanned > res.Head || res.Scanned+1 < scan.From {
			return nil, fmt.Errorf("scanned %d, head %d, from %d", res.Scanned, res.Head, scan.From)
		}
		for _, ev := range res.Events {
			if ev.Stream.Aggregate == liveEnd {
				return all, nil
			}
			all = append(all, ev)
		}
		scan.From = res.Scanned + 1
		if res.Scanned == res.Head {
			if err := d.Wait(ctx, res.Scanned, scan.Match); err != nil {
				return nil, err
			}
		}
	}
}

// liveScan is a random filter with a small page and a smaller budget.
func liveScan() store.Scan {
	scan := store.Scan{Limit: 1 + rand.IntN(7), Examine: 1 + rand.IntN(5)}
	if rand.IntN(4) == 0 {
		scan.Limit, scan.Examine = 500, 20_000
	}
	if rand.IntN(2) == 0 {
		key := []string{"", "eu", "us"}[rand.IntN(3)]
		scan.RoutingKey = &key
	}
	for range rand.IntN(4) {
		m := store.Match{Aggregate: event.Aggregate(fmt.Sprintf("live/%d", rand.IntN(2)))}
		if rand.IntN(2) == 0 {
			m.Name = fmt.Sprintf("n%d", rand.IntN(40))
		}
		if rand.IntN(3) == 0 {
			m.ID = fmt.Sprintf("s%d", rand.IntN(4))
		}
		scan.Match = append(scan.Match, m)
	}
	if len(scan.Match) > 0 {
		scan.Match = append(scan.Match, store.Match{Aggregate: liveEnd})
	}
	return scan
}

// TestLiveReadersSeeEveryMatchOnceAndInOrder, with names that are new to the store while
// they read and pages that end in the middle of nowhere.
func TestLiveReadersSeeEveryMatchOnceAndInOrder(t *testing.T) {
	t.Parallel()
	for round := range rounds(3, 60) {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			d := openDriver(t, nil, small)
			scans := make([]store.Scan, 12)
			seen := make([][]event.Event, len(scans))
			var readers sync.WaitGroup
			for i := range scans {
				scans[i] = liveScan()
				readers.Go(func() {
					var err error
					if seen[i], err = follow(t.Context(), d, scans[i]); err != nil {
						t.Error(err)
					}
				})
			}
			all := liveAppends(t, d, 8, 40)
			for i, key := range []string{"", "eu", "us"} {
				a := appending(fmt.Sprint(i), store.NoStream, 1)
				a.Stream.Aggregate, a.RoutingKey = liveEnd, key
				if _, err := d.try(t.Context(), a); err != nil {
					t.Fatal(err)
				}
			}
			within(t, "readers", readers.Wait)
			m := model{events: all}
			for i, scan := range scans {
				compareLive(t, scan, seen[i], m.all(scan))
			}
			if err := d.Verify(t.Context(), nil); err != nil {
				t.Error(err)
			}
		})
	}
}

// all is everything that a scan selects.
func (m *model) all(scan store.Scan) []event.Event {
	var out []event.Event
	for _, ev := range m.events {
		if m.selects(scan, &ev) {
			out = append(out, ev)
		}
	}
	return out
}

func compareLive(t *testing.T, scan store.Scan, got, want []event.Event) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%+v: %d events, want %d", scan, len(got), len(want))
		return
	}
	for i := range want {
		if got[i].Position != want[i].Position || got[i].ID != want[i].ID {
			t.Errorf("%+v: event %d is %d %s, want %d %s", scan, i, got[i].Position, got[i].ID, want[i].Position, want[i].ID)
			return
		}
	}
}

// TestWaitWakesForItsNamesOnly: what does not match leaves a waiter asleep.
func TestWaitWakesForItsNamesOnly(t *testing.T) {
	t.Parallel()
	d := openDriver(t, nil, nil)
	woken := make(chan string, 3)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var waits sync.WaitGroup
	for name, match := range map[string][]store.Match{
		"all": nil, "name": {{Aggregate: things, Name: "name0"}}, "aggregate": {{Aggregate: things}},
		"other name": {{Aggregate: things, Name: "later"}}, "other aggregate": {{Aggregate: "test/other"}},
	} {
		waits.Go(func() {
			if err := d.Wait(ctx, 100, match); err == nil { // beyond what comes: the head alone wakes nobody
				woken <- name
			}
		})
	}
	eventually(t, "5 wait", func() bool { return d.waiting() == 5 })
	if len(woken) > 0 {
		t.Fatalf("%s was woken by nothing", <-woken)
	}
	mustAppend(t, d, "a", 1)
	got := map[string]bool{}
	within(t, "wake-ups", func() {
		for range 3 {
			got[<-woken] = true
		}
	})
	cancel()
	waits.Wait()
	if len(woken) > 0 || !got["all"] || !got["name"] || !got["aggregate"] {
		t.Errorf("woken: %v and %d more", got, len(woken))
	}
	if err := d.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// waiting counts those who wait in Wait.
func (d *driver) waiting() int {
	d.notifier.mu.Lock()
	defer d.notifier.mu.Unlock()
	n := map[*waiter]bool{}
	for w := range d.notifier.all {
		n[w] = true
	}
	for _, ws := range d.notifier.types {
		for w := range ws {
			n[w] = true
		}
	}
	return len(n)
}

// TestWaitSeesWhatCameWhileItRegistered: the wake-up for it went to those who waited already.
func TestWaitSeesWhatCameWhileItRegistered(t *testing.T) {
	t.Parallel()
	d := openDriver(t, nil, quiet)
	before := d.head.Load()
	mustAppend(t, d, "a", 1)
	after := d.head.Load()
	d.head.Store(before)
	d.notifier.mu.Lock()
	woken := make(chan error, 1)
	go func() { woken <- d.Wait(t.Context(), 0, nil) }()
	eventually(t, "it registers", func() bool {
		var stacks bytes.Buffer // of all tests that run, so of any size
		if err := pprof.Lookup("goroutine").WriteTo(&stacks, 1); err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(stacks.Bytes(), []byte(".(*notifier).register"))
	})
	d.head.Store(after)
	d.notifier.mu.Unlock()
	within(t, "Wait", func() {
		if err := <-woken; err != nil {
			t.Error(err)
		}
	})
}
