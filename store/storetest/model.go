package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// The model of a read is a filter on a slice.

// wanted is what a scan without limits has to return of a log.
func wanted(log []event.Event, scan store.Scan) []event.Event {
	var out []event.Event
	for _, ev := range log {
		if ev.Position >= scan.From && (scan.To == 0 || ev.Position <= scan.To) &&
			ev.Version >= scan.MinVersion &&
			(scan.RoutingKey == nil || ev.RoutingKey == *scan.RoutingKey) &&
			fits(ev, scan.Match) {
			out = append(out, ev)
		}
	}
	if scan.Backward {
		slices.Reverse(out)
	}
	return out
}

func fits(ev event.Event, match []store.Match) bool {
	for _, m := range match {
		if m.Aggregate == ev.Stream.Aggregate && (m.ID == "" || m.ID == ev.Stream.ID) && (m.Name == "" || m.Name == ev.Name) {
			return true
		}
	}
	return len(match) == 0
}

// checkPage compares a page with the log. roomy says that Examine was no bound, so that
// More has to be exact.
func checkPage(log []event.Event, scan store.Scan, res store.ScanResult, roomy bool) error {
	log = slices.DeleteFunc(slices.Clone(log), func(ev event.Event) bool { return ev.Position > res.Head })
	all := wanted(log, scan)
	covered := slices.Clone(all)
	covered = slices.DeleteFunc(covered, func(ev event.Event) bool {
		return !scan.Backward && ev.Position > res.Scanned || scan.Backward && ev.Position < res.Scanned
	})
	low, high := max(scan.From, 1), res.Head
	if scan.To != 0 {
		high = min(high, scan.To)
	}
	switch {
	case !slices.Equal(positions(res.Events), positions(covered)):
		return fmt.Errorf("a page with Scanned %d should have the positions %v, and has %v", res.Scanned, positions(covered), positions(res.Events))
	case len(res.Events) > scan.Limit:
		return fmt.Errorf("%d events, over the limit of %d", len(res.Events), scan.Limit)
	case !scan.Backward && res.Scanned > res.Head:
		return fmt.Errorf("a page with Scanned %d goes beyond its head %d", res.Scanned, res.Head)
	case !res.More && len(covered) < len(all):
		return fmt.Errorf("a page says no More at Scanned %d, but %d matching events are beyond it", res.Scanned, len(all)-len(covered))
	case res.More && roomy && len(covered) == len(all):
		return fmt.Errorf("a page says More at Scanned %d, but no matching event is beyond it", res.Scanned)
	case !res.More && low <= high && !scan.Backward && res.Scanned != high:
		return fmt.Errorf("everything was looked at, so Scanned should be %d, but it is %d", high, res.Scanned)
	case !res.More && low <= high && scan.Backward && res.Scanned != low:
		return fmt.Errorf("everything was looked at, so Scanned should be %d, but it is %d", low, res.Scanned)
	}
	for i := range covered {
		if err := sameEvent(res.Events[i], covered[i]); err != nil {
			return err
		}
	}
	return nil
}

// sameEvent compares all that is stored of two events.
func sameEvent(got, want event.Event) error {
	gotMeta, err := got.Metadata.AppendBinary(nil)
	if err != nil {
		return fmt.Errorf("metadata of position %d: %w", got.Position, err)
	}
	wantMeta, err := want.Metadata.AppendBinary(nil)
	if err != nil {
		return fmt.Errorf("metadata of position %d: %w", want.Position, err)
	}
	var wrong []string
	check := func(field string, ok bool, got, want any) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf("%s is %q, want %q", field, fmt.Sprint(got), fmt.Sprint(want)))
		}
	}
	check("ID", got.ID == want.ID, got.ID, want.ID)
	check("Position", got.Position == want.Position, got.Position, want.Position)
	check("Stream", got.Stream == want.Stream, got.Stream, want.Stream)
	check("Version", got.Version == want.Version, got.Version, want.Version)
	check("Name", got.Name == want.Name, got.Name, want.Name)
	check("SchemaVersion", got.SchemaVersion == want.SchemaVersion, got.SchemaVersion, want.SchemaVersion)
	check("RoutingKey", got.RoutingKey == want.RoutingKey, got.RoutingKey, want.RoutingKey)
	check("Time", got.Time.Equal(want.Time), got.Time, want.Time)
	check("ContentType", got.ContentType == want.ContentType, got.ContentType, want.ContentType)
	check("Data", bytes.Equal(got.Data, want.Data), got.Data, want.Data)
	check("Metadata", bytes.Equal(gotMeta, wantMeta), gotMeta, wantMeta)
	if len(wrong) > 0 {
		return fmt.Errorf("the event at position %d differs: %s", want.Position, strings.Join(wrong, "; "))
	}
	return nil
}

// show prints a scan so that it can be repeated.
func show(s store.Scan) string {
	var b strings.Builder
	for _, m := range s.Match {
		fmt.Fprintf(&b, "{%q %q %q} ", m.Aggregate, m.ID, m.Name)
	}
	key := "any"
	if s.RoutingKey != nil {
		key = fmt.Sprintf("%q", *s.RoutingKey)
	}
	fmt.Fprintf(&b, "routing=%s from=%d to=%d minVersion=%d limit=%d examine=%d backward=%t",
		key, s.From, s.To, s.MinVersion, s.Limit, s.Examine, s.Backward)
	return b.String()
}
