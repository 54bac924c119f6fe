package admin

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// eventView is an event.
type eventView struct {
	Position      event.Position    `json:"position"`
	Time          time.Time         `json:"time"`
	ID            event.ID          `json:"id"`
	Aggregate     event.Aggregate   `json:"aggregate"`
	StreamID      string            `json:"stream_id"`
	Version       uint64            `json:"version"`
	Name          string            `json:"name"`           // as it was stored
	Type          string            `json:"type"`           // aggregate.name of today, after aliases
	SchemaVersion int               `json:"schema_version"` // of the payload
	RoutingKey    string            `json:"routing_key"`    // "" is none
	Metadata      map[string]string `json:"metadata"`
	Payload       payloadView       `json:"payload"`
}

// eventsQuery selects events. The page is in the order that was asked for, whether it lies
// after a cursor or before one.
type eventsQuery struct {
	match         []store.Match
	routingKey    *string
	from, to      store.Point
	newest        bool // first
	after, before store.Cursor
	limit         int
}

func (h *Handler) getEvents(r *http.Request) (any, error) {
	q, err := h.eventsQuery(r)
	if err != nil {
		return nil, err
	}
	return h.events(r.Context(), q)
}

// eventsQuery reads the parameters of the event browser.
func (h *Handler) eventsQuery(r *http.Request) (q eventsQuery, err error) {
	p := parameters(r, "type", "aggregate", "id", "name", "routing_key", "from", "to", "order", "after", "before", "limit")
	q = eventsQuery{
		from: p.point("from", nil), to: p.point("to", nil), newest: p.newestFirst(true), limit: p.limit(),
		after: store.Cursor(p.text("after")), before: store.Cursor(p.text("before")),
	}
	if p.has("routing_key") {
		q.routingKey = new(p.text("routing_key"))
	}
	if q.after != "" && q.before != "" {
		p.fault("before", "comes with after; give one of them")
	}
	if p.err != nil {
		return q, p.err
	}
	q.match, err = h.matchOf(r.Context(), p)
	return q, err
}

// matchOf reads which events are wanted: types as aggregate.name, or an aggregate with an
// id, a name, or both.
func (h *Handler) matchOf(ctx context.Context, p *params) ([]store.Match, error) {
	aggregate, id, name := event.Aggregate(p.text("aggregate")), p.text("id"), p.text("name")
	wanted := slices.DeleteFunc(slices.Clone(p.values["type"]), func(s string) bool { return s == "" })
	if len(wanted) == 0 && aggregate != "" {
		return []store.Match{{Aggregate: aggregate, ID: id, Name: name}}, nil
	}
	if len(wanted) == 0 && id == "" && name == "" {
		return nil, nil
	}
	types, err := h.store.Types(ctx)
	if err != nil {
		return nil, err
	}
	match := []store.Match{}
	for _, t := range types {
		fits := (len(wanted) == 0 || slices.Contains(wanted, t.String())) &&
			(aggregate == "" || t.Aggregate == aggregate) && (name == "" || t.Name == name)
		if fits {
			match = append(match, store.Match{Aggregate: t.Aggregate, ID: id, Name: t.Name})
		}
	}
	return match, nil
}

// readChunk is how many events are read at once: payloads may be large, and only a part of
// a page's is kept.
const readChunk = 25

// events returns a page of the log. It may come short where few events match.
func (h *Handler) events(ctx context.Context, q eventsQuery) (listView[eventView], error) {
	back := q.before != ""
	sq := store.Query{
		Match: q.match, RoutingKey: q.routingKey, From: q.from, To: q.to,
		After: q.after, Backward: q.newest != back,
	}
	if back {
		sq.After = q.before
	}
	var start, end store.Cursor
	var behind, ahead bool // in the direction of the read
	carry := budget{pageBytes}
	items := make([]eventView, 0, q.limit)
	for first := true; ; first = false {
		sq.Limit = min(q.limit-len(items), readChunk)
		page, err := h.store.Read(ctx, sq)
		if err != nil {
			return listView[eventView]{}, err
		}
		if first {
			start, behind = page.Start, page.HasPrev
		}
		end, ahead = page.End, page.HasNext
		for _, ev := range page.Items {
			items = append(items, h.event(ev, &carry))
		}
		if len(items) == q.limit || !ahead || len(page.Items) < sq.Limit {
			break
		}
		sq.After = end
	}
	if back {
		slices.Reverse(items)
		start, end, behind, ahead = end, start, ahead, behind
	}
	list := listOf(items)
	if ahead {
		list.Next = string(end)
	}
	if behind {
		list.Prev = string(start)
	}
	return list, nil
}

