package event_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/riffle-go/riffle/event"
)

func wantText(t testing.TB, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Fatalf("got %v, want an error with %q", err, text)
	}
}

func TestEncodeFillsTheEnvelope(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*event.Schema{"nil schema": nil, "empty schema": event.NewSchema()} {
		ev := encode(t, s, lent{48, "north"})
		if ev.ID.IsZero() || ev.Stream != (event.Stream{Aggregate: books}) || ev.Name != "lent" || ev.SchemaVersion != 3 ||
			ev.ContentType != "application/json" || string(ev.Data) != `{"Hours":48,"Branch":"north"}` {
			t.Errorf("%s: %+v", name, ev)
		}
		if ev.Position != 0 || ev.Version != 0 || !ev.Time.IsZero() {
			t.Errorf("%s: what the store assigns is set: %+v", name, ev)
		}
		if v := encode(t, s, returned{"ann"}).SchemaVersion; v != 1 {
			t.Errorf("%s: default schema version %d, want 1", name, v)
		}
	}
}

func TestEncodeTakesIDAndMetadataFromDrafts(t *testing.T) {
	t.Parallel()
	id := event.NewID()
	inner := event.Draft{Payload: returned{"ann"}, ID: event.NewID(), Metadata: event.NewMetadata(map[string]string{"a": "1", "b": "1"})}
	outer := event.Draft{Payload: inner, ID: id, Metadata: event.NewMetadata(map[string]string{"b": "2"})}
	for _, p := range []event.Payload{outer, &outer, event.Draft{Payload: &outer}} {
		ev := encode(t, nil, p)
		if ev.ID != id || ev.Metadata.Get("a") != "1" || ev.Metadata.Get("b") != "2" || string(ev.Data) != `{"By":"ann"}` {
			t.Errorf("%T: %+v", p, ev)
		}
	}
}

type (
	unnamed struct{}
	zeroth  struct{}
	sealed  struct{ C chan int }
)

func (unnamed) EventType() event.Type { return books.Event("") }
func (zeroth) EventType() event.Type  { return books.Event("zeroth") }
func (zeroth) SchemaVersion() int     { return 0 }
func (sealed) EventType() event.Type  { return books.Event("sealed") }

func TestEncodeRefusesWhatCannotBeStored(t *testing.T) {
	t.Parallel()
	var none *returned
	for _, p := range []event.Payload{nil, none, event.Draft{}, (*event.Draft)(nil), event.Of(nil)[0]} {
		_, err := (*event.Schema)(nil).Encode(p)
		wantInvalid(t, err, "Payload")
	}
	_, err := event.NewSchema().Encode(unnamed{})
	wantInvalid(t, err, "Name")
	wantText(t, err, "unnamed")
	_, err = event.NewSchema().Encode(zeroth{})
	wantInvalid(t, err, "SchemaVersion")
	_, err = event.NewSchema().Encode(sealed{})
	wantText(t, err, "library/book.sealed")
}

func TestAliasGivesTheCurrentTypeAndKeepsTheStoredName(t *testing.T) {
	t.Parallel()
	s := event.NewSchema(event.Alias(typeDropped, typeHandedIn), event.Alias(typeHandedIn, typeReturned))
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	for _, p := range []event.Payload{dropped{"ann"}, handedIn{"ann"}, returned{"ann"}} {
		ev := encode(t, s, p)
		if ev.Type() != typeReturned || ev.StoredType() != p.EventType() || ev.Name != p.EventType().Name {
			t.Errorf("%T: type %v, name %q", p, ev.Type(), ev.Name)
		}
		got, err := event.Decode[returned](ev)
		if err != nil || got.By != "ann" {
			t.Errorf("%T: %v, %v", p, got, err)
		}
		_, err = event.Decode[handedIn](ev)
		wantDecodeError(t, err, "old name")
	}
}

