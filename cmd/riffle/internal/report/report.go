// Package report has the records that commands write, whether they read a directory or ask
// a running service: the same fields in JSON, the same columns in a table.
package report

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/riffle-go/riffle/cmd/riffle/internal/display"
	"github.com/riffle-go/riffle/event"
)

// Event is an event of the log.
type Event struct {
	Position      event.Position  `json:"position"`
	Time          time.Time       `json:"time"`
	ID            event.ID        `json:"id"`
	Aggregate     event.Aggregate `json:"aggregate"`
	StreamID      string          `json:"stream_id"`
	Version       uint64          `json:"version"`
	Name          string          `json:"name"`
	SchemaVersion int             `json:"schema_version"`
	RoutingKey    string          `json:"routing_key,omitempty"`
	Metadata      event.Metadata  `json:"metadata,omitzero"`
	ContentType   string          `json:"content_type"`
	Masked        bool            `json:"masked,omitempty"`
	Data          json.RawMessage `json:"data"`
}

// EventColumns are the head of a table of events.
var EventColumns = []string{"POSITION", "TIME", "STREAM", "VERSION", "EVENT", "DATA"}

// Cells are the row of the event.
func (r *Event) Cells() []string {
	return []string{r.Position.String(), display.Time(r.Time), string(r.Aggregate) + "/" + display.Quote(r.StreamID),
		fmt.Sprint(r.Version), r.Name, display.Line(string(r.Data))}
}

// Row is an event that was set aside.
type Row struct {
	Subscription string          `json:"subscription"`
	Generation   uint32          `json:"generation"`
	Segment      uint16          `json:"segment"`
	Key          string          `json:"key"`
	Position     event.Position  `json:"position"`
	State        string          `json:"state"`
	Aggregate    event.Aggregate `json:"aggregate,omitempty"`
	StreamID     string          `json:"stream_id,omitempty"`
	Name         string          `json:"name,omitempty"`
	Attempts     int             `json:"attempts"` // 0 is behind another event of its key
	FirstError   string          `json:"first_error,omitempty"`
	LastError    string          `json:"last_error,omitempty"`
	Since        time.Time       `json:"since,omitzero"`
	Due          time.Time       `json:"due,omitzero"`
}

// RowColumns are the head of a table of rows.
var RowColumns = []string{"SUBSCRIPTION", "KEY", "POSITION", "STATE", "EVENT", "ATTEMPTS", "SINCE", "DUE", "ERROR"}

// Cells are the row of the row.
func (r *Row) Cells() []string {
	name := r.Subscription
	if r.Generation > 0 {
		name = fmt.Sprintf("%s (generation %d)", name, r.Generation)
	}
	ev := "-"
	if r.Name != "" {
		ev = r.Aggregate.Event(r.Name).String()
	}
	message := display.Or(display.Line(r.LastError))
	if r.Attempts == 0 && r.LastError == "" {
		message = "behind an earlier event of its key"
	}
	return []string{name, display.Quote(r.Key), r.Position.String(), r.State, ev, fmt.Sprint(r.Attempts),
		display.Time(r.Since), display.Time(r.Due), message}
}

// Stream describes a stream.
type Stream struct {
	Aggregate  event.Aggregate `json:"aggregate"`
	ID         string          `json:"id"`
	Version    uint64          `json:"version"`
	RoutingKey string          `json:"routing_key,omitempty"`
	First      event.Position  `json:"first"`
	Last       event.Position  `json:"last"`
}

// StreamColumns are the head of a table of streams.
var StreamColumns = []string{"ID", "VERSION", "FIRST", "LAST", "ROUTING KEY"}

// Cells are the row of the stream.
func (r *Stream) Cells() []string {
	key := "-"
	if r.RoutingKey != "" {
		key = display.Quote(r.RoutingKey)
	}
	return []string{display.Quote(r.ID), fmt.Sprint(r.Version), r.First.String(), r.Last.String(), key}
}
