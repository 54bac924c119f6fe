package api

import (
	"encoding/json"
	"time"

	"github.com/riffle-go/riffle/event"
)

// Overview is how the whole is.
type Overview struct {
	Time  time.Time `json:"time"`
	Store struct {
		Name string         `json:"name"`
		Head event.Position `json:"head"`
	} `json:"store"`
	AppendRate *float64 `json:"append_rate"`
	Disk       *struct {
		Total uint64 `json:"total"`
	} `json:"disk"`
	Health struct {
		Live  bool `json:"live"`
		Ready bool `json:"ready"`
	} `json:"health"`
	Access struct {
		Actions  bool   `json:"actions"`
		Payloads string `json:"payloads"`
	} `json:"access"`
}

// Subscription is how a projection is.
type Subscription struct {
	Name       string         `json:"name"`
	Kind       string         `json:"kind"`
	State      string         `json:"state"`
	Orphaned   bool           `json:"orphaned"`
	Owner      string         `json:"owner"`
	LeaseUntil *time.Time     `json:"lease_until"`
	Term       uint64         `json:"term"`
	Generation uint32         `json:"generation"`
	Revision   int            `json:"revision"`
	Position   event.Position `json:"position"`
	Head       event.Position `json:"head"`
	Backlog    uint64         `json:"backlog"`
	Lag        float64        `json:"lag_seconds"`
	Stuck      float64        `json:"stuck_seconds"`
	Rate       *float64       `json:"rate"`
	Waiting    int            `json:"waiting"`
	Parked     int            `json:"parked"`
	Paused     string         `json:"paused"`
	Halted     string         `json:"halted"`
	Restarts   uint64         `json:"restarts"`
	Error      *Failure       `json:"error"`
	Rebuild    *Rebuild       `json:"rebuild"`
	UpdatedAt  *time.Time     `json:"updated_at"`
}

// Failure is an error of the runtime or of a handler.
type Failure struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// Rebuild is a generation that is being built.
type Rebuild struct {
	Generation uint32         `json:"generation"`
	State      string         `json:"state"`
	Position   event.Position `json:"position"`
	Progress   float64        `json:"progress"`
	Error      *Failure       `json:"error"`
}

// Row is an event that was set aside.
type Row struct {
	Key        string         `json:"key"`
	Position   event.Position `json:"position"`
	State      string         `json:"state"`
	Attempts   int            `json:"attempts"`
	FirstError string         `json:"first_error"`
	LastError  string         `json:"last_error"`
	Due        *time.Time     `json:"due"`
	Since      *time.Time     `json:"since"`
	Event      *Event         `json:"event"`
}

// Event is an event of the log.
type Event struct {
	Position      event.Position    `json:"position"`
	Time          time.Time         `json:"time"`
	ID            event.ID          `json:"id"`
	Aggregate     event.Aggregate   `json:"aggregate"`
	StreamID      string            `json:"stream_id"`
	Version       uint64            `json:"version"`
	Name          string            `json:"name"`
	Type          string            `json:"type"`
	SchemaVersion int               `json:"schema_version"`
	RoutingKey    string            `json:"routing_key"`
	Metadata      map[string]string `json:"metadata"`
	Payload       Payload           `json:"payload"`
}

// Payload is the data of an event, as far as the service shows it.
type Payload struct {
	Shown       string          `json:"shown"`
	ContentType string          `json:"content_type"`
	Size        int             `json:"size"`
	Data        json.RawMessage `json:"data"`
}

// Stream is a stream of events.
type Stream struct {
	Aggregate  event.Aggregate `json:"aggregate"`
	ID         string          `json:"id"`
	Version    uint64          `json:"version"`
	RoutingKey string          `json:"routing_key"`
	First      event.Position  `json:"first"`
	Last       event.Position  `json:"last"`
}

// Page is a page of a list.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next"`
}

// Sample is what the stream carries.
type Sample struct {
	Overview      Overview       `json:"overview"`
	Subscriptions []Subscription `json:"subscriptions"`
}

// Action is the body of an action; each verb takes some of the fields.
type Action struct {
	Confirm  string         `json:"confirm,omitempty"`
	Reason   string         `json:"reason,omitempty"`
	Key      string         `json:"key,omitempty"`
	Position event.Position `json:"position,omitzero"`
	To       string         `json:"to,omitempty"`
}

// Done is the answer to an action.
type Done struct {
	Verb         string        `json:"verb"`
	Subscription *Subscription `json:"subscription"` // nil when it could not be looked at
}
