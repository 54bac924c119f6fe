package pebblestore

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// TestFiltersOfManyStreamsSelectWhatAPlainTestDoes: from filters that are merged to those that
// are tested on the log, in both directions, in pages of all sizes, from and to anywhere.
func TestFiltersOfManyStreamsSelectWhatAPlainTestDoes(t *testing.T) {
	t.Parallel()
	const streams, batches = 1500, 400
	rng := rand.New(rand.NewPCG(7, 7))
	d := openDriver(t, vfs.NewMem(), func(o *Options) { quiet(o) })
	stream := func(i int) event.Stream {
		return event.Aggregate(fmt.Sprintf("kind%d", i%3)).Stream(fmt.Sprintf("s%d\x00%d", i%40, i)) // prefixes of one another
	}
	var all []event.Event
	for range batches {
		var appends []store.Appending
		seen := map[int]bool{}
		for range 20 {
			i := int(float64(streams) * rng.Float64() * rng.Float64()) // some have many events
			if seen[i] {
				continue
			}
			seen[i] = true
			a := appending("", store.Any, 1+rng.IntN(2))
			a.Stream = stream(i)
			if i%5 == 0 {
				a.RoutingKey = "eu"
			}
			appends = append(appends, a)
		}
		if _, err := d.try(t.Context(), appends...); err != nil {
			t.Fatal(err)
		}
	}
	all, err := scanAll(t.Context(), d, store.Scan{})
	if err != nil {
		t.Fatal(err)
	}
	head := all[len(all)-1].Position
	eu, none := "eu", ""
	for round := range 150 {
		var match []store.Match
		for range []int{1, 2, 63, 64, 65, 66, 200, 1000, 1400}[round%9] {
			s := stream(rng.IntN(streams + 20)) // some do not exist
			m := store.Match{Aggregate: s.Aggregate, ID: s.ID}
			if rng.IntN(4) == 0 {
				m.Name = fmt.Sprintf("name%d", rng.IntN(4))
			}
			match = append(match, m)
		}
		if rng.IntN(4) == 0 {
			match = append(match, store.Match{Aggregate: "kind0", Name: "name1"})
		}
		scan := store.Scan{
			Match: match, Backward: rng.IntN(2) == 0, Limit: []int{1, 7, 100, 5000}[rng.IntN(4)],
			Examine: []int{20_000, 2_000, 300}[rng.IntN(3)],
		}
		if scan.Limit == 1 { // thousands of pages else
			scan.From = head - 300
		}
		if rng.IntN(3) == 0 {
			scan.From = event.Position(rng.IntN(int(head)) + 1)
		}
		if rng.IntN(3) == 0 {
			scan.To = max(scan.From, event.Position(rng.IntN(int(head))+1))
		}
		switch rng.IntN(5) {
		case 0:
			scan.RoutingKey = &eu
		case 1:
			scan.RoutingKey = &none
		}
		type streamName struct {
			event.Stream
			name string
		}
		wanted := map[streamName]bool{}
		for _, m := range match {
			wanted[streamName{event.Stream{Aggregate: m.Aggregate, ID: m.ID}, m.Name}] = true
		}
		var want []event.Position
		for _, ev := range all {
			by := func(id, name string) bool {
				return wanted[streamName{event.Stream{Aggregate: ev.Stream.Aggregate, ID: id}, name}]
			}
			if (by(ev.Stream.ID, "") || by(ev.Stream.ID, ev.Name) || by("", ev.Name)) &&
				ev.Position >= scan.From && (scan.To == 0 || ev.Position <= scan.To) &&
				(scan.RoutingKey == nil || *scan.RoutingKey == ev.RoutingKey) {
				want = append(want, ev.Position)
			}
		}
		if scan.Backward {
			slices.Reverse(want)
		}
		events, err := scanAll(t.Context(), d, scan)
		if err != nil {
			t.Fatalf("%d streams, %+v: %v", len(match), scan, err)
		}
		var got []event.Position
		for _, ev := range events {
			got = append(got, ev.Position)
			if ev.Data == nil || ev.Stream != all[ev.Position-1].Stream || ev.ID != all[ev.Position-1].ID {
				t.Fatalf("event %d is another one: %+v", ev.Position, ev)
			}
		}
		if !slices.Equal(got, want) {
			scan.Match = nil
			t.Errorf("%d streams, %+v: %d events, want %d", len(match), scan, len(got), len(want))
		}
	}
}
