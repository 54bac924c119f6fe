package online

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/riffle-go/riffle/cmd/riffle/internal/api"
	"github.com/riffle-go/riffle/cmd/riffle/internal/display"
	"github.com/riffle-go/riffle/cmd/riffle/internal/report"
	"github.com/riffle-go/riffle/event"
)

// ListSubscriptions lists the subscriptions of a service.
func ListSubscriptions(c *cobra.Command, client *api.Client, format display.Format) error {
	all, err := client.Subscriptions(c.Context())
	if err != nil {
		return err
	}
	l := display.NewList(c.OutOrStdout(), format, subscriptionColumns...)
	for i := range all {
		if err := l.Add(&all[i], append(cells(&all[i]), display.Or(display.Line(trouble(&all[i]))))...); err != nil {
			return err
		}
	}
	if len(all) == 0 {
		remark(c, "nothing has subscribed to this store yet")
	}
	return l.Close()
}

var subscriptionColumns = []string{"SUBSCRIPTION", "KIND", "STATE", "POSITION", "BACKLOG", "LAG", "EVENTS/S", "WAITING", "PARKED", "TERM", "OWNER", "TROUBLE"}

// cells are the row of a subscription, but for what is wrong with it.
func cells(s *api.Subscription) []string {
	state := s.State
	if s.Rebuild != nil {
		state += fmt.Sprintf(", rebuilding %.0f %%", 100*s.Rebuild.Progress)
	}
	owner := "-"
	if len(s.Owner) > 6 {
		owner = s.Owner[len(s.Owner)-6:]
	}
	return []string{display.Quote(s.Name), s.Kind, state, s.Position.String(), display.Count(s.Backlog), seconds(s.Lag),
		perSecond(s.Rate), fmt.Sprint(s.Waiting), fmt.Sprint(s.Parked), fmt.Sprint(s.Term), owner}
}

// trouble says what is wrong with a subscription, or "".
func trouble(s *api.Subscription) string {
	switch {
	case s.Halted != "":
		return "halted: " + s.Halted
	case s.Paused != "":
		return "paused: " + s.Paused
	case s.Error != nil:
		return s.Error.Text
	case s.Rebuild != nil && s.Rebuild.Error != nil:
		return "rebuild: " + s.Rebuild.Error.Text
	case s.Orphaned:
		return "this program does not run it"
	case s.Parked > 0:
		return "events are parked, see riffle parked"
	}
	return ""
}

func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}

func perSecond(r *float64) string {
	if r == nil {
		return "-"
	}
	return display.Count(uint64(max(*r, 0) + 0.5))
}

// ListParked lists events that were set aside: of one subscription, or of all when name is
// "". state "all" is every state, limit 0 all of them.
func ListParked(c *cobra.Command, client *api.Client, name, state string, limit int, format display.Format) error {
	ctx := c.Context()
	var of []api.Subscription
	if name != "" {
		s, err := client.Subscription(ctx, name)
		if err != nil {
			return err
		}
		of = append(of, s)
	} else {
		all, err := client.Subscriptions(ctx)
		if err != nil {
			return err
		}
		of = all
	}
	l := display.NewList(c.OutOrStdout(), format, report.RowColumns...)
	n := 0
	for _, s := range of {
		q := url.Values{}
		if state != "all" {
			q.Set("state", state)
		}
		most := 0
		if limit > 0 {
			most = limit - n + 1 // one more shows that there are more
		}
		for row, err := range api.List[api.Row](ctx, client, "subscriptions/"+url.PathEscape(s.Name)+"/parked", q, most) {
			if err != nil {
				return errors.Join(err, l.Close())
			}
			if limit > 0 && n == limit {
				remark(c, "there are more; see all with --limit 0")
				return l.Close()
			}
			n++
			r := newRow(s, row)
			if err := l.Add(&r, r.Cells()...); err != nil {
				return err
			}
		}
	}
	switch {
	case n == 0 && state == "all":
		remark(c, "no event is set aside")
	case n == 0:
		remark(c, "no event is %s", state)
	}
	return l.Close()
}

func newRow(s api.Subscription, row api.Row) report.Row {
	r := report.Row{
		Subscription: s.Name, Generation: s.Generation, Key: row.Key, Position: row.Position, State: row.State,
		Attempts: row.Attempts, FirstError: row.FirstError, LastError: row.LastError, Since: when(row.Since), Due: when(row.Due),
	}
	if ev := row.Event; ev != nil {
		r.Aggregate, r.StreamID, r.Name = ev.Aggregate, ev.StreamID, ev.Name
	}
	return r
}

