package event

import "time"

// Event is a stored event: the envelope around its encoded payload. It is a value
// and may be copied; copies share Data and Metadata, which nobody may modify.
//
// The store fills Position, Version and Time; events from [Schema.Encode] do not have
// them yet.
type Event struct {
	ID       ID       // identity, never order
	Position Position // number in the store, in commit order, from 1
	Stream   Stream
	Version  uint64 // number in the stream, from 1

	Name          string // name of the type as it was stored; see Type for the current one
	SchemaVersion int    // version of the payload's schema, from 1; 0 is read as 1
	RoutingKey    string // label of the stream; "" = none

	Time        time.Time // time of the commit in UTC, in milliseconds
	Metadata    Metadata
	ContentType string // format of Data; "" is read as JSON
	Data        []byte // the encoded payload

	schema *Schema // attached by Bind and Encode; nil = the default schema
}

// Type returns the current type of the event: the stored one, or what the aliases of
// the schema made of it. Name keeps the stored name.
func (e Event) Type() Type { return e.schema.current(e.StoredType()) }

// StoredType returns the type under which the event was stored, whatever it is
// called today.
func (e Event) StoredType() Type {
	return Type{Aggregate: e.Stream.Aggregate, Name: e.Name}
}

func (e *Event) schemaVersion() int {
	if e.SchemaVersion == 0 {
		return 1
	}
	return e.SchemaVersion
}
