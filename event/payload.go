package event

// Payload is what a domain calls an event: a Go value that knows its stored type. The
// method must give the same answer for every value of the Go type, also for the zero
// value; payloads are usually plain structs.
type Payload interface {
	EventType() Type
}

// Versioned is a payload whose schema changed since its first version. Payloads that
// are not Versioned have schema version 1.
type Versioned interface {
	Payload
	// SchemaVersion is at least 1 and the same for all values of the Go type.
	SchemaVersion() int
}

// Draft is a payload together with what the caller wants to fix about its event. It
// is a payload itself, so drafts and bare payloads mix. Drafts inside drafts are
// unwrapped; the outer one wins.
type Draft struct {
	Payload
	ID       ID       // identity of the event; zero = a fresh one when it is encoded
	Metadata Metadata // of this event alone; its keys win over those of the batch
}

// Of makes events out of payloads: each gets its id now. The result may be appended
// again after an append whose outcome is unknown, because the store recognizes the
// ids; bare payloads get new ids each time they are appended. Drafts keep the id
// they have.
func Of(payloads ...Payload) []Payload {
	out := make([]Payload, len(payloads))
	for i, p := range payloads {
		d := draftOf(p)
		if d.ID.IsZero() {
			d.ID = NewID()
		}
		out[i] = d
	}
	return out
}

// draftOf flattens nested drafts into one whose Payload is not a draft.
func draftOf(p Payload) Draft {
	var inner Draft
	switch d := p.(type) {
	case Draft:
		inner = d
	case *Draft:
		if d != nil {
			inner = *d
		}
	default:
		return Draft{Payload: p}
	}
	flat := draftOf(inner.Payload)
	if !inner.ID.IsZero() {
		flat.ID = inner.ID
	}
	flat.Metadata = flat.Metadata.Merge(inner.Metadata)
	return flat
}

// schemaVersionOf wants a payload or a pointer to one: both have its methods.
func schemaVersionOf(v any) int {
	if v, ok := v.(Versioned); ok {
		return v.SchemaVersion()
	}
	return 1
}
