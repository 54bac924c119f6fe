package memdriver

import (
	"context"
	"sort"
	"strings"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// Types lists every event type.
func (d *Driver) Types(ctx context.Context) ([]event.Type, error) {
	if err := d.enter(ctx); err != nil {
		return nil, err
	}
	defer d.leave()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state.sortedTypes(), nil
}

// Streams sorts all streams of an aggregate on each call.
func (d *Driver) Streams(ctx context.Context, a event.Aggregate, r store.Range) ([]event.Stream, error) {
	if err := d.enter(ctx); err != nil {
		return nil, err
	}
	defer d.leave()
	d.mu.Lock()
	defer d.mu.Unlock()
	var ids []string
	for s := range d.state.streams {
		if s.Aggregate == a && strings.HasPrefix(s.ID, r.Prefix) && s.ID > r.After {
			ids = append(ids, s.ID)
		}
	}
	sort.Strings(ids)
	if r.Limit > 0 {
		ids = ids[:min(r.Limit, len(ids))]
	}
	out := make([]event.Stream, len(ids))
	for i, id := range d.sorted(ids) {
		out[i] = a.Stream(id)
	}
	return out, nil
}

// PositionAt searches the log, whose times never fall.
func (d *Driver) PositionAt(ctx context.Context, t time.Time) (event.Position, error) {
	if err := d.enter(ctx); err != nil {
		return 0, err
	}
	defer d.leave()
	d.mu.Lock()
	defer d.mu.Unlock()
	events := d.state.events
	i := sort.Search(len(events), func(i int) bool { return !events[i].Time.Before(t) })
	if i == len(events) {
		return d.state.last().Position + 1, nil
	}
	return events[i].Position, nil
}
