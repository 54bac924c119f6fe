package admin

import (
	"context"
	"net/http"

	"github.com/riffle-go/riffle/event"
)

// storeView is the store as such.
type storeView struct {
	headView
	Error      *errorView      `json:"error"` // why nothing can be written; null is well
	Limits     limitsView      `json:"limits"`
	Traits     traitsView      `json:"traits"`
	Aggregates []aggregateView `json:"aggregates"`
	Disk       *Disk           `json:"disk"` // null when nobody tells
	DiskError  *errorView      `json:"disk_error"`
	Backups    backupsView     `json:"backups"`
}

// limitsView is what one call may carry.
type limitsView struct {
	EventBytes   int `json:"event_bytes"`
	AppendEvents int `json:"append_events"`
	AppendBytes  int `json:"append_bytes"`
	StateBytes   int `json:"state_bytes"`
	CommitItems  int `json:"commit_items"`
	CommitBytes  int `json:"commit_bytes"`
	KeyBytes     int `json:"key_bytes"`
	Examine      int `json:"examine"`
}

// traitsView is what the driver promises.
type traitsView struct {
	Dense        bool `json:"dense"`
	Ordered      bool `json:"ordered"`
	Backward     bool `json:"backward"`
	AtomicEmits  bool `json:"atomic_emits"`
	MonotoneTime bool `json:"monotone_time"`
	Durable      bool `json:"durable"`
	ReliableWake bool `json:"reliable_wake"`
}

// aggregateView is an aggregate with its types.
type aggregateView struct {
	Aggregate event.Aggregate `json:"aggregate"`
	Types     []string        `json:"types"` // names
}

func (h *Handler) getStore(r *http.Request) (any, error) {
	if p := parameters(r); p.err != nil {
		return nil, p.err
	}
	return h.storeView(r.Context())
}

func (h *Handler) storeView(ctx context.Context) (storeView, error) {
	s, err := h.sample.now(ctx)
	if err != nil {
		return storeView{}, err
	}
	aggregates, err := h.aggregates(ctx)
	if err != nil {
		return storeView{}, err
	}
	l, t := h.store.Limits(), h.store.Traits()
	v := storeView{
		headView: h.headOf(s), Error: errorOf(h.store.Err()), Disk: s.disk, DiskError: errorOf(s.diskErr),
		Limits:     limitsView{l.EventBytes, l.AppendEvents, l.AppendBytes, l.StateBytes, l.CommitItems, l.CommitBytes, l.KeyBytes, l.Examine},
		Traits:     traitsView{t.Dense, t.Ordered, t.Backward, t.AtomicEmits, t.MonotoneTime, t.Durable, t.ReliableWake},
		Aggregates: aggregates,
	}
	v.Backups = h.backups()
	return v, nil
}

// aggregates are all types, by aggregate.
func (h *Handler) aggregates(ctx context.Context) ([]aggregateView, error) {
	types, err := h.store.Types(ctx)
	all := []aggregateView{}
	for _, t := range types { // sorted by aggregate
		if n := len(all); n == 0 || all[n-1].Aggregate != t.Aggregate {
			all = append(all, aggregateView{Aggregate: t.Aggregate})
		}
		a := &all[len(all)-1]
		a.Types = append(a.Types, t.Name)
	}
	return all, err
}