func TestSourcesAreAllNamesThatBecameTheType(t *testing.T) {
	t.Parallel()
	gone := event.Aggregate("library/volume").Event("returned")
	s := event.NewSchema(event.Alias(typeDropped, typeHandedIn), event.Alias(typeHandedIn, typeReturned), event.Alias(gone, typeReturned))
	tests := []struct {
		of   event.Type
		want []event.Type
	}{
		{typeReturned, []event.Type{typeReturned, typeDropped, typeHandedIn, gone}},
		{typeHandedIn, []event.Type{typeHandedIn, typeDropped}},
		{typeDropped, []event.Type{typeDropped}},
		{typeLent, []event.Type{typeLent}},
	}
	for _, tt := range tests {
		got := s.Sources(tt.of)
		if !slices.Equal(got, tt.want) {
			t.Errorf("Sources(%v) = %v, want %v", tt.of, got, tt.want)
		}
		got[0] = event.Type{} // the caller owns it
		if again := s.Sources(tt.of); !slices.Equal(again, tt.want) {
			t.Errorf("Sources(%v) after the caller wrote to it = %v", tt.of, again)
		}
	}
	if got := (*event.Schema)(nil).Sources(typeLent); !slices.Equal(got, []event.Type{typeLent}) {
		t.Errorf("nil schema: %v", got)
	}
}

func TestBindMakesAnEventFollowTheSchema(t *testing.T) {
	t.Parallel()
	ev := encode(t, nil, handedIn{"ann"})
	if ev.Type() != typeHandedIn {
		t.Fatalf("without a schema: %v", ev.Type())
	}
	event.NewSchema(event.Alias(typeHandedIn, typeReturned)).Bind(&ev)
	if ev.Type() != typeReturned {
		t.Errorf("bound: %v", ev.Type())
	}
	(*event.Schema)(nil).Bind(&ev)
	if ev.Type() != typeHandedIn {
		t.Errorf("bound to nil: %v", ev.Type())
	}
}

// fake is a codec of which only the name matters.
type fake struct{ contentType string }

func (f fake) ContentType() string           { return f.contentType }
func (fake) Marshal(any) ([]byte, error)     { return []byte("fake"), nil }
func (fake) Unmarshal(_ []byte, v any) error { v.(*returned).By = "fake"; return nil }

type otherFake struct{ fake }

