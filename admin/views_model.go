package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/worker"
)

// modelView is a projection that keeps states.
type modelView struct {
	Name       string          `json:"name"`
	State      worker.State    `json:"state"` // of the projection
	Orphaned   bool            `json:"orphaned"`
	Generation uint32          `json:"generation"`
	Revision   int             `json:"revision"`
	Position   event.Position  `json:"position"` // every state has at least what was committed up to here
	Backlog    uint64          `json:"backlog"`
	Parked     int             `json:"parked"`
	History    bool            `json:"history"`   // states of earlier points can be folded
	Aggregate  event.Aggregate `json:"aggregate"` // whose stream ids are the keys; "" when the keys are others
}

// stateView is a state of a model.
type stateView struct {
	Key      string         `json:"key"`
	Position event.Position `json:"position"` // of the last event folded into it
	Version  uint64         `json:"version"`  // of its stream; 0 when the model has keys of its own
	Revision int            `json:"revision"`
	Blocked  bool           `json:"blocked"` // an event of the key was set aside
	State    payloadView    `json:"state"`
}

// stateDetail is one state, as it is stored or as it was at a point.
type stateDetail struct {
	stateView
	Model string         `json:"model"`
	At    event.Position `json:"at"`    // as of this position
	Time  *time.Time     `json:"time"`  // of the event at Position
	Exact bool           `json:"exact"` // folded for this point; false: as of the checkpoint
}

func (h *Handler) getModels(r *http.Request) (any, error) {
	if p := parameters(r); p.err != nil {
		return nil, p.err
	}
	return h.models(r.Context())
}

func (h *Handler) models(ctx context.Context) (listView[modelView], error) {
	s, err := h.sample.now(ctx)
	if err != nil {
		return listView[modelView]{}, err
	}
	items := []modelView{}
	for _, st := range s.statuses {
		if st.Kind == program.Model.String() {
			items = append(items, h.modelOf(st))
		}
	}
	return listOf(items), nil
}

func (h *Handler) modelOf(st engine.Status) modelView {
	v := modelView{
		Name: st.Projection, State: st.State, Orphaned: st.State == engine.Orphaned,
		Generation: st.Subscriber.Key.Generation, Revision: revisionOf(st.Row),
		Position: st.Subscriber.Checkpoint, Backlog: st.Backlog, Parked: st.Parked,
	}
	if p, ok := h.programs[st.Projection]; ok && p.Model.PerStream {
		v.History, v.Aggregate = true, aggregateOf(p)
	}
	return v
}

// aggregateOf is the one aggregate whose stream ids are the keys of a model.
func aggregateOf(p *program.Program) event.Aggregate {
	if len(p.Handled) == 0 {
		return ""
	}
	return p.Handled[0].Aggregate
}

// modelStatus finds a model.
func (h *Handler) modelStatus(ctx context.Context, name string) (engine.Status, error) {
	_, st, err := h.status(ctx, name)
	if err == nil && st.Kind != program.Model.String() {
		err = invalid("name", "%.100q is no model but of kind %s, which has no states here", name, st.Kind)
	}
	return st, err
}

func (h *Handler) getStates(r *http.Request) (any, error) {
	p := parameters(r, "prefix", "after", "limit")
	rg := store.Range{Prefix: p.text("prefix"), After: p.after("states").Key, Limit: p.limit()}
	if p.err != nil {
		return nil, p.err
	}
	return h.states(r.Context(), r.PathValue("name"), rg)
}

// states returns a page of the states of a model as they are stored, by key; Range.Limit is
// its size.
func (h *Handler) states(ctx context.Context, name string, rg store.Range) (listView[stateView], error) {
	st, err := h.modelStatus(ctx, name)
	if err != nil {
		return listView[stateView]{}, err
	}
	u := h.store.Subscriber(st.Subscriber.Key)
	size := rg.Limit
	rg.Limit++
	carry := budget{pageBytes}
	items := make([]stateView, 0, size)
	more := false
	for sn, err := range h.store.States(ctx, name, st.Subscriber.Key.Generation, rg) {
		if err != nil {
			return listView[stateView]{}, err
		}
		if more = len(items) == size; more {
			break
		}
		v := h.stored(name, sn, &carry)
		if st.Waiting+st.Parked > 0 {
			if v.Blocked, err = blocked(ctx, u, sn.Key.Key); err != nil {
				return listView[stateView]{}, err
			}
		}
		items = append(items, v)
	}
	list := listOf(items)
	if more {
		list.Next = mark{Kind: "states", Key: items[len(items)-1].Key}.cursor()
	}
	return list, nil
}

// blocked says whether events of a key were set aside.
func blocked(ctx context.Context, u *store.Subscriber, key string) (bool, error) {
	for row, err := range u.KeyRows(ctx, key) {
		if err != nil || row.State != store.Skipped {
			return err == nil, err
		}
	}
	return false, nil
}

// stored shows a stored state, as JSON where the program can make JSON of it.
func (h *Handler) stored(model string, sn store.Snapshot, b *budget) stateView {
	v := stateView{Key: sn.Key.Key, Position: sn.Position, Version: sn.Version, Revision: sn.Revision}
	contentType, data := sn.ContentType, sn.State
	if p, ok := h.programs[model]; ok && !isJSON(contentType) && p.Model != nil {
		if readable, err := p.Model.JSON(sn); err == nil { // else it is of another definition
			contentType, data = "application/json", readable
		}
	}
	v.State = h.payload(contentType, data, b)
	v.State.ContentType, v.State.Size = sn.ContentType, len(sn.State)
	return v
}

func (h *Handler) getState(r *http.Request) (any, error) {
	p := parameters(r, "key", "at")
	name, key, at := r.PathValue("name"), p.text("key"), p.text("at")
	if p.err != nil {
		return nil, p.err
	}
	if err := program.CheckKey(key); err != nil {
		return nil, err
	}
	return h.state(r.Context(), name, key, at)
}

// state returns the state of a key as it is stored, or, with at, as it was then.
func (h *Handler) state(ctx context.Context, name, key, at string) (stateDetail, error) {
	st, err := h.modelStatus(ctx, name)
	if err != nil {
		return stateDetail{}, err
	}
	if at != "" {
		return h.stateAt(ctx, name, key, at)
	}
	sn, err := h.store.State(ctx, store.SnapshotKey{Projection: name, Generation: st.Subscriber.Key.Generation, Key: key})
	if err != nil {
		return stateDetail{}, err
	}
	v := stateDetail{stateView: h.stored(name, sn, nil), Model: name, At: max(st.Subscriber.Checkpoint, sn.Position)}
	if v.Blocked, err = blocked(ctx, h.store.Subscriber(st.Subscriber.Key), key); err != nil {
		return stateDetail{}, err
	}
	v.Time, err = h.timeAt(ctx, sn.Position)
	return v, err
}

// timeAt is the time of an event; nil for position 0.
func (h *Handler) timeAt(ctx context.Context, pos event.Position) (*time.Time, error) {
	if pos == 0 {
		return nil, nil
	}
	ev, err := h.store.Event(ctx, pos)
	return timeOf(ev.Time), err
}
