package admin

import (
	"net/http"
	"slices"

	"github.com/riffle-go/riffle/worker"
)

// overviewPage shows how the whole is, what needs somebody, and what happened last.
type overviewPage struct {
	Overview      overviewView
	Subscriptions []subscriptionView
	Attention     []subscriptionView
	Events        []eventView
	Failed        *errorView // why nothing can be written
}

const latestEvents = 8

func (p *pages) overview(r *http.Request) (*frame, error) {
	ctx := r.Context()
	v, err := p.h.overview(ctx)
	if err != nil {
		return nil, err
	}
	subscriptions, err := p.h.subscriptions(ctx)
	if err != nil {
		return nil, err
	}
	events, err := p.h.events(ctx, eventsQuery{newest: true, limit: latestEvents})
	if err != nil {
		return nil, err
	}
	return p.frame("overview", "overview", "Overview", overviewPage{
		Overview: v, Subscriptions: subscriptions.Items, Events: events.Items, Failed: errorOf(p.h.store.Err()),
		Attention: slices.DeleteFunc(slices.Clone(subscriptions.Items), func(s subscriptionView) bool { return !s.NeedsAttention() }),
	}), nil
}

// NeedsAttention says that somebody should look at a projection.
func (v subscriptionView) NeedsAttention() bool {
	return v.Error != nil || v.Parked > 0 || v.Halted != "" || v.Paused != "" || v.Orphaned || v.State == worker.Retrying
}

// Reason is why a projection does not work.
func (v subscriptionView) Reason() string {
	switch {
	case v.Halted != "":
		return "Halted: " + v.Halted
	case v.Paused != "":
		return "Paused: " + v.Paused
	case v.Orphaned:
		return "The store has it, this program does not."
	}
	return ""
}

// Trouble is what is wrong, unless that is the reason too.
func (v subscriptionView) Trouble() string {
	if v.Error == nil || v.Error.Text == v.Paused || v.Error.Text == v.Halted {
		return ""
	}
	return v.Error.Text
}

// Can says whether an action makes sense for a projection.
func (v subscriptionView) Can(verb string) bool { return slices.Contains(v.Actions, verb) }

// ShortOwner is the end of a worker's id, which tells workers apart.
func (v subscriptionView) ShortOwner() string {
	return v.Owner[max(0, len(v.Owner)-6):]
}

// Size64 is the size as templates want it.
func (v payloadView) Size64() int64 { return int64(v.Size) }
