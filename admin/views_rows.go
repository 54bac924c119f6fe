package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// rowView is an event that was set aside, with its payload.
type rowView struct {
	Key        string         `json:"key"`
	Position   event.Position `json:"position"`
	State      string         `json:"state"`    // waiting, parked or skipped
	Attempts   int            `json:"attempts"` // 0: it only waits behind an earlier one of its key
	FirstError string         `json:"first_error"`
	LastError  string         `json:"last_error"`
	Due        *time.Time     `json:"due"` // of a waiting one
	Since      *time.Time     `json:"since"`
	UpdatedAt  *time.Time     `json:"updated_at"`
	Event      *eventView     `json:"event"` // null when it cannot be read
}

// rowsQuery selects events set aside.
type rowsQuery struct {
	key   string // "" is every key
	state string // "" is every state
	after mark
	limit int
}

// examineRows bounds how many rows a page looks at for those of a state.
const examineRows = 2000

var rowStates = []string{store.Waiting.String(), store.Parked.String(), store.Skipped.String()}

func (h *Handler) getParked(r *http.Request) (any, error) {
	p := parameters(r, "key", "state", "after", "limit")
	q := rowsQuery{key: p.text("key"), state: p.text("state"), after: p.after("rows"), limit: p.limit()}
	if q.state != "" && !slices.Contains(rowStates, q.state) {
		p.fault("state", "is %.40q; use waiting, parked or skipped", q.state)
	}
	if p.err != nil {
		return nil, p.err
	}
	return h.rows(r.Context(), r.PathValue("name"), q)
}

// rows returns a page of the events of a projection that were set aside, by key, then
// position. A page may come short; Next says whether there may be more.
func (h *Handler) rows(ctx context.Context, name string, q rowsQuery) (listView[rowView], error) {
	_, st, err := h.status(ctx, name)
	if err != nil {
		return listView[rowView]{}, err
	}
	items := make([]rowView, 0, q.limit)
	next, looked := "", 0
	last := q.after
	carry := budget{pageBytes}
	for row, err := range rowsAfter(ctx, h.store.Subscriber(st.Subscriber.Key), q) {
		if err != nil {
			return listView[rowView]{}, err
		}
		if len(items) == q.limit || looked == examineRows {
			next = last.cursor()
			break
		}
		looked++
		last = mark{Kind: "rows", Key: row.Key, Position: row.Position}
		if q.state != "" && row.State.String() != q.state {
			continue
		}
		v, err := h.row(ctx, row, &carry)
		if err != nil {
			return listView[rowView]{}, err
		}
		items = append(items, v)
	}
	list := listOf(items)
	list.Next = next
	return list, nil
}

// rowsAfter yields the rows behind a mark: the rest of its key, then those of later keys.
func rowsAfter(ctx context.Context, u *store.Subscriber, q rowsQuery) func(yield func(store.Row, error) bool) {
	return func(yield func(store.Row, error) bool) {
		first := q.key
		if first == "" {
			first = q.after.Key
		}
		if first != "" {
			for row, err := range u.KeyRows(ctx, first) {
				if err == nil && q.after.Key == first && row.Position <= q.after.Position {
					continue
				}
				if !yield(row, err) || err != nil {
					return
				}
			}
		}
		if q.key == "" {
			u.Rows(ctx, store.Range{After: first})(yield)
		}
	}
}

func (h *Handler) row(ctx context.Context, row store.Row, b *budget) (rowView, error) {
	v := rowView{
		Key: row.Key, Position: row.Position, State: row.State.String(), Attempts: row.Attempts,
		FirstError: cut(row.First, maxErrorText), LastError: cut(row.Last, maxErrorText),
		Since: timeOf(row.Since), UpdatedAt: timeOf(row.Updated),
	}
	if row.State == store.Waiting {
		v.Due = timeOf(row.Due)
	}
	ev, err := h.store.Event(ctx, row.Position)
	switch {
	case err == nil:
		v.Event = new(h.event(ev, b))
	case !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrCorrupt):
		return rowView{}, err
	}
	return v, nil
}
