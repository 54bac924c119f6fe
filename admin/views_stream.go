package admin

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// typeView is a type of events, with the last one.
type typeView struct {
	Aggregate event.Aggregate `json:"aggregate"`
	Name      string          `json:"name"`
	Type      string          `json:"type"` // as events?type= takes it
	Last      event.Position  `json:"last"` // "0" when it is not looked up
	LastTime  *time.Time      `json:"last_time"`
}

// mostTypes is of how many types the last event is looked up.
const mostTypes = 500

func (h *Handler) getTypes(r *http.Request) (any, error) {
	if p := parameters(r); p.err != nil {
		return nil, p.err
	}
	return h.types(r.Context())
}

func (h *Handler) types(ctx context.Context) (listView[typeView], error) {
	types, err := h.store.Types(ctx)
	if err != nil {
		return listView[typeView]{}, err
	}
	items := make([]typeView, 0, len(types))
	for i, t := range types {
		v := typeView{Aggregate: t.Aggregate, Name: t.Name, Type: t.String()}
		if i < mostTypes {
			for ev, err := range h.store.Events(ctx, store.Query{Match: store.MatchTypes(t), Limit: 1, Backward: true}) {
				if err != nil {
					return listView[typeView]{}, err
				}
				v.Last, v.LastTime = ev.Position, timeOf(ev.Time)
			}
		}
		items = append(items, v)
	}
	return listOf(items), nil
}

func (h *Handler) getStreams(r *http.Request) (any, error) {
	p := parameters(r, "aggregate", "prefix", "after", "limit")
	aggregate := event.Aggregate(p.text("aggregate"))
	rg := store.Range{Prefix: p.text("prefix"), After: p.after("streams").Key, Limit: p.limit()}
	if p.err != nil {
		return nil, p.err
	}
	return h.streams(r.Context(), aggregate, rg)
}

// streams returns a page of the streams of an aggregate, by id; Range.Limit is its size.
func (h *Handler) streams(ctx context.Context, a event.Aggregate, rg store.Range) (listView[streamView], error) {
	size := rg.Limit
	rg.Limit++
	items := make([]streamView, 0, size)
	more := false
	for s, err := range h.store.Streams(ctx, a, rg) {
		if err != nil {
			return listView[streamView]{}, err
		}
		if more = len(items) == size; more {
			break
		}
		v, err := h.stream(ctx, s)
		if err != nil {
			return listView[streamView]{}, err
		}
		items = append(items, v)
	}
	list := listOf(slices.Clip(items))
	if more {
		list.Next = mark{Kind: "streams", Key: items[len(items)-1].ID}.cursor()
	}
	return list, nil
}
