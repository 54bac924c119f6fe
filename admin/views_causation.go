package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// causationView is what led to an event and what followed from it, as far as it was found.
type causationView struct {
	Event event.Position `json:"event"`
	// Causes are its cause, the cause of that, and so on.
	Causes []eventView `json:"causes"`
	// Effects are what it caused, what that caused, and so on, oldest first.
	Effects []effectView `json:"effects"`
	// Missing is the id of the earliest cause that was not found; "" when the chain is whole.
	Missing string `json:"missing"`
	// Incomplete says that the search ended before it had looked everywhere, so there may be
	// more causes or effects.
	Incomplete bool `json:"incomplete"`
	Examined   int  `json:"examined"` // events that were looked at
}

// effectView is an event that another one caused.
type effectView struct {
	eventView
	CausedBy event.Position `json:"caused_by"`
	Depth    int            `json:"depth"` // 1: by the event that was asked about
}

const (
	mostCauses  = 50
	mostEffects = 100
	// nearby is how many events after the time in the id of a cause are looked at: ids are made
	// shortly before the event is appended.
	nearby = 1000
	// skew is how far the clock that made an id may go before the one of the store.
	skew = 5 * time.Second
)

func (h *Handler) getCausation(r *http.Request) (any, error) {
	if p := parameters(r); p.err != nil {
		return nil, p.err
	}
	pos, err := positionOf(r)
	if err != nil {
		return nil, err
	}
	return h.causation(r.Context(), pos)
}

// causation follows causes back and effects forward. Events are not indexed by id or cause,
// so both searches are bounded: together they look at no more events than a page of a read
// examines (store.Limits.Examine).
func (h *Handler) causation(ctx context.Context, pos event.Position) (causationView, error) {
	ev, err := h.store.Event(ctx, pos)
	if err != nil {
		return causationView{}, err
	}
	request := ctx
	ctx, cancel := context.WithTimeout(ctx, h.options.Timeout/2) // there is more to show of the event
	defer cancel()
	c := chain{h: h, left: h.store.Limits().Examine / 2}
	v := causationView{Event: pos, Causes: []eventView{}, Effects: []effectView{}}
	carry := budget{pageBytes}
	for cause, at := ev.Metadata.Get(event.CausationID), ev.Position; cause != ""; {
		if len(v.Causes) == mostCauses {
			v.Missing, v.Incomplete = cause, true
			break
		}
		found, err := c.find(ctx, cause, at)
		if errors.Is(err, context.DeadlineExceeded) && request.Err() == nil {
			v.Missing, v.Incomplete = cause, true
			break
		}
		if err != nil {
			return causationView{}, err
		}
		if found == nil {
			v.Missing, v.Incomplete = cause, c.left <= 0
			break
		}
		v.Causes = append(v.Causes, h.event(*found, &carry))
		cause, at = found.Metadata.Get(event.CausationID), found.Position
	}
	c.left = max(c.left, 0) + h.store.Limits().Examine/2
	whole, err := c.follow(ctx, ev, &v, &carry)
	v.Incomplete = v.Incomplete || !whole
	v.Examined = c.examined
	return v, err
}

// chain looks for events, within a bound.
type chain struct {
	h        *Handler
	left     int // events that may still be looked at
	examined int
}

// find returns the event with an id that was appended before a position, nil if it was not
// found.
func (c *chain) find(ctx context.Context, id string, before event.Position) (*event.Event, error) {
	want, err := event.ParseID(id)
	if err != nil || before <= 1 {
		return nil, nil // a cause of another system
	}
	last := before - 1
	match := func(ev event.Event) bool { return ev.ID == want }
	if t := c.h.store.Traits(); t.MonotoneTime {
		from, err := c.h.store.ResolveFrom(ctx, store.AtTime(want.Timestamp().Add(-skew)))
		if err != nil {
			return nil, err
		}
		// Close to its effect it is found sooner from there.
		if from+nearby < last {
			q := store.Query{From: store.AtPosition(from), To: store.AtPosition(last)}
			if found, err := c.scan(ctx, q, min(nearby, c.left), match); found != nil || err != nil {
				return found, err
			}
		}
	}
	return c.scan(ctx, store.Query{To: store.AtPosition(last), Backward: true}, c.left, match)
}

// scan returns the first of at most most events that fits.
func (c *chain) scan(ctx context.Context, q store.Query, most int, fits func(event.Event) bool) (*event.Event, error) {
	if most <= 0 {
		return nil, nil
	}
	q.Limit = most
	for ev, err := range c.h.store.Events(ctx, q) {
		if err != nil {
			return nil, err
		}
		c.left--
		c.examined++
		if fits(ev) {
			return &ev, nil
		}
	}
	return nil, nil
}

// follow collects the effects of an event; whole says that it looked at everything up to
// the head.
func (c *chain) follow(ctx context.Context, ev event.Event, v *causationView, b *budget) (whole bool, err error) {
	type origin struct {
		position event.Position
		depth    int
	}
	known := map[string]origin{ev.ID.String(): {ev.Position, 0}}
	full, most := false, c.left
	before := c.examined
	_, err = c.scan(ctx, store.Query{From: store.AtPosition(ev.Position + 1)}, most, func(e event.Event) bool {
		cause, ok := known[e.Metadata.Get(event.CausationID)]
		if !ok {
			return false
		}
		if full = len(v.Effects) == mostEffects; full {
			return true
		}
		known[e.ID.String()] = origin{e.Position, cause.depth + 1}
		v.Effects = append(v.Effects, effectView{eventView: c.h.event(e, b), CausedBy: cause.position, Depth: cause.depth + 1})
		return false
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return false, nil // what was found so far is worth showing
	}
	return !full && c.examined-before < most, err
}