func when(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// EventsQuery selects events.
type EventsQuery struct {
	Types          []string
	Aggregate, ID  string
	RoutingKey     *string
	From, To       string // a position or a time
	Backward       bool
	Limit          int // 0 is all
	payloadsWanted bool
}

// WantPayloads asks for the data of events. Whether it is shown, the service decides.
func (q *EventsQuery) WantPayloads() { q.payloadsWanted = true }

// resolve finds the stored types that names alone mean.
func (q *EventsQuery) resolve(ctx context.Context, client *api.Client) error {
	if len(q.Types) == 0 {
		return nil
	}
	var stored api.Page[struct{ Type, Name string }]
	if err := client.Get(ctx, "types", nil, &stored); err != nil {
		return err
	}
	var whole []string
	for _, arg := range q.Types {
		found := false
		for _, t := range stored.Items {
			if t.Type == arg || t.Name == arg {
				whole, found = append(whole, t.Type), true
			}
		}
		if !found {
			return fmt.Errorf("there are no events of type %q; riffle types, or the admin page, lists those that are stored", arg)
		}
	}
	q.Types = whole
	return nil
}

func (q *EventsQuery) values() url.Values {
	v := url.Values{}
	for _, t := range q.Types {
		v.Add("type", t)
	}
	for name, value := range map[string]string{"aggregate": q.Aggregate, "id": q.ID, "from": q.From, "to": q.To} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if q.RoutingKey != nil {
		v.Set("routing_key", *q.RoutingKey)
	}
	v.Set("order", "oldest")
	if q.Backward {
		v.Set("order", "newest")
	}
	return v
}

// ListEvents lists events.
func ListEvents(c *cobra.Command, client *api.Client, q EventsQuery, format display.Format) error {
	l := display.NewList(c.OutOrStdout(), format, report.EventColumns...)
	n, most, masked := 0, 0, false
	if q.Limit > 0 {
		most = q.Limit + 1
	}
	if err := q.resolve(c.Context(), client); err != nil {
		return err
	}
	for ev, err := range api.List[api.Event](c.Context(), client, "events", q.values(), most) {
		if err != nil {
			return errors.Join(err, l.Close())
		}
		if q.Limit > 0 && n == q.Limit {
			bound := "from"
			if q.Backward {
				bound = "to"
			}
			remark(c, "there are more events: go on with --%s %d, or see all with --limit 0", bound, ev.Position)
			break
		}
		n++
		r := newEvent(ev)
		masked = masked || r.Masked
		if err := l.Add(&r, r.Cells()...); err != nil {
			return err
		}
	}
	if n == 0 {
		remark(c, "no events match")
	}
	if masked && q.payloadsWanted {
		remark(c, "the service masks the data of events (admin.Options.Payloads)")
	}
	return l.Close()
}

func newEvent(ev api.Event) report.Event {
	r := report.Event{
		Position: ev.Position, Time: ev.Time, ID: ev.ID, Aggregate: ev.Aggregate, StreamID: ev.StreamID, Version: ev.Version,
		Name: ev.Name, SchemaVersion: ev.SchemaVersion, RoutingKey: ev.RoutingKey, ContentType: ev.Payload.ContentType,
		Metadata: event.NewMetadata(ev.Metadata), Masked: ev.Payload.Shown != "full" && ev.Payload.Shown != "base64", Data: ev.Payload.Data,
	}
	if len(r.Data) == 0 {
		text, _ := json.Marshal(fmt.Sprintf("%d bytes, %s", ev.Payload.Size, ev.Payload.Shown)) // a string
		r.Data = text
	}
	return r
}

// ListStreams lists the streams of an aggregate, with ids that begin with a prefix.
func ListStreams(c *cobra.Command, client *api.Client, a event.Aggregate, prefix, after string, limit int, format display.Format) error {
	if a == "" {
		return errors.New("say which streams by --aggregate, such as bank/account")
	}
	if after != "" {
		return errors.New("--after is for directories; use --prefix, or --limit 0")
	}
	q := url.Values{"aggregate": {string(a)}}
	if prefix != "" {
		q.Set("prefix", prefix)
	}
	l := display.NewList(c.OutOrStdout(), format, report.StreamColumns...)
	n, most := 0, 0
	if limit > 0 {
		most = limit + 1
	}
	for s, err := range api.List[api.Stream](c.Context(), client, "streams", q, most) {
		if err != nil {
			return errors.Join(err, l.Close())
		}
		if limit > 0 && n == limit {
			remark(c, "there are more streams: narrow them with --prefix, or see all with --limit 0")
			break
		}
		n++
		r := report.Stream(s)
		if err := l.Add(&r, r.Cells()...); err != nil {
			return err
		}
	}
	if n == 0 {
		remark(c, "there are no such streams")
	}
	return l.Close()
}
