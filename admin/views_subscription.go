package admin

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/worker"
)

// subscriptionView is a projection in a list.
type subscriptionView struct {
	Name     string       `json:"name"`
	Kind     string       `json:"kind"` // model, effect or sink
	State    worker.State `json:"state"`
	Orphaned bool         `json:"orphaned"` // the store has it, this program does not
	Actions  []string     `json:"actions"`  // what may be asked for, if the client is allowed to

	Owner      string     `json:"owner"` // worker id; "" is nobody
	LeaseUntil *time.Time `json:"lease_until"`
	Term       uint64     `json:"term"`
	Generation uint32     `json:"generation"`
	Revision   int        `json:"revision"`

	Position event.Position `json:"position"` // everything up to here is committed
	Head     event.Position `json:"head"`
	Backlog  uint64         `json:"backlog"` // positions that may hold events for it
	Lag      float64        `json:"lag_seconds"`
	Stuck    float64        `json:"stuck_seconds"` // without progress while behind
	Rate     *float64       `json:"rate"`          // positions per second; null is unknown

	Waiting     int        `json:"waiting"`
	Parked      int        `json:"parked"`
	ParkedSince *time.Time `json:"parked_since"`

	Paused   string       `json:"paused"` // why; "" is not paused
	Halted   string       `json:"halted"` // why; "" is not halted
	Restarts uint64       `json:"restarts"`
	Error    *errorView   `json:"error"` // what is wrong now
	Rebuild  *rebuildView `json:"rebuild"`

	UpdatedAt *time.Time `json:"updated_at"` // of the last commit
}

// errorView is an error of the runtime or of a handler.
type errorView struct {
	Type string `json:"type"` // as error.type in telemetry
	Text string `json:"text"`
}

// rebuildView is a generation that is being built.
type rebuildView struct {
	Generation uint32         `json:"generation"`
	State      worker.State   `json:"state"`
	Position   event.Position `json:"position"`
	Progress   float64        `json:"progress"` // 0 to 1
	Error      *errorView     `json:"error"`
}

// subscriptionDetail is all of one projection but the events set aside.
type subscriptionDetail struct {
	subscriptionView
	CreatedAt   *time.Time       `json:"created_at"`
	SwitchedAt  *time.Time       `json:"switched_at"` // of the last switch of generations
	Start       event.Position   `json:"start"`
	InHand      event.Position   `json:"in_hand"`  // the event that a worker handles, of those that go one by one; "0" is none
	Drain       string           `json:"drain"`    // worker id that wants to take over
	Retrying    int              `json:"retrying"` // keys that wait for the worker to retry them
	Generations []generationView `json:"generations"`
	Skips       []skipView       `json:"skips"` // the latest, at most 100
	SkipsTotal  int              `json:"skips_total"`
	Settings    *settingsView    `json:"settings"` // null without the program's code
}

// generationView is one build of a projection.
type generationView struct {
	Number      uint32     `json:"number"`
	State       string     `json:"state"` // building, active or retired
	Revision    int        `json:"revision"`
	Fingerprint string     `json:"fingerprint"`
	Filter      string     `json:"filter"`
	CreatedAt   *time.Time `json:"created_at"`
	RetiredAt   *time.Time `json:"retired_at"`
}

// skipView is an event that an operator skipped.
type skipView struct {
	Key      string         `json:"key"`
	Position event.Position `json:"position"`
}

// settingsView is how a projection is defined.
type settingsView struct {
	Match       []matchView `json:"match"` // null is every event
	RoutingKey  *string     `json:"routing_key"`
	Strict      bool        `json:"strict"`
	PageSize    int         `json:"page_size"`
	Concurrency int         `json:"concurrency"`
	CommitEvery float64     `json:"commit_every_seconds"`
	Attempts    int         `json:"attempts"`
	OnFailure   string      `json:"on_failure"`
	OnChange    string      `json:"on_change"`
	Repeat      bool        `json:"repeat"`
}

// matchView selects events.
type matchView struct {
	Aggregate event.Aggregate `json:"aggregate"`
	ID        string          `json:"id,omitempty"`
	Name      string          `json:"name,omitempty"`
}

const mostSkips = 100

func (h *Handler) getSubscriptions(r *http.Request) (any, error) {
	if p := parameters(r); p.err != nil {
		return nil, p.err
	}
	return h.subscriptions(r.Context())
}

func (h *Handler) subscriptions(ctx context.Context) (listView[subscriptionView], error) {
	s, err := h.sample.now(ctx)
	if err != nil {
		return listView[subscriptionView]{}, err
	}
	return h.subscriptionsOf(s), nil
}

func (h *Handler) subscriptionsOf(s *sample) listView[subscriptionView] {
	items := make([]subscriptionView, 0, len(s.statuses))
	for _, st := range s.statuses {
		items = append(items, h.subscriptionOf(s, st))
	}
	return listOf(items)
}

func (h *Handler) getSubscription(r *http.Request) (any, error) {
	if p := parameters(r); p.err != nil {
		return nil, p.err
	}
	return h.subscription(r.Context(), r.PathValue("name"))
}

