package memdriver

import (
	"context"
	"slices"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// Wait returns as soon as an event behind after matches, never early.
func (d *Driver) Wait(ctx context.Context, after event.Position, match []store.Match) error {
	if err := d.enter(ctx); err != nil {
		return err
	}
	defer d.leave()
	match = d.resolve(match)
	for {
		d.mu.Lock()
		found, seen := d.arrived(after, match)
		if !found && d.breaks(RegistersTooLate) {
			d.window()
		}
		published := d.published
		d.mu.Unlock()
		if found {
			return nil
		}
		after = max(after, seen)
		select {
		case <-published:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-d.closing():
			return store.ErrClosed
		}
	}
}

// arrived looks for a matching event behind a position, and says how far it looked.
func (d *Driver) arrived(p event.Position, match []store.Match) (bool, event.Position) {
	events := d.state.events[after(d.state.events, p):]
	found := slices.ContainsFunc(events, func(e stored) bool { return matches(match, &e.Event) })
	return found, d.state.last().Position
}
