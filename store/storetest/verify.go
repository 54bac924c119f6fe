package storetest

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// verify reads the whole store in every way there is and compares the answers: positions
// rise, versions are dense, every index agrees with the log. It returns the log.
func (e *env) verify(d store.Driver) []event.Event {
	e.Helper()
	log, err := verified(e.Context(), d, e.traits)
	e.need(err, "verify the store")
	return log
}

func verified(ctx context.Context, d store.Driver, tr store.Traits) ([]event.Event, error) {
	log, err := readAll(ctx, d, store.Scan{})
	if err != nil {
		return nil, err
	}
	streams, err := checkLog(log, tr)
	if err != nil {
		return log, err
	}
	head, err := d.Head(ctx)
	if err != nil {
		return log, err
	}
	if n := len(log); n > 0 && (head.Position != log[n-1].Position || !head.Time.Equal(log[n-1].Time)) {
		return log, fmt.Errorf("the head is position %d of %v, but the last event is position %d of %v",
			head.Position, head.Time, log[n-1].Position, log[n-1].Time)
	}
	for stream, want := range streams {
		got, err := d.Stream(ctx, stream)
		if err != nil {
			return log, err
		}
		if got != want {
			return log, fmt.Errorf("stream %q is %+v, but its events say %+v", stream, got, want)
		}
	}
	if err := checkIndexes(ctx, d, log, streams); err != nil {
		return log, err
	}
	if c, ok := d.(store.Catalog); ok {
		return log, checkCatalog(ctx, c, log, streams)
	}
	return log, nil
}

// checkLog looks at the log alone, and returns what it says about its streams.
func checkLog(log []event.Event, tr store.Traits) (map[event.Stream]store.StreamInfo, error) {
	streams := map[event.Stream]store.StreamInfo{}
	var last event.Event
	for i, ev := range log {
		info := streams[ev.Stream]
		switch {
		case ev.Position <= last.Position:
			return nil, fmt.Errorf("position %d comes behind position %d", ev.Position, last.Position)
		case tr.Dense && ev.Position != event.Position(i+1):
			return nil, fmt.Errorf("event number %d has position %d; the driver promises positions without gaps", i+1, ev.Position)
		case ev.Version != info.Version+1:
			return nil, fmt.Errorf("position %d: stream %q has version %d behind version %d", ev.Position, ev.Stream, ev.Version, info.Version)
		case info.Version > 0 && ev.RoutingKey != info.RoutingKey:
			return nil, fmt.Errorf("position %d: stream %q has routing key %q, which was %q before", ev.Position, ev.Stream, ev.RoutingKey, info.RoutingKey)
		case tr.MonotoneTime && ev.Time.Before(last.Time):
			return nil, fmt.Errorf("position %d has time %v, before that of the event before it, %v", ev.Position, ev.Time, last.Time)
		}
		if info.First == 0 {
			info.First, info.RoutingKey = ev.Position, ev.RoutingKey
		}
		info.Version, info.Last = ev.Version, ev.Position
		streams[ev.Stream], last = info, ev
	}
	return streams, nil
}

// checkIndexes reads by every stream, every name and every routing key.
func checkIndexes(ctx context.Context, d store.Driver, log []event.Event, streams map[event.Stream]store.StreamInfo) error {
	var scans []store.Scan
	for s := range streams {
		scans = append(scans, store.Scan{Match: store.MatchStreams(s)})
	}
	seen := map[any]bool{}
	for _, ev := range log {
		if t := ev.StoredType(); !seen[t] {
			seen[t] = true
			scans = append(scans, store.Scan{Match: store.MatchTypes(t)})
		}
		if a := ev.Stream.Aggregate; !seen[a] {
			seen[a] = true
			scans = append(scans, store.Scan{Match: []store.Match{{Aggregate: a}}})
		}
		if key := ev.RoutingKey; !seen[key] {
			seen[key] = true
			scans = append(scans, store.Scan{RoutingKey: &key})
		}
	}
	for _, scan := range scans {
		got, err := readAll(ctx, d, scan)
		if err != nil {
			return err
		}
		if want := wanted(log, scan); !slices.Equal(positions(got), positions(want)) {
			return fmt.Errorf("%s gives the positions %v, but the log has %v", show(scan), positions(got), positions(want))
		}
	}
	return nil
}

func checkCatalog(ctx context.Context, c store.Catalog, log []event.Event, streams map[event.Stream]store.StreamInfo) error {
	types, err := c.Types(ctx)
	if err != nil {
		return err
	}
	if want := typesOf(log); !slices.Equal(types, want) {
		return fmt.Errorf("the catalog has the types %q, but the log has %q", types, want)
	}
	aggregates := map[event.Aggregate]int{}
	for s := range streams {
		aggregates[s.Aggregate]++
	}
	for a, n := range aggregates {
		listed, err := c.Streams(ctx, a, store.Range{})
		if err != nil {
			return err
		}
		if len(listed) != n {
			return fmt.Errorf("the catalog has %d streams of %q, but the log has %d", len(listed), a, n)
		}
		for _, s := range listed {
			if _, ok := streams[s]; !ok {
				return fmt.Errorf("the catalog has the stream %q, but the log has no event of it", s)
			}
		}
	}
	return nil
}

// typesOf is what the catalog has to say about a log.
func typesOf(log []event.Event) []event.Type {
	set := map[event.Type]struct{}{}
	for i := range log {
		set[log[i].StoredType()] = struct{}{}
	}
	return slices.SortedFunc(maps.Keys(set), compareTypes)
}