// event shows an event as part of a page, or alone, without a budget.
func (h *Handler) event(ev event.Event, b *budget) eventView {
	return eventView{
		Position: ev.Position, Time: ev.Time.UTC(), ID: ev.ID,
		Aggregate: ev.Stream.Aggregate, StreamID: ev.Stream.ID, Version: ev.Version,
		Name: ev.Name, Type: ev.Type().String(), SchemaVersion: max(ev.SchemaVersion, 1), RoutingKey: ev.RoutingKey,
		Metadata: maps.Collect(ev.Metadata.All()),
		Payload:  h.payload(ev.ContentType, ev.Data, b),
	}
}

func (h *Handler) getEvent(r *http.Request) (any, error) {
	if p := parameters(r); p.err != nil {
		return nil, p.err
	}
	pos, err := positionOf(r)
	if err != nil {
		return nil, err
	}
	return h.eventAt(r.Context(), pos)
}

// eventDetail is one event and its place.
type eventDetail struct {
	eventView
	Stream streamView `json:"stream"`
}

// streamView is a stream.
type streamView struct {
	Aggregate  event.Aggregate `json:"aggregate"`
	ID         string          `json:"id"`
	Version    uint64          `json:"version"` // of its last event
	RoutingKey string          `json:"routing_key"`
	First      event.Position  `json:"first"`
	Last       event.Position  `json:"last"`
}

func (h *Handler) eventAt(ctx context.Context, pos event.Position) (eventDetail, error) {
	ev, err := h.store.Event(ctx, pos)
	if err != nil {
		return eventDetail{}, err
	}
	s, err := h.stream(ctx, ev.Stream)
	return eventDetail{eventView: h.event(ev, nil), Stream: s}, err
}

func (h *Handler) stream(ctx context.Context, s event.Stream) (streamView, error) {
	info, err := h.store.Stream(ctx, s)
	return streamView{
		Aggregate: s.Aggregate, ID: s.ID, Version: info.Version, RoutingKey: info.RoutingKey,
		First: info.First, Last: info.Last,
	}, err
}

// aroundView is a part of a stream around one of its events.
type aroundView struct {
	Stream   streamView     `json:"stream"`
	Position event.Position `json:"position"` // of the event in the middle
	Items    []eventView    `json:"items"`    // oldest first
}

const (
	defaultAround = 10
	maxAround     = 100
)

func (h *Handler) getAround(r *http.Request) (any, error) {
	p := parameters(r, "around")
	around := p.number("around", defaultAround, 0, maxAround)
	if p.err != nil {
		return nil, p.err
	}
	pos, err := positionOf(r)
	if err != nil {
		return nil, err
	}
	return h.around(r.Context(), pos, around)
}

// around returns the events of the stream of an event, so many before it and after it.
func (h *Handler) around(ctx context.Context, pos event.Position, around int) (aroundView, error) {
	ev, err := h.store.Event(ctx, pos)
	if err != nil {
		return aroundView{}, err
	}
	v := aroundView{Position: pos, Items: []eventView{}}
	if v.Stream, err = h.stream(ctx, ev.Stream); err != nil {
		return aroundView{}, err
	}
	from := uint64(1)
	if ev.Version > uint64(around) {
		from = ev.Version - uint64(around)
	}
	page, err := h.store.Read(ctx, store.Query{
		Match: store.MatchStreams(ev.Stream), From: store.AtVersion(ev.Stream, from),
		Limit: int(ev.Version-from) + 1 + around,
	})
	if err != nil {
		return aroundView{}, err
	}
	b := budget{pageBytes}
	for _, ev := range page.Items {
		v.Items = append(v.Items, h.event(ev, &b))
	}
	return v, nil
}
