package admin

import (
	"context"
	"fmt"
	"net/http"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/store"
)

// historyView is the events of the stream whose id is a key of a model: the points at which
// its state changed, or may have.
type historyView struct {
	Model  string     `json:"model"`
	Key    string     `json:"key"`
	Stream streamView `json:"stream"` // Version is how many points there are
	listView[pointView]
}

// pointView is a point in the history of a state. ?at=version:7 folds the state there.
type pointView struct {
	eventView
	Folded bool `json:"folded"` // the model folds this event; it passes over the others
}

func (h *Handler) getHistory(r *http.Request) (any, error) {
	p := parameters(r, "key", "order", "after", "before", "limit")
	q := eventsQuery{
		newest: p.newestFirst(true), limit: p.limit(),
		after: store.Cursor(p.text("after")), before: store.Cursor(p.text("before")),
	}
	if q.after != "" && q.before != "" {
		p.fault("before", "comes with after; give one of them")
	}
	if p.err != nil {
		return nil, p.err
	}
	return h.history(r.Context(), r.PathValue("name"), p.text("key"), q)
}

// history returns a page of the history of a state.
func (h *Handler) history(ctx context.Context, name, key string, q eventsQuery) (historyView, error) {
	p, s, err := h.loadable(ctx, name, key)
	if err != nil {
		return historyView{}, err
	}
	v := historyView{Model: name, Key: key}
	if v.Stream, err = h.stream(ctx, s); err != nil {
		return historyView{}, err
	}
	if v.Stream.Version == 0 {
		return historyView{}, fmt.Errorf("admin: stream %.300q: %w", s, store.ErrNotFound)
	}
	q.match = store.MatchStreams(s)
	page, err := h.events(ctx, q)
	if err != nil {
		return historyView{}, err
	}
	v.listView = listView[pointView]{Items: make([]pointView, 0, len(page.Items)), Next: page.Next, Prev: page.Prev}
	schema := h.store.Options().Schema
	for _, ev := range page.Items {
		stored := event.Event{Stream: s, Name: ev.Name}
		schema.Bind(&stored)
		v.Items = append(v.Items, pointView{ev, p.Handles(stored.Type())})
	}
	return v, nil
}

// loadable finds the program of a model and the stream of a key, for folding it at points
// of the past.
func (h *Handler) loadable(ctx context.Context, name, key string) (*program.Program, event.Stream, error) {
	if _, err := h.modelStatus(ctx, name); err != nil {
		return nil, event.Stream{}, err
	}
	p, ok := h.programs[name]
	if !ok {
		return nil, event.Stream{}, needsCode(name, "fold its states")
	}
	if !p.Model.PerStream {
		problem := problemOf(http.StatusConflict, "no-history", "The model has no history by key",
			fmt.Sprintf("the keys of %q are not ids of streams, so no stream tells the history of a state; look at the events instead", name))
		problem.Projection = name
		return nil, event.Stream{}, problem
	}
	s := aggregateOf(p).Stream(key)
	return p, s, s.Validate()
}

// stateAt folds the state of a key as it was at a point.
func (h *Handler) stateAt(ctx context.Context, name, key, at string) (stateDetail, error) {
	p, s, err := h.loadable(ctx, name, key)
	if err != nil {
		return stateDetail{}, err
	}
	point, err := parsePoint("at", at, &s)
	if err != nil {
		return stateDetail{}, err
	}
	loaded, err := p.Model.LoadAt(ctx, h.store, point, s)
	if err != nil {
		return stateDetail{}, err
	}
	v := stateDetail{Model: name, At: loaded.Position, Exact: true, stateView: stateView{
		Key: key, Version: loaded.Version, Revision: loaded.Revision,
		State: h.payload("application/json", loaded.JSON, nil),
	}}
	if loaded.Version == 0 {
		return stateDetail{}, fmt.Errorf("admin: stream %.300q has no events at position %d: %w", s, loaded.Position, store.ErrNotFound)
	}
	last, err := h.store.ResolveTo(ctx, store.AtVersion(s, loaded.Version))
	if err != nil {
		return stateDetail{}, err
	}
	v.Position = last
	v.Time, err = h.timeAt(ctx, last)
	return v, err
}

// needsCode is the problem of what takes handlers that this program does not have.
func needsCode(name, what string) error {
	p := problemOf(http.StatusConflict, "needs-code", "This program does not have its code",
		fmt.Sprintf("%q is stored here, but this program has no handlers to %s; use the program that runs it, "+
			"or embed the command line into it with package cmd/riffle/cli", name, what))
	p.Projection = name
	return p
}