func (h *Handler) subscription(ctx context.Context, name string) (subscriptionDetail, error) {
	s, st, err := h.status(ctx, name)
	if err != nil {
		return subscriptionDetail{}, err
	}
	row, info := st.Row, st.Subscriber
	v := subscriptionDetail{
		subscriptionView: h.subscriptionOf(s, st),
		CreatedAt:        timeOf(row.CreatedAt), SwitchedAt: timeOf(row.SwitchedAt),
		Start: row.Start, InHand: info.InHand, Retrying: len(info.Wish.Retry),
		Generations: make([]generationView, 0, len(row.Generations)),
		SkipsTotal:  len(row.Skips), Skips: []skipView{},
	}
	if !info.Wish.Drain.IsZero() {
		v.Drain = info.Wish.Drain.String()
	}
	for _, g := range row.Generations {
		v.Generations = append(v.Generations, generationView{
			Number: g.Number, State: g.State.String(), Revision: g.Revision, Fingerprint: g.Fingerprint, Filter: g.Filter,
			CreatedAt: timeOf(g.CreatedAt), RetiredAt: timeOf(g.RetiredAt),
		})
	}
	for _, skip := range row.Skips[max(len(row.Skips)-mostSkips, 0):] {
		v.Skips = append(v.Skips, skipView{skip.Key, skip.Position})
	}
	if p, ok := h.programs[name]; ok {
		v.Settings = settingsOf(p)
	}
	return v, nil
}

// status finds one projection in a sample.
func (h *Handler) status(ctx context.Context, name string) (*sample, engine.Status, error) {
	s, err := h.sample.now(ctx)
	if err != nil {
		return nil, engine.Status{}, err
	}
	for _, st := range s.statuses {
		if st.Projection == name {
			return s, st, nil
		}
	}
	return nil, engine.Status{}, unknown(name)
}

func unknown(name string) error {
	return fmt.Errorf("%w: %.100q", engine.ErrUnknown, name)
}

func (h *Handler) subscriptionOf(s *sample, st engine.Status) subscriptionView {
	info := st.Subscriber
	v := subscriptionView{
		Name: st.Projection, Kind: st.Kind, State: st.State, Orphaned: st.State == engine.Orphaned,
		Actions: h.actionsOf(st),
		Term:    info.Term, LeaseUntil: timeOf(info.Until), Generation: info.Key.Generation, Revision: revisionOf(st.Row),
		Position: info.Checkpoint, Head: s.head.Position,
		Backlog: st.Backlog, Lag: st.Lag.Seconds(), Stuck: st.Stuck.Seconds(), Rate: s.rates[st.Projection],
		Waiting: st.Waiting, Parked: st.Parked, ParkedSince: timeOf(st.ParkedSince),
		Paused: info.Paused, Halted: info.Wish.Halted, Restarts: st.Restarts, Error: errorOf(st.Err),
		UpdatedAt: timeOf(info.UpdatedAt),
	}
	if !info.Worker.IsZero() {
		v.Owner = info.Worker.String()
	}
	if v.Orphaned { // the engine does not measure what it does not run
		v.Backlog = uint64(max(s.head.Position, info.Checkpoint) - info.Checkpoint)
	}
	if b := st.Rebuild; b != nil {
		v.Rebuild = &rebuildView{Generation: b.Generation, State: b.State, Position: b.Position, Progress: b.Progress, Error: errorOf(b.Err)}
	}
	return v
}

func revisionOf(row store.ProjectionRow) int {
	for _, g := range row.Generations {
		if g.Number == row.Active {
			return g.Revision
		}
	}
	return 0
}

// maxErrorText bounds the text of an error: one of a panic has a stack.
const maxErrorText = 8 << 10

func errorOf(err error) *errorView {
	if err == nil {
		return nil
	}
	return &errorView{Type: errorType(err), Text: cut(err.Error(), maxErrorText)}
}

// cut shortens a text without breaking a character.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && s[most]&0xC0 == 0x80 {
		most--
	}
	return s[:most] + "…"
}

func settingsOf(p *program.Program) *settingsView {
	v := &settingsView{
		RoutingKey: p.RoutingKey, Strict: p.Strict, PageSize: p.PageSize, Concurrency: max(p.Concurrency, 1),
		CommitEvery: p.CommitEvery.Seconds(), Attempts: p.Retry.Attempts,
		OnFailure: p.OnFailure.String(), OnChange: p.OnChange.String(), Repeat: p.Repeat,
	}
	for _, m := range p.Match {
		v.Match = append(v.Match, matchView{m.Aggregate, m.ID, m.Name})
	}
	return v
}

// actionsOf are the verbs that make sense for a projection.
func (h *Handler) actionsOf(st engine.Status) []string {
	out := []string{}
	if st.Subscriber.Paused != "" || st.Subscriber.Wish.Halted != "" {
		out = append(out, VerbResume)
	}
	if st.Subscriber.Paused == "" {
		out = append(out, VerbPause)
	}
	if st.Waiting+st.Parked > 0 {
		out = append(out, VerbRetry)
	}
	p, own := h.programs[st.Projection]
	if own {
		resets := p.Kind == program.Sink && p.Sink.Resetter() != nil
		out = append(out, VerbSkip)
		if p.Kind == program.Model || resets {
			out = append(out, VerbRebuild)
		}
		if p.Kind == program.Effect && p.Repeat || resets {
			out = append(out, VerbRewind)
		}
	}
	return append(out, VerbRelease)
}