func TestSchemaFindsEveryFaultOfItsRules(t *testing.T) {
	t.Parallel()
	noHours := func(lentV1) (lentV2, error) { return lentV2{}, nil }
	raw := func(b []byte) ([]byte, error) { return b, nil }
	tests := []struct {
		name  string
		rules []event.Rule
		want  string
	}{
		{"nil rule", []event.Rule{nil}, "rule 1 is nil"},
		{"version left out by one upcaster", []event.Rule{event.Upcast(func(lentV1) (lent, error) { return lent{}, nil })}, "must go to version 2"},
		{"version unchanged", []event.Rule{event.Upcast(func(lentV1) (lentV1, error) { return lentV1{}, nil })}, "must go to version 2"},
		{"gap between upcasters", []event.Rule{event.UpcastRaw(typeLent, 1, raw), event.UpcastRaw(typeLent, 3, raw)}, "from version 2 to 3"},
		{"two from one version", []event.Rule{event.Upcast(noHours), event.Upcast(noHours)}, "two upcasters of library/book.lent from version 1"},
		{"raw and typed from one version", []event.Rule{event.Upcast(noHours), event.UpcastRaw(typeLent, 1, raw)}, "two upcasters"},
		{"two by way of an alias", []event.Rule{event.Alias(typeHandedIn, typeReturned), event.UpcastRaw(typeHandedIn, 1, raw), event.UpcastRaw(typeReturned, 1, raw)}, "two upcasters of library/book.returned"},
		{"raw version 0", []event.Rule{event.UpcastRaw(typeLent, 0, raw)}, "versions start at 1"},
		{"raw of no type", []event.Rule{event.UpcastRaw(event.Type{}, 1, raw)}, "Aggregate"},
		{"raw without a function", []event.Rule{event.UpcastRaw(typeLent, 1, nil)}, "no function"},
		{"typed without a function", []event.Rule{event.Upcast[lentV1, lentV2](nil)}, "needs a function"},
		{"interface", []event.Rule{event.Upcast(func(p event.Payload) (lentV2, error) { return lentV2{}, nil })}, "concrete"},
		{"interface as the result", []event.Rule{event.Upcast(func(lentV1) (event.Payload, error) { return lentV2{}, nil })}, "concrete"},
		{"types that do not meet", []event.Rule{event.Upcast(noHours), event.Upcast(func(otherV2) (lent, error) { return lent{}, nil })}, "takes event_test.otherV2"},
		{"other type without alias", []event.Rule{event.Upcast(func(dropped) (lentV2, error) { return lentV2{}, nil })}, "add event.Alias"},
		{"alias loop", []event.Rule{event.Alias(typeLent, typeReturned), event.Alias(typeReturned, typeLent)}, "circle"},
		{"alias of itself", []event.Rule{event.Alias(typeLent, typeLent)}, "circle"},
		{"alias into a loop", []event.Rule{event.Alias(typeDropped, typeLent), event.Alias(typeLent, typeReturned), event.Alias(typeReturned, typeLent)}, "alias of library/book.dropped runs in a circle"},
		{"two targets", []event.Rule{event.Alias(typeDropped, typeLent), event.Alias(typeDropped, typeReturned)}, "alias of both"},
		{"alias of nothing", []event.Rule{event.Alias(event.Type{}, typeLent)}, "Aggregate"},
		{"alias to nothing", []event.Rule{event.Alias(typeLent, event.Type{})}, "Aggregate"},
		{"nil codec", []event.Rule{event.Encode(nil)}, "needs a codec"},
		{"codec without a content type", []event.Rule{event.Encode(fake{})}, "needs a codec"},
		{"content type with a line break", []event.Rule{event.Encode(fake{"a\n"})}, "control character"},
		{"two codecs of one content type", []event.Rule{event.Encode(fake{"x"}), event.Encode(otherFake{fake{"x"}}, typeLent)}, "both claim"},
		{"two defaults", []event.Rule{event.Encode(fake{"x"}), event.Encode(fake{"y"})}, "two default codecs"},
		{"two codecs of a type", []event.Rule{event.Encode(fake{"x"}, typeLent), event.Encode(fake{"y"}, typeLent)}, "has two codecs"},
		{"codec for no type", []event.Rule{event.Encode(fake{"x"}, event.Type{})}, "Aggregate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := event.NewSchema(tt.rules...)
			wantText(t, s.Err(), tt.want)
			wantText(t, s.Err(), "event: schema: ")
			if _, err := s.Encode(returned{}); !errors.Is(err, s.Err()) {
				t.Errorf("Encode with a faulty schema: %v", err)
			}
			ev := encode(t, nil, returned{})
			s.Bind(&ev)
			if _, err := event.Decode[returned](ev); !errors.Is(err, s.Err()) {
				t.Errorf("Decode with a faulty schema: %v", err)
			}
		})
	}
	all := event.NewSchema(event.Alias(typeLent, typeLent), event.UpcastRaw(typeReturned, 0, raw), event.Encode(nil)).Err()
	for _, want := range []string{"circle", "versions start at 1", "needs a codec"} {
		wantText(t, all, want)
	}
}

type otherV2 struct{ Hours int64 }

func (otherV2) EventType() event.Type { return typeLent }
func (otherV2) SchemaVersion() int    { return 2 }

func TestSchemaAcceptsRulesInAnyOrderAndTwice(t *testing.T) {
	t.Parallel()
	rules := []event.Rule{
		event.Upcast(lentToBranch), event.Upcast(lentToHours),
		event.Alias(typeHandedIn, typeReturned), event.Alias(typeDropped, typeHandedIn), event.Alias(typeDropped, typeHandedIn),
		event.Encode(fake{"x"}, typeReturned), event.Encode(fake{"x"}, typeReturned), event.Encode(event.JSON()),
	}
	if err := event.NewSchema(rules...).Err(); err != nil {
		t.Error(err)
	}
	slices.Reverse(rules)
	if err := event.NewSchema(rules...).Err(); err != nil {
		t.Error(err)
	}
	if err := (*event.Schema)(nil).Err(); err != nil {
		t.Error(err)
	}
}
