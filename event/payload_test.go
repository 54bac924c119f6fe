package event_test

import (
	"testing"

	"github.com/riffle-go/riffle/event"
)

func TestOfGivesBarePayloadsAnIDThatStays(t *testing.T) {
	t.Parallel()
	fixed := event.Draft{Payload: returned{"bob"}, ID: event.NewID(), Metadata: event.NewMetadata(map[string]string{"k": "v"})}
	open := &event.Draft{Payload: returned{"eve"}}
	payloads := event.Of(lent{Hours: 1}, fixed, open)
	if open.ID != (event.ID{}) {
		t.Error("Of wrote into the caller's draft")
	}
	for i, p := range payloads {
		first, again := encode(t, nil, p), encode(t, nil, p)
		if first.ID.IsZero() || first.ID != again.ID {
			t.Errorf("payload %d: id %v, then %v", i, first.ID, again.ID)
		}
		if p.EventType() != first.Type() {
			t.Errorf("payload %d: a draft is %v, its event %v", i, p.EventType(), first.Type())
		}
	}
	if ev := encode(t, nil, payloads[1]); ev.ID != fixed.ID || ev.Metadata.Get("k") != "v" {
		t.Errorf("a draft lost its id or metadata: %+v", ev)
	}
	if ev := encode(t, nil, payloads[0]); ev.SchemaVersion != 3 {
		t.Errorf("a draft hides the schema version: %d", ev.SchemaVersion)
	}
	again := event.Of(payloads...)
	for i := range again {
		if a, b := encode(t, nil, again[i]), encode(t, nil, payloads[i]); a.ID != b.ID {
			t.Errorf("payload %d: Of of Of changed the id", i)
		}
	}
	if a, b := encode(t, nil, lent{}), encode(t, nil, lent{}); a.ID == b.ID {
		t.Error("two encodings of a bare payload share an id")
	}
	if got := event.Of(); len(got) != 0 {
		t.Errorf("Of() = %v", got)
	}
}
