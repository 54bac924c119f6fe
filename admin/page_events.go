package admin

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/riffle-go/riffle/event"
)

// eventsPage is the event browser.
type eventsPage struct {
	Filter url.Values // as it was asked for
	Types  []aggregateView
	Events listView[eventView]
	Newest bool // first
	Wrong  *problem
	Narrow bool // a filter is set
}

// Get is a value of the filter.
func (v eventsPage) Get(name string) string { return v.Filter.Get(name) }

// Next links to the page behind this one.
func (v eventsPage) Next() string { return v.page("after", v.Events.Next) }

// Prev links to the page before this one.
func (v eventsPage) Prev() string { return v.page("before", v.Events.Prev) }

func (v eventsPage) page(direction, cursor string) string {
	if cursor == "" {
		return ""
	}
	return "events?" + with(v.Filter, "after", "", "before", "", direction, cursor).Encode()
}

func (p *pages) events(r *http.Request) (*frame, error) {
	asked := dropEmpty(r)
	body := eventsPage{Filter: asked.URL.Query()}
	body.Newest = body.Get("order") != "oldest"
	for name := range body.Filter {
		body.Narrow = body.Narrow || (name != "after" && name != "before" && name != "order" && name != "limit")
	}
	types, err := p.h.aggregates(r.Context())
	if err != nil {
		return nil, err
	}
	body.Types = types
	f := p.frame("events", "events", "Events", nil)
	q, err := p.h.eventsQuery(refine(asked))
	if err == nil {
		body.Events, err = p.h.events(r.Context(), q)
	}
	if err != nil { // the filter stays, to be corrected
		body.Wrong = asProblem(err)
		if body.Wrong.private {
			return nil, err
		}
		f.status = body.Wrong.Status
	}
	f.Body = body
	return f, nil
}

// dropEmpty removes the fields of a form that were left empty. Only points in time lose the
// space around them: names, ids and keys may begin or end with it.
func dropEmpty(r *http.Request) *http.Request {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return r // parameters says what is wrong
	}
	for name, values := range q {
		kept := values[:0]
		for _, v := range values {
			if name == "from" || name == "to" {
				v = strings.TrimSpace(v)
			}
			if v != "" {
				kept = append(kept, v)
			}
		}
		if q[name] = kept; len(kept) == 0 {
			delete(q, name)
		}
	}
	return withQuery(r, q)
}

// refine makes parameters of the API of what people write into the form: times without a
// zone, and a box for events without a routing key.
func refine(r *http.Request) *http.Request {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return r // parameters says what is wrong
	}
	if q.Has("unkeyed") {
		q.Del("unkeyed")
		q.Set("routing_key", "")
	}
	for _, name := range []string{"from", "to"} {
		for _, layout := range []string{"2006-01-02", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02T15:04:05.999", "2006-01-02 15:04:05.999"} {
			if t, err := time.Parse(layout, q.Get(name)); err == nil {
				q.Set(name, t.Format(time.RFC3339Nano))
			}
		}
		if digits := strings.ReplaceAll(q.Get(name), ",", ""); digits != "" && strings.Trim(digits, "0123456789") == "" {
			q.Set(name, digits)
		}
	}
	return withQuery(r, q)
}

func withQuery(r *http.Request, q url.Values) *http.Request {
	changed := new(*r)
	u := *r.URL
	u.RawQuery = q.Encode()
	changed.URL = &u
	return changed
}

// eventPage shows one event and what it belongs to.
type eventPage struct {
	eventDetail
	Around    aroundView
	Causation causationView
	Before    event.Position // in the log; 0 is none
	After     event.Position
}

const aroundShown = 4

func (p *pages) event(r *http.Request) (*frame, error) {
	q := parameters(r, "position")
	var pos event.Position
	err := q.err
	if err == nil {
		err = pos.UnmarshalText([]byte(q.text("position")))
	}
	if err == nil && pos == 0 {
		err = invalid("position", "is 0; positions begin at 1")
	}
	if err != nil {
		return nil, err
	}
	var body eventPage
	if body.eventDetail, err = p.h.eventAt(r.Context(), pos); err != nil {
		return nil, err
	}
	if body.Around, err = p.h.around(r.Context(), pos, aroundShown); err != nil {
		return nil, err
	}
	if body.Causation, err = p.h.causation(r.Context(), pos); err != nil {
		return nil, err
	}
	head, err := p.h.store.Head(r.Context())
	if err != nil {
		return nil, err
	}
	if body.Before = pos - 1; pos < head.Position {
		body.After = pos + 1
	}
	return p.frame("events", "event", "Event "+formatCount(pos), body), nil
}

// Alone says that nothing is known of causes and effects.
func (v causationView) Alone() bool {
	return len(v.Causes) == 0 && len(v.Effects) == 0 && v.Missing == ""
}

// Oldest are the causes in the order in which they happened.
func (v causationView) Oldest() []eventView {
	out := make([]eventView, 0, len(v.Causes))
	for i := range v.Causes {
		out = append(out, v.Causes[len(v.Causes)-1-i])
	}
	return out
}
