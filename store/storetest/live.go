package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

func liveRules() []rule {
	return []rule{
		{"a reader sees every matching event once and in order while appends run", 0, liveFilters},
		{"a reader of everything sees no event appear behind it", 0, liveEverything},
		{"a reader sees the first event of a new name", 0, liveNewNames},
	}
}

func liveFilters(e *env) {
	r := e.rand()
	scans := make([]store.Scan, 8)
	for i := range scans {
		scans[i] = randomFilter(r)
		scans[i].Limit, scans[i].Examine = pick(r, 1, 5, 20, 1000, 1000), pick(r, 1, 3, 10, 100, roomy, roomy)
	}
	e.live(4, 80, scans, randomAppending)
}

func liveEverything(e *env) {
	var scans []store.Scan
	for _, limit := range []int{1000, 1000, 1000, 7} {
		scans = append(scans, store.Scan{Limit: limit, Examine: roomy})
	}
	e.live(4, 150, scans, randomAppending)
}

// liveNewNames reads by names that do not exist yet. A driver that keeps names in a
// dictionary must not show a head whose events have names that a reader cannot know.
func liveNewNames(e *env) {
	const names = 120
	var all []event.Type
	for i := range names {
		all = append(all, accounts.Event("new"+strconv.Itoa(i)))
	}
	scans := []store.Scan{
		{Match: store.MatchTypes(all[:60]...), Limit: 100, Examine: roomy},
		{Match: store.MatchTypes(all...), Limit: 3, Examine: roomy},
		{Match: []store.Match{{Aggregate: accounts}}, Limit: 100, Examine: roomy},
		{Match: []store.Match{{Aggregate: accounts, ID: "a"}}, Limit: 100, Examine: roomy},
	}
	e.live(4, names/4, scans, func(r *rand.Rand) store.Appending {
		return appending(accounts.Stream(pick(r, "a", "b", "c")), store.Any, all[r.IntN(names)].Name)
	})
}

// live runs a reader for each scan while appenders append, and compares what each saw
// with the log.
func (e *env) live(appenders, each int, scans []store.Scan, next func(*rand.Rand) store.Appending) {
	e.Helper()
	d := e.open()
	seeds := rand.New(rand.NewPCG(e.rand().Uint64(), 2))
	running, stop := context.WithCancel(e.Context())
	defer stop()
	seen := make([][]event.Event, len(scans))
	readers := begin(func() error {
		return together(len(scans), func(i int) (err error) {
			seen[i], err = follow(running, e.Context(), d, scans[i])
			if err != nil {
				err = fmt.Errorf("%s: %w", show(scans[i]), err)
			}
			return err
		})
	})
	sources := make([]*rand.Rand, appenders)
	for i := range sources {
		sources[i] = rand.New(rand.NewPCG(seeds.Uint64(), 3))
	}
	err := together(appenders, func(i int) error {
		for range each {
			if _, err := d.Commit(e.Context(), appends(next(sources[i]))); err != nil {
				return err
			}
			runtime.Gosched() // readers come in between, also when a commit takes no time
		}
		return nil
	})
	stop()
	e.need(e.answer(readers, "readers"), "readers")
	e.need(err, "appenders")
	log := e.read(d, store.Scan{})
	for i, scan := range scans {
		want := wanted(log, scan)
		if !slices.Equal(positions(seen[i]), positions(want)) {
			e.Errorf("a live reader of %d events missed the positions %v, and saw %v once too often or out of order: %s",
				len(want), missing(seen[i], want), surplus(seen[i]), show(scan))
			continue
		}
		for j := range want {
			e.need(sameEvent(seen[i][j], want[j]), "what a live reader saw")
		}
	}
	e.verify(d)
}

// follow reads on and on, waiting at the head, until running ends; then it reads what is
// left.
func follow(running, ctx context.Context, d store.Driver, scan store.Scan) ([]event.Event, error) {
	var out []event.Event
	for {
		last := running.Err() != nil // appends are over: this page and those behind it are all
		res, err := d.Read(ctx, scan)
		if err != nil {
			return out, err
		}
		out = append(out, res.Events...)
		if res.Scanned > res.Head {
			return out, fmt.Errorf("a page with Scanned %d goes beyond its head %d", res.Scanned, res.Head)
		}
		if res.Scanned >= max(scan.From, 1) {
			scan.From = res.Scanned + 1
		} else if res.More {
			return out, fmt.Errorf("a page says More, and its Scanned %d is below From %d", res.Scanned, scan.From)
		}
		if res.More {
			continue
		}
		if last {
			return out, nil
		}
		if err := linger(running, d, res.Scanned, scan.Match); err != nil {
			return out, err
		}
	}
}

// linger waits for a wake-up, but not for long: to miss one is another rule.
func linger(running context.Context, d store.Driver, after event.Position, match []store.Match) error {
	ctx, cancel := context.WithTimeout(running, 20*time.Millisecond)
	defer cancel()
	err := d.Wait(ctx, after, match)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// missing are the positions that a reader should have seen and did not.
func missing(got, want []event.Event) []event.Position {
	have := map[event.Position]bool{}
	for _, ev := range got {
		have[ev.Position] = true
	}
	return slices.DeleteFunc(positions(want), func(p event.Position) bool { return have[p] })
}

// surplus are the positions that do not rise.
func surplus(got []event.Event) []event.Position {
	var out []event.Position
	var last event.Position
	for _, ev := range got {
		if ev.Position <= last {
			out = append(out, ev.Position)
		}
		last = max(last, ev.Position)
	}
	return out
}
