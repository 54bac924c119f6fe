package admin

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/worker"
)

func (p *pages) subscriptions(r *http.Request) (*frame, error) {
	list, err := p.h.subscriptions(r.Context())
	if err != nil {
		return nil, err
	}
	return p.frame("subscriptions", "subscriptions", "Subscriptions", list.Items), nil
}

// subscriptionPage shows a projection, what of it was set aside, and what can be done.
type subscriptionPage struct {
	subscriptionDetail
	Rows  listView[rowView]
	Shown string // the state of the rows that are shown; "" is every state
	Key   string // whose rows are shown; "" is every key
}

// rowsShown is how many rows a page has; they carry payloads.
const rowsShown = 25

func (p *pages) subscription(r *http.Request) (*frame, error) {
	q := parameters(dropEmpty(r), "name", "state", "key", "after", "done")
	rows := rowsQuery{key: q.text("key"), state: q.text("state"), after: q.after("rows"), limit: rowsShown}
	if q.err != nil {
		return nil, q.err
	}
	if rows.state != "" && !slices.Contains(rowStates, rows.state) {
		return nil, invalid("state", "is %.40q; use waiting, parked or skipped", rows.state)
	}
	f, err := p.subscriptionFrame(r, q.text("name"), rows)
	if err == nil {
		f.Done = doneText[q.text("done")]
	}
	return f, err
}

func (p *pages) subscriptionFrame(r *http.Request, name string, q rowsQuery) (*frame, error) {
	detail, err := p.h.subscription(r.Context(), name)
	if err != nil {
		return nil, err
	}
	body := subscriptionPage{subscriptionDetail: detail, Shown: q.state, Key: q.key}
	if body.Rows, err = p.h.rows(r.Context(), name, q); err != nil {
		return nil, err
	}
	return p.frame("subscriptions", "subscription", formatKey(name), body), nil
}

// NextRows links to the rows behind those that are shown.
func (v subscriptionPage) NextRows() string {
	if v.Rows.Next == "" {
		return ""
	}
	return link("subscription", "name", v.Name, "state", v.Shown, "key", v.Key, "after", v.Rows.Next) + "#set-aside"
}

// Building is the rebuild that is under way, or an empty one, which the page keeps hidden
// until one begins.
func (v subscriptionPage) Building() rebuildView {
	if v.Rebuild == nil {
		return rebuildView{State: worker.Rebuilding}
	}
	return *v.Rebuild
}

// rowGroup is an event set aside, with those of its key that wait behind it.
type rowGroup struct {
	First  rowView
	Behind []rowView
}

// Groups puts the rows of a key together; those of a chosen key stay apart, to be acted on
// one by one.
func (v subscriptionPage) Groups() []rowGroup {
	var groups []rowGroup
	for _, r := range v.Rows.Items {
		last := len(groups) - 1
		if last >= 0 && v.Key == "" && !r.Failed() && r.State == store.Waiting.String() && groups[last].First.Key == r.Key {
			groups[last].Behind = append(groups[last].Behind, r)
			continue
		}
		groups = append(groups, rowGroup{First: r})
	}
	return groups
}

// Newest are the generations, the newest first.
func (v subscriptionPage) Newest() []generationView {
	return slices.SortedFunc(slices.Values(v.Generations), func(a, b generationView) int { return cmp.Compare(b.Number, a.Number) })
}

// Failed says that the row is what its key waits for, and not an event that came later.
func (v rowView) Failed() bool { return v.Attempts > 0 }
