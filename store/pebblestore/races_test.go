package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// oneEntry makes the version cache as useless as it can be.
func oneEntry(o *Options) { o.versionCacheSize = 1 }

// TestExpectationsAreExactWithACacheOfOneEntry: of the appends that expect the same version
// of a stream one succeeds, however the cache forgets.
func TestExpectationsAreExactWithACacheOfOneEntry(t *testing.T) {
	t.Parallel()
	d := openDriver(t, nil, oneEntry)
	const streams, versions, rivals = 5, 30, 4
	var won [streams][versions]atomic.Int64
	var all sync.WaitGroup
	for s := range streams {
		for range rivals {
			all.Go(func() {
				for v := range versions {
					_, err := d.try(t.Context(), appending(fmt.Sprint(s), store.Exact(uint64(v)), 1))
					switch {
					case err == nil:
						won[s][v].Add(1)
					case !errors.Is(err, store.ErrConflict):
						t.Error(err)
						return
					}
				}
			})
		}
	}
	within(t, "rivals", all.Wait)
	for s := range streams {
		for v := range versions {
			if n := won[s][v].Load(); n != 1 {
				t.Errorf("stream %d, version %d: %d appends succeeded", s, v+1, n)
			}
		}
	}
	if err := d.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// TestALookUpThatCameTooLateIsNotTrusted: the committer hands a request back whose stream
// may have changed since its caller looked, and looks itself when it is asked to.
func TestALookUpThatCameTooLateIsNotTrusted(t *testing.T) {
	t.Parallel()
	d := openDriver(t, nil, oneEntry)
	mustAppend(t, d, "a", 1)
	mustAppend(t, d, "b", 1) // evicts a
	late := func(resolve bool) error {
		r := d.newRequest()
		r.txn, r.resolve = &store.Txn{Appends: []store.Appending{appending("a", store.Exact(1), 1)}}, resolve
		if err := d.prepare(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, d, "a", 1)
		mustAppend(t, d, "b", 1)
		out, err := d.enqueue(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return out.err
	}
	if err := late(false); err != errAgain {
		t.Errorf("a request that knows version 1 of a stream at 2: %v, want it back", err)
	}
	if err := late(true); !errors.Is(err, store.ErrConflict) {
		t.Errorf("resolved by the committer: %v, want a conflict", err)
	}
	if _, err := d.try(t.Context(), appending("a", store.Exact(3), 1)); err != nil {
		t.Errorf("the version that is there: %v", err)
	}
	if err := d.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// TestManyStreamsInOneTxnWithACacheOfOneEntry goes through the committer's own look-ups.
func TestManyStreamsInOneTxnWithACacheOfOneEntry(t *testing.T) {
	t.Parallel()
	d := openDriver(t, nil, oneEntry)
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 25 {
				var appends []store.Appending
				for s := range 6 {
					appends = append(appends, appending(fmt.Sprint((g+s)%8), store.Any, 1))
				}
				appends = append(appends, appending(fmt.Sprint("own", g), store.Exact(uint64(2*i)), 1), appending(fmt.Sprint("own", g), store.Exact(uint64(2*i+1)), 1))
				if _, err := d.try(t.Context(), appends...); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	within(t, "appends", all.Wait)
	if head := d.head.Load().position; head != 4*25*8 {
		t.Errorf("head %d", head)
	}
	if err := d.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// readUnder reads under a head and a dictionary that were loaded earlier.
func readUnder(d *driver, scan store.Scan, head uint64, dict *dictionary) (store.ScanResult, error) {
	r := &reading{d: d, scan: scan, head: head, dict: dict, lo: max(1, uint64(scan.From)), hi: head}
	if err := r.run(context.Background()); err != nil {
		return store.ScanResult{}, err
	}
	return r.result()
}

// TestAHeadThatMovesBetweenPlanAndIterator changes nothing: the page ends at the head
// under which it was planned, and the next one begins behind it.
func TestAHeadThatMovesBetweenPlanAndIterator(t *testing.T) {
	t.Parallel()
	d := openDriver(t, nil, nil)
	keyed := appending("k", store.Any, 6)
	keyed.RoutingKey = "eu"
	for _, a := range []store.Appending{keyed, appending("u", store.Any, 6)} {
		if _, err := d.try(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	head, dict := d.head.Load().position, d.dict.Load()
	newName := appending("k", store.Any, 1)
	newName.Events[0].Name = "new"
	for _, a := range []store.Appending{appending("k", store.Any, 6), appending("u", store.Any, 6), newName} {
		if _, err := d.try(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	many := []store.Match{{Aggregate: things}}
	for i := range maxMerge + 1 {
		many = append(many, store.Match{Aggregate: things, ID: fmt.Sprint(i)})
	}
	for name, scan := range map[string]store.Scan{
		"log":         {},
		"name":        {Match: []store.Match{{Aggregate: things, Name: "name1"}}},
		"aggregate":   {Match: []store.Match{{Aggregate: things}}},
		"stream":      {Match: []store.Match{{Aggregate: things, ID: "k"}}},
		"stream name": {Match: []store.Match{{Aggregate: things, ID: "u", Name: "name2"}}},
		"routing":     {RoutingKey: new("eu")},
		"unkeyed":     {RoutingKey: new("")},
		"many":        {Match: many},
		"from":        {Match: []store.Match{{Aggregate: things, ID: "k"}}, From: 3},
	} {
		for _, backward := range []bool{false, true} {
			scan.Limit, scan.Examine, scan.Backward = 100, 1000, backward
			old, err := readUnder(d, scan, head, dict)
			if err != nil {
				t.Fatal(err)
			}
			bounded := scan
			bounded.To = event.Position(head)
			want, err := d.Read(t.Context(), bounded)
			if err != nil {
				t.Fatal(err)
			}
			if len(old.Events) == 0 || len(old.Events) != len(want.Events) {
				t.Errorf("%s, backward %v: %d events, want %d", name, backward, len(old.Events), len(want.Events))
			}
			for _, ev := range old.Events {
				if uint64(ev.Position) > head {
					t.Errorf("%s, backward %v: event %d beyond the head %d", name, backward, ev.Position, head)
				}
			}
			if uint64(old.Scanned) > head || old.Head != event.Position(head) || old.More {
				t.Errorf("%s, backward %v: scanned %d, head %d, more %v", name, backward, old.Scanned, old.Head, old.More)
			}
		}
	}
	if err := d.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// TestNamesThatComeUpDuringReadsAreNotMissed: a reader of an aggregate sees every event
// up to Scanned, also those whose names were new when it looked.
func TestNamesThatComeUpDuringReadsAreNotMissed(t *testing.T) {
	t.Parallel()
	d := openDriver(t, nil, nil)
	const names = 300
	var writers, readers sync.WaitGroup
	for w := range 3 {
		writers.Go(func() {
			for i := range names / 3 {
				a := appending(fmt.Sprint(w), store.Any, 1)
				a.Events[0].Name = fmt.Sprintf("name-%d-%d", w, i)
				if _, err := d.try(t.Context(), a); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 3 {
		readers.Go(func() {
			for from := event.Position(1); from <= names; {
				res, err := d.Read(t.Context(), store.Scan{Match: []store.Match{{Aggregate: things}}, From: from, Limit: 5, Examine: 7})
				if err != nil {
					t.Error(err)
					return
				}
				if n := res.Scanned + 1 - from; len(res.Events) != int(n) {
					t.Errorf("%d of %d events in [%d, %d]", len(res.Events), n, from, res.Scanned)
					return
				}
				from = res.Scanned + 1
			}
		})
	}
	within(t, "writers", writers.Wait)
	within(t, "readers", readers.Wait)
	if err := d.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// TestAClockThatStepsBack never makes an event older than the one before it, nor across a
// reopen; when the clock has caught up, times go on.
func TestAClockThatStepsBack(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var now atomic.Pointer[time.Time]
	at := func(d time.Duration) { now.Store(new(start.Add(d))) }
	clock := func(o *Options) { o.clock = func() time.Time { return *now.Load() } }
	at(0)
	d, err := openRaw(fs, "db", quiet, clock)
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, d, "a", 1)
	at(-time.Hour)
	if res := mustAppend(t, d, "a", 2); !res.Time.Equal(start) {
		t.Errorf("an hour back: time %s", res.Time)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = openDriver(t, fs, clock)
	if res := mustAppend(t, d, "a", 1); !res.Time.Equal(start) {
		t.Errorf("an hour back and opened again: time %s", res.Time)
	}
	at(time.Minute)
	if res := mustAppend(t, d, "a", 1); !res.Time.Equal(start.Add(time.Minute)) {
		t.Errorf("caught up: time %s", res.Time)
	}
	for _, want := range []struct {
		at  time.Duration
		pos event.Position
	}{{-time.Hour, 1}, {0, 1}, {time.Nanosecond, 5}, {time.Minute, 5}, {time.Minute + time.Millisecond, 6}} {
		if pos, err := d.PositionAt(t.Context(), start.Add(want.at)); err != nil || pos != want.pos {
			t.Errorf("position at %v: %d, %v, want %d", want.at, pos, err, want.pos)
		}
	}
	if err := d.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// TestTheFirstAppendFixesTheRoutingKey, when appends that name different ones and none
// race for it; also with a cache that forgets.
func TestTheFirstAppendFixesTheRoutingKey(t *testing.T) {
	t.Parallel()
	for _, change := range []func(*Options){nil, oneEntry} {
		d := openDriver(t, nil, change)
		for round := range 30 {
			id := fmt.Sprint("s", round)
			var racers sync.WaitGroup
			var accepted [3]atomic.Int64
			for i := range 9 {
				racers.Go(func() {
					a := appending(id, store.Any, 1)
					a.RoutingKey = []string{"", "eu", "us"}[i%3]
					_, err := d.try(t.Context(), a)
					if err == nil {
						accepted[i%3].Add(1)
					} else if !errors.Is(err, store.ErrInvalid) {
						t.Error(err)
					}
				})
			}
			within(t, "racers", racers.Wait)
			info, err := d.Stream(t.Context(), things.Stream(id))
			if err != nil {
				t.Fatal(err)
			}
			want := accepted[0].Load()
			if want != 3 {
				t.Errorf("%d of 3 appends without a key were accepted", want)
			}
			switch info.RoutingKey {
			case "eu":
				want += accepted[1].Load()
			case "us":
				want += accepted[2].Load()
			}
			events, err := scanAll(t.Context(), d, store.Scan{Match: store.MatchStreams(things.Stream(id)), RoutingKey: &info.RoutingKey})
			if err != nil || len(events) != int(info.Version) || int64(info.Version) != want {
				t.Errorf("%d events with key %q, version %d, %d accepted: %v", len(events), info.RoutingKey, info.Version, want, err)
			}
		}
		if err := d.Verify(t.Context(), nil); err != nil {
			t.Error(err)
		}
	}
}

// TestANewStreamTwiceInOneTxnKeepsItsKey: the second append of the Txn does not name the
// key that the first one gave to the stream.
func TestANewStreamTwiceInOneTxnKeepsItsKey(t *testing.T) {
	t.Parallel()
	d := openDriver(t, nil, nil)
	first, second, third := appending("a", store.NoStream, 1), appending("a", store.Exact(1), 1), appending("b", store.Any, 1)
	first.RoutingKey = "eu"
	within(t, "append", func() {
		if _, err := d.try(t.Context(), first, third, second); err != nil {
			t.Error(err)
		}
	})
	events, err := scanAll(t.Context(), d, store.Scan{RoutingKey: new("eu")})
	if err != nil || len(events) != 2 {
		t.Errorf("%d events with the key, %v", len(events), err)
	}
	if err := d.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}
