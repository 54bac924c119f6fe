package pebblestore

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// TestPagesOfLargeEventsEndEarly, hold no more than so many bytes, and leave nothing out.
func TestPagesOfLargeEventsEndEarly(t *testing.T) {
	t.Parallel()
	d := openDriver(t, nil, quiet)
	const events, size = 20, 1 << 20
	for range events {
		a := appending("a", store.Any, 1)
		a.Events[0].Data = make([]byte, size)
		if _, err := d.try(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	for what, match := range map[string][]store.Match{
		"log": nil, "aggregate": {{Aggregate: things}}, "stream": {{Aggregate: things, ID: "a"}},
	} {
		for _, backward := range []bool{false, true} {
			scan := store.Scan{Match: match, Limit: 500, Examine: 20_000, Backward: backward}
			res, err := d.Read(t.Context(), scan)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(res.Events); n == 0 || n*size > maxPageBytes || !res.More {
				t.Errorf("%s, backward %v: a page of %d MiB, more %v", what, backward, n, res.More)
			}
			all, err := scanAll(t.Context(), d, scan)
			if err != nil || len(all) != events {
				t.Errorf("%s, backward %v: %d events of %d, %v", what, backward, len(all), events, err)
			}
			for i, ev := range all {
				want := event.Position(i + 1)
				if backward {
					want = event.Position(events - i)
				}
				if ev.Position != want {
					t.Fatalf("%s, backward %v: event %d is at position %d, want %d", what, backward, i, ev.Position, want)
				}
			}
		}
	}
}

// TestAPageInTheMemoryOfAnotherHoldsNothingOfIt.
func TestAPageInTheMemoryOfAnotherHoldsNothingOfIt(t *testing.T) {
	t.Parallel()
	d := openDriver(t, nil, quiet)
	rich := appending("rich", store.Any, 3)
	rich.RoutingKey = "eu"
	for i := range rich.Events {
		rich.Events[i].SchemaVersion, rich.Events[i].ContentType = 7, "text/plain"
		rich.Events[i].Metadata = event.NewMetadata(map[string]string{"user": "secret"})
	}
	plain := appending("plain", store.Any, 3)
	for i := range plain.Events {
		plain.Events[i].Data = nil
	}
	if _, err := d.try(t.Context(), rich, plain); err != nil {
		t.Fatal(err)
	}
	scan := store.Scan{Limit: 3, Examine: 100}
	first, err := d.Read(t.Context(), scan)
	if err != nil {
		t.Fatal(err)
	}
	scan.From = first.Scanned + 1
	want, err := d.Read(t.Context(), scan)
	if err != nil {
		t.Fatal(err)
	}
	scan.Into = first.Events
	got, err := d.Read(t.Context(), scan)
	if err != nil || len(got.Events) != 3 || !reflect.DeepEqual(got.Events, want.Events) {
		t.Errorf("in used memory %+v, %v\nin new memory %+v", got.Events, err, want.Events)
	}
	if ev := got.Events[0]; ev.RoutingKey != "" || !ev.Metadata.IsZero() || ev.SchemaVersion != 1 || ev.ContentType != "application/json" {
		t.Errorf("a plain event came as %+v", ev)
	}
}

// TestAnIndexThatPointsNowhereIsAnError, and never the event that comes next.
func TestAnIndexThatPointsNowhereIsAnError(t *testing.T) {
	t.Parallel()
	d := openDriver(t, nil, quiet)
	for range 10 {
		mustAppend(t, d, "a", 3) // name0, name1, name2
	}
	const missing = 10
	if err := d.db.Delete(logKey(missing), nil); err != nil {
		t.Fatal(err)
	}
	for what, scan := range map[string]store.Scan{
		"stream, from there":  {Match: []store.Match{{Aggregate: things, ID: "a"}}, From: missing},
		"stream, from before": {Match: []store.Match{{Aggregate: things, ID: "a"}}},
		"name, from there":    {Match: []store.Match{{Aggregate: things, Name: "name0"}}, From: missing},
		"name, from before":   {Match: []store.Match{{Aggregate: things, Name: "name0"}}},
	} {
		for _, scan.Backward = range []bool{false, true} {
			if events, err := scanAll(t.Context(), d, scan); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("%s, backward %v: %d events, %v, want ErrCorrupt", what, scan.Backward, len(events), err)
			}
		}
	}
}

// TestAHoleInTheLogIsAnError of the page that comes to it, forwards and backwards, and not
// of those before and behind it.
func TestAHoleInTheLogIsAnError(t *testing.T) {
	t.Parallel()
	const events = 10
	many := make([]store.Match, 0, maxMerge+1)
	for i := range maxMerge + 1 {
		many = append(many, store.Match{Aggregate: things, ID: fmt.Sprint("never", i)})
	}
	many = append(many, store.Match{Aggregate: things, Name: "name0"})
	for _, hole := range []event.Position{1, 5, 10} {
		d := openDriver(t, nil, quiet)
		for range events {
			mustAppend(t, d, "a", 1)
		}
		if err := d.db.Delete(logKey(uint64(hole)), nil); err != nil {
			t.Fatal(err)
		}
		for what, scan := range map[string]store.Scan{
			"all": {}, "unkeyed": {RoutingKey: new("")}, "many": {Match: many},
			"pages of 2": {Limit: 2}, "pages of 1": {Limit: 1}, "budget of 3": {Examine: 3}, "budget of 1": {Examine: 1},
			"it alone": {From: hole, To: hole}, "up to it": {To: hole}, "from it": {From: hole},
		} {
			for _, scan.Backward = range []bool{false, true} {
				got, err := scanAll(t.Context(), d, scan)
				c, ok := errors.AsType[*store.CorruptError](err)
				if !ok || !strings.Contains(c.Key, "position "+hole.String()) {
					t.Errorf("hole at %d, %s, backward %v: %d events, %v, want ErrCorrupt that says where", hole, what, scan.Backward, len(got), err)
				}
			}
		}
		for what, scan := range map[string]store.Scan{
			"before it": {To: hole - 1}, "behind it": {From: hole + 1}, "pages of 1 before it": {To: hole - 1, Limit: 1},
			"beyond the head": {From: hole + 1, To: 1 << 40}, "many behind it": {From: hole + 1, Match: many},
		} {
			if scan.From == 0 && scan.To == 0 {
				continue // To 0 is the head
			}
			want := int(hole) - 1
			if scan.From > 0 {
				want = events - int(hole)
			}
			for _, scan.Backward = range []bool{false, true} {
				if got, err := scanAll(t.Context(), d, scan); err != nil || len(got) != want {
					t.Errorf("hole at %d, %s, backward %v: %d events, %v, want %d", hole, what, scan.Backward, len(got), err, want)
				}
			}
		}
		// a page that is full before the hole is a page
		for _, backward := range []bool{false, true} {
			scan, want := store.Scan{Limit: int(hole) - 1, Examine: 100, Backward: backward}, hole-1
			if backward {
				scan.Limit, want = events-int(hole), hole+1
			}
			if scan.Limit == 0 {
				continue
			}
			res, err := d.Read(t.Context(), scan)
			if err != nil || len(res.Events) != scan.Limit || !res.More || res.Scanned != want {
				t.Errorf("hole at %d, backward %v: a page up to it has %d events, more %v, scanned %d, %v", hole, backward, len(res.Events), res.More, res.Scanned, err)
			}
		}
		at := time.Now().Add(-time.Hour)
		if _, err := d.PositionAt(t.Context(), at); hole == 1 && !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("hole at %d, position by time: %v, want ErrCorrupt", hole, err)
		}
	}
}

// TestReadsEndAtTheirHead, not at what became visible behind it: no position is missed there.
func TestReadsEndAtTheirHead(t *testing.T) {
	t.Parallel()
	d := openDriver(t, nil, quiet)
	if events, err := scanAll(t.Context(), d, store.Scan{}); err != nil || len(events) != 0 {
		t.Errorf("an empty store: %d events, %v", len(events), err)
	}
	mustAppend(t, d, "a", 3)
	head := d.head.Load()
	mustAppend(t, d, "a", 4)
	d.head.Store(head) // the last four are not durable yet
	for _, backward := range []bool{false, true} {
		if events, err := scanAll(t.Context(), d, store.Scan{Backward: backward}); err != nil || len(events) != 3 {
			t.Errorf("backward %v: %d events, %v, want 3", backward, len(events), err)
		}
	}
}
