package memdriver

import (
	"context"
	"slices"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// Read looks at every event of the range, one index entry each. The events it looks at
// are a snapshot: what is appended meanwhile comes behind it.
func (d *Driver) Read(ctx context.Context, scan store.Scan) (store.ScanResult, error) {
	if err := d.enter(ctx); err != nil {
		return store.ScanResult{}, err
	}
	defer d.leave()
	if f := d.opts.Faults.Read; f != nil {
		if err := f(scan); err != nil {
			return store.ScanResult{}, err
		}
	}
	d.mu.Lock()
	events, head, hidden := d.state.events, d.state.last().Position, d.hidden()
	if d.breaks(HeadAfterIterator) {
		d.window()
		head = d.state.last().Position
	}
	d.mu.Unlock()
	return d.spoilPage(scan, page(d.spoilScan(scan), events, head, hidden), events), nil
}

// page walks over a snapshot of the log. hidden is for broken drivers.
func page(scan store.Scan, events []stored, head event.Position, hidden map[event.Type]int) store.ScanResult {
	res := store.ScanResult{Head: head}
	low, high := max(scan.From, 1), head
	if scan.To != 0 {
		high = min(high, scan.To)
	}
	events = events[after(events, low-1):]
	events = events[:after(events, high)]
	end, step := high, event.Position(1)
	order := slices.All(events)
	if scan.Backward {
		end, step = low, ^event.Position(0) // the step of -1
		order = slices.Backward(events)
	}
	examined := 0
	for _, e := range order {
		if examined == scan.Examine {
			// Everything before this event was looked at, and nothing lies between.
			res.Scanned, res.More = e.Position-step, true
			return res
		}
		examined++
		if !selects(scan, &e.Event) || len(scan.Match) > 0 && hidden[e.StoredType()] > 0 {
			continue
		}
		if len(res.Events) == scan.Limit {
			res.Scanned, res.More = e.Position-step, true
			return res
		}
		res.Events = append(res.Events, e.load())
	}
	res.Scanned = end
	return res
}

func selects(scan store.Scan, ev *event.Event) bool {
	return ev.Version >= scan.MinVersion &&
		(scan.RoutingKey == nil || *scan.RoutingKey == ev.RoutingKey) &&
		matches(scan.Match, ev)
}

func matches(match []store.Match, ev *event.Event) bool {
	return len(match) == 0 || slices.ContainsFunc(match, func(m store.Match) bool {
		return m.Aggregate == ev.Stream.Aggregate &&
			(m.ID == "" || m.ID == ev.Stream.ID) &&
			(m.Name == "" || m.Name == ev.Name)
	})
}

// Stream describes one stream.
func (d *Driver) Stream(ctx context.Context, s event.Stream) (store.StreamInfo, error) {
	if err := d.enter(ctx); err != nil {
		return store.StreamInfo{}, err
	}
	defer d.leave()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state.streams[d.state.key(s)], nil
}
