package pebblestore

import (
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/riffle-go/riffle/event"
)

// A later version may add fields of any kind to an envelope without a new format.
func TestFieldsOfALaterVersionArePassedOver(t *testing.T) {
	t.Parallel()
	dict := newDictionary()
	dict.addAggregate(things, 1)
	dict.addName(things.Event("name"), 1)
	ev := event.Event{ID: event.NewID(), SchemaVersion: 3, ContentType: jsonContentType, Data: []byte("data")}
	b, err := appendEnvelope(nil, "id", "", &ev)
	if err != nil {
		t.Fatal(err)
	}
	sealEnvelope(b, 1, 0, 7, 1234)
	for name, field := range map[string][]byte{
		"bytes":         protowire.AppendString(protowire.AppendTag(nil, 9, protowire.BytesType), "later"),
		"a high number": protowire.AppendString(protowire.AppendTag(nil, 900, protowire.BytesType), "later"),
		"varint":        protowire.AppendVarint(protowire.AppendTag(nil, 9, protowire.VarintType), 300),
		"fixed32":       protowire.AppendFixed32(protowire.AppendTag(nil, 9, protowire.Fixed32Type), 1),
		"fixed64":       protowire.AppendFixed64(protowire.AppendTag(nil, 9, protowire.Fixed64Type), 1),
		"group":         protowire.AppendTag(protowire.AppendTag(nil, 9, protowire.StartGroupType), 9, protowire.EndGroupType),
	} {
		longer := append(append(append([]byte{}, b[:headerSize]...), field...), b[headerSize:]...)
		var got event.Event
		if err := decodeEnvelope(longer, 1, dict, &got); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got.ID != ev.ID || got.SchemaVersion != 3 || string(got.Data) != "data" || got.Version != 7 {
			t.Errorf("%s: the event became %+v", name, got)
		}
	}
}
