package pebblestore

import (
	"errors"
	"reflect"
	"testing"

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
