package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/worker"
)

// overviewView is how the whole is.
type overviewView struct {
	Time          time.Time  `json:"time"` // of the sample
	Store         headView   `json:"store"`
	AppendRate    *float64   `json:"append_rate"` // events per second over the last seconds; null is unknown
	Disk          *Disk      `json:"disk,omitempty"`
	Health        healthView `json:"health"`
	Subscriptions countsView `json:"subscriptions"`
	Access        accessView `json:"access"`
}

// headView is the end of the log.
type headView struct {
	Name    string         `json:"name"`
	History event.ID       `json:"history"`
	Head    event.Position `json:"head"`
	Time    *time.Time     `json:"head_time"` // null in an empty store
}

// countsView adds subscriptions up.
type countsView struct {
	Total   int                  `json:"total"`
	States  map[worker.State]int `json:"states"`
	Backlog uint64               `json:"backlog"` // the largest
	Lag     float64              `json:"lag_seconds"`
	Waiting int                  `json:"waiting"`
	Parked  int                  `json:"parked"`
	Errors  int                  `json:"errors"` // with something wrong now
}

// accessView is what the Handler lets clients do and see.
type accessView struct {
	Actions  bool   `json:"actions"` // false: it only reads
	Payloads string `json:"payloads"`
	Backups  bool   `json:"backups"`
}

func (h *Handler) getOverview(r *http.Request) (any, error) {
	if p := parameters(r); p.err != nil {
		return nil, p.err
	}
	return h.overview(r.Context())
}

func (h *Handler) overview(ctx context.Context) (overviewView, error) {
	s, err := h.sample.now(ctx)
	if err != nil {
		return overviewView{}, err
	}
	return h.overviewOf(s), nil
}

func (h *Handler) overviewOf(s *sample) overviewView {
	v := overviewView{
		Time: s.at.UTC(), Store: h.headOf(s), AppendRate: s.appendRate, Disk: s.disk,
		Health: healthOf(s.health), Access: h.access(),
		Subscriptions: countsView{Total: len(s.statuses), States: make(map[worker.State]int)},
	}
	c := &v.Subscriptions
	for _, st := range s.statuses {
		c.States[st.State]++
		c.Backlog = max(c.Backlog, st.Backlog)
		c.Lag = max(c.Lag, st.Lag.Seconds())
		c.Waiting += st.Waiting
		c.Parked += st.Parked
		if st.Err != nil {
			c.Errors++
		}
	}
	return v
}

func (h *Handler) headOf(s *sample) headView {
	return headView{
		Name: h.store.Options().Name, History: s.head.History,
		Head: s.head.Position, Time: timeOf(s.head.Time),
	}
}

func (h *Handler) access() accessView {
	return accessView{
		Actions: h.options.Authorize != nil, Payloads: h.options.Payloads.String(),
		Backups: h.options.Authorize != nil && h.options.BackupDir != "",
	}
}

// timeOf is a time in UTC, or nil for none.
func timeOf(t time.Time) *time.Time {
	if t.IsZero() || t.UnixMilli() == 0 {
		return nil
	}
	return new(t.UTC())
}
