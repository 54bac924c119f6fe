package event_test

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/riffle-go/riffle/event"
)

func TestProtobufMessagesAreStoredAsProtobuf(t *testing.T) {
	t.Parallel()
	ev := encode(t, nil, titled{wrapperspb.String("Emma")})
	want, err := proto.Marshal(wrapperspb.String("Emma"))
	if err != nil {
		t.Fatal(err)
	}
	if ev.ContentType != "application/protobuf" || string(ev.Data) != string(want) {
		t.Fatalf("%s %x, want %x", ev.ContentType, ev.Data, want)
	}
	if got, err := event.Decode[titled](ev); err != nil || got.GetValue() != "Emma" {
		t.Errorf("wrapper by value: %v, %v", got, err)
	}
	if got, err := event.Decode[*titled](ev); err != nil || got.GetValue() != "Emma" {
		t.Errorf("wrapper by pointer: %v, %v", got, err)
	}

	fields, err := structpb.NewStruct(map[string]any{"year": 1815.0, "author": "Austen", "pages": 474.0})
	if err != nil {
		t.Fatal(err)
	}
	c := &catalogued{}
	proto.Merge(&c.Struct, fields)
	ev = encode(t, nil, c)
	got, err := event.Decode[*catalogued](ev)
	if err != nil || !proto.Equal(&got.Struct, fields) {
		t.Errorf("embedded by value: %v, %v", got, err)
	}
	for range 20 {
		if again := encode(t, nil, c); string(again.Data) != string(ev.Data) {
			t.Fatal("two encodings of one message differ")
		}
	}
}

// annotated looks like a message because it embeds one; Note would not be encoded.
type annotated struct {
	*wrapperspb.StringValue
	Note string
}

func (annotated) EventType() event.Type { return books.Event("annotated") }

func TestProtobufNeverLosesFieldsWithoutAWord(t *testing.T) {
	t.Parallel()
	_, err := event.NewSchema().Encode(annotated{wrapperspb.String("x"), "lost"})
	wantText(t, err, "fields beside its protobuf message")
	_, err = event.NewSchema().Encode(&annotated{wrapperspb.String("x"), "lost"})
	wantText(t, err, "fields beside its protobuf message")

	s := event.NewSchema(event.Encode(event.JSON(), annotated{}.EventType()))
	ev := encode(t, s, annotated{wrapperspb.String("x"), "kept"})
	got, err := event.Decode[annotated](ev)
	if err != nil || got.Note != "kept" || got.GetValue() != "x" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestProtobufRefusesWhatIsNoMessage(t *testing.T) {
	t.Parallel()
	_, err := event.NewSchema().Encode(titled{})
	wantText(t, err, "nil protobuf message")
	_, err = event.NewSchema(event.Encode(event.Protobuf(), typeReturned)).Encode(returned{})
	wantText(t, err, "not a protobuf message")

	ev := encode(t, nil, titled{wrapperspb.String("Emma")})
	ev.Data = ev.Data[:len(ev.Data)-1]
	_, err = event.Decode[titled](ev)
	wantDecodeError(t, err, "proto")
	ev = encode(t, nil, lent{})
	ev.ContentType = "application/protobuf"
	_, err = event.Decode[lent](ev)
	wantDecodeError(t, err, "not a protobuf message")
}

func TestCodecIsChosenByRuleAndFoundByContentType(t *testing.T) {
	t.Parallel()
	byType := event.NewSchema(event.Encode(fake{"x"}, typeReturned))
	ev := encode(t, byType, returned{"ann"})
	if ev.ContentType != "x" || string(ev.Data) != "fake" {
		t.Fatalf("%+v", ev)
	}
	if got, err := event.Decode[returned](ev); err != nil || got.By != "fake" {
		t.Errorf("%v, %v", got, err)
	}
	if ev := encode(t, byType, lent{}); ev.ContentType != "application/json" {
		t.Errorf("type without a rule: %s", ev.ContentType)
	}

	fallback := event.NewSchema(event.Encode(fake{"x"}), event.Encode(event.JSON(), typeLent))
	for want, p := range map[string]event.Payload{"x": returned{}, "application/json": lent{}, "application/protobuf": titled{wrapperspb.String("")}} {
		if ev := encode(t, fallback, p); ev.ContentType != want {
			t.Errorf("%T: %s, want %s", p, ev.ContentType, want)
		}
	}
	old := encode(t, nil, returned{"ann"}) // stored before the rule
	fallback.Bind(&old)
	if got, err := event.Decode[returned](old); err != nil || got.By != "ann" {
		t.Errorf("event of an older codec: %v, %v", got, err)
	}

	for _, ct := range []string{"", "application/json", "application/protobuf"} {
		if _, ok := (*event.Schema)(nil).Codec(ct); !ok {
			t.Errorf("no built-in codec for %q", ct)
		}
	}
	if c, ok := event.NewSchema(event.Encode(fake{"application/json"})).Codec(""); !ok || c != event.Codec(fake{"application/json"}) {
		t.Errorf("a codec does not replace the built-in one: %v", c)
	}
	if c, ok := byType.Codec("y"); ok || c != nil {
		t.Errorf("a codec for an unknown content type: %v", c)
	}
}
