package event_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/riffle-go/riffle/event"
)

func TestDecodeReturnsWhatWasEncoded(t *testing.T) {
	t.Parallel()
	ev := encode(t, nil, lent{24, "north"})
	if got, err := event.Decode[lent](ev); err != nil || got != (lent{24, "north"}) {
		t.Errorf("value: %v, %v", got, err)
	}
	if got, err := event.Decode[*lent](ev); err != nil || *got != (lent{24, "north"}) {
		t.Errorf("pointer: %v, %v", got, err)
	}
	ev.ContentType, ev.SchemaVersion = "", 3 // an event made by hand
	if got, err := event.Decode[lent](ev); err != nil || got.Hours != 24 {
		t.Errorf("no content type: %v, %v", got, err)
	}
}

func TestDecodeFollowsChainsFromEveryVersion(t *testing.T) {
	t.Parallel()
	s := event.NewSchema(event.Upcast(lentToHours), event.Upcast(lentToBranch))
	for _, p := range []event.Payload{lentV1{2}, lentV2{48}, lent{48, "main"}} {
		got, err := event.Decode[lent](encode(t, s, p))
		if err != nil || got != (lent{48, "main"}) {
			t.Errorf("%T: %v, %v", p, got, err)
		}
	}
	if got, err := event.Decode[lentV2](encode(t, s, lentV1{2})); err != nil || got.Hours != 48 {
		t.Errorf("to a version in the middle: %v, %v", got, err)
	}
	byHand := encode(t, s, lentV1{2})
	byHand.SchemaVersion = 0 // read as 1
	if got, err := event.Decode[lent](byHand); err != nil || got.Hours != 48 {
		t.Errorf("without a version: %v, %v", got, err)
	}
}

// setField sets a key of a JSON object, as bytes.
func setField(key string, value any) func([]byte) ([]byte, error) {
	return func(b []byte) ([]byte, error) {
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			return nil, err
		}
		m[key] = value
		return json.Marshal(m)
	}
}

func TestRawUpcastersMixWithTypedOnes(t *testing.T) {
	t.Parallel()
	t.Run("raw first", func(t *testing.T) {
		t.Parallel()
		s := event.NewSchema(event.UpcastRaw(typeLent, 1, setField("Hours", 7)), event.Upcast(lentToBranch))
		ev := encode(t, s, lentV1{2})
		if got, err := event.Decode[lentV2](ev); err != nil || got.Hours != 7 {
			t.Errorf("to v2: %v, %v", got, err)
		}
		if got, err := event.Decode[lent](ev); err != nil || got != (lent{7, "main"}) {
			t.Errorf("to v3: %v, %v", got, err)
		}
	})
	t.Run("raw last", func(t *testing.T) {
		t.Parallel()
		s := event.NewSchema(event.Upcast(lentToHours), event.UpcastRaw(typeLent, 2, setField("Branch", "east")))
		if got, err := event.Decode[lent](encode(t, s, lentV1{2})); err != nil || got != (lent{48, "east"}) {
			t.Errorf("%v, %v", got, err)
		}
	})
	t.Run("raw only", func(t *testing.T) {
		t.Parallel()
		s := event.NewSchema(event.UpcastRaw(typeLent, 1, setField("Hours", 7)), event.UpcastRaw(typeLent, 2, setField("Branch", "east")))
		if got, err := event.Decode[lent](encode(t, s, lentV1{2})); err != nil || got != (lent{7, "east"}) {
			t.Errorf("%v, %v", got, err)
		}
	})
}

// hexed is JSON that JSON's codec cannot read.
type hexed struct{}

func (hexed) ContentType() string { return "text/hex" }

func (hexed) Marshal(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	return hex.AppendEncode(nil, b), err
}

func (hexed) Unmarshal(data []byte, v any) error {
	b, err := hex.AppendDecode(nil, data)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// setHexed sets a key of an object that hexed wrote, as bytes.
func setHexed(key string, value any) func([]byte) ([]byte, error) {
	return func(b []byte) ([]byte, error) {
		var m map[string]any
		if err := (hexed{}).Unmarshal(b, &m); err != nil {
			return nil, err
		}
		m[key] = value
		return hexed{}.Marshal(m)
	}
}

func TestRawUpcastersKeepTheFormat(t *testing.T) {
	t.Parallel()
	t.Run("of the stored bytes", func(t *testing.T) {
		t.Parallel()
		s := event.NewSchema(event.Encode(hexed{}, typeLent), event.UpcastRaw(typeLent, 1, setHexed("Hours", 7)), event.Upcast(lentToBranch))
		if got, err := event.Decode[lent](encode(t, s, lentV1{2})); err != nil || got != (lent{7, "main"}) {
			t.Errorf("%v, %v", got, err)
		}
	})
	t.Run("that the type has today, behind a typed step", func(t *testing.T) {
		t.Parallel()
		s := event.NewSchema(event.Encode(hexed{}, typeLent), event.Upcast(lentToHours), event.UpcastRaw(typeLent, 2, setHexed("Branch", "east")))
		old := encode(t, nil, lentV1{2}) // JSON
		s.Bind(&old)
		for name, ev := range map[string]event.Event{"JSON": old, "hex": encode(t, s, lentV1{2})} {
			if got, err := event.Decode[lent](ev); err != nil || got != (lent{48, "east"}) {
				t.Errorf("stored as %s: %v, %v", name, got, err)
			}
		}
	})
}

func TestRawUpcastersOwnTheirBytes(t *testing.T) {
	t.Parallel()
	s := event.NewSchema(event.UpcastRaw(typeLent, 1, func(b []byte) ([]byte, error) {
		clear(b)
		return []byte(`{"Hours":1}`), nil
	}))
	ev := encode(t, s, lentV1{2})
	before := string(ev.Data)
	for range 2 {
		if got, err := event.Decode[lentV2](ev); err != nil || got.Hours != 1 {
			t.Fatal(got, err)
		}
	}
	if string(ev.Data) != before {
		t.Errorf("the event's data became %q", ev.Data)
	}
}

type returnedV2 struct{ Reader string }

func (returnedV2) EventType() event.Type { return typeReturned }
func (returnedV2) SchemaVersion() int    { return 2 }

func TestUpcastMayRenameWithAnAlias(t *testing.T) {
	t.Parallel()
	s := event.NewSchema(
		event.Alias(typeHandedIn, typeReturned),
		event.Upcast(func(o handedIn) (returnedV2, error) { return returnedV2{Reader: o.By}, nil }),
	)
	if got, err := event.Decode[returnedV2](encode(t, s, handedIn{"ann"})); err != nil || got.Reader != "ann" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestDecodeRefusesWithReasons(t *testing.T) {
	t.Parallel()
	chain := event.NewSchema(event.Upcast(lentToHours), event.Upcast(lentToBranch))
	damaged := func(p event.Payload, data string) event.Event {
		ev := encode(t, chain, p)
		ev.Data = []byte(data)
		return ev
	}
	foreign := encode(t, nil, lent{})
	foreign.ContentType = "text/csv"
	tests := []struct {
		name   string
		decode func() error
		want   string
	}{
		{"another type", func() error { _, err := event.Decode[returned](encode(t, nil, lent{})); return err }, "is library/book.lent, not library/book.returned"},
		{"the same name of another aggregate", func() error { _, err := event.Decode[lentRecord](encode(t, nil, lent{})); return err }, "is library/book.lent, not library/record.lent"},
		{"newer code wrote it", func() error { _, err := event.Decode[lentV2](encode(t, nil, lent{})); return err }, "deploy newer code"},
		{"no upcaster, no schema", func() error { _, err := event.Decode[lent](encode(t, nil, lentV2{})); return err }, "no upcaster from version 2 to 3"},
		{"no upcaster in the chain", func() error {
			_, err := event.Decode[lent](encode(t, event.NewSchema(event.Upcast(lentToHours)), lentV1{}))
			return err
		}, "no upcaster from version 2 to 3"},
		{"a chain that begins later", func() error {
			_, err := event.Decode[lent](encode(t, event.NewSchema(event.Upcast(lentToBranch)), lentV1{}))
			return err
		}, "no upcaster from version 1 to 2"},
		{"upcaster refuses", func() error { _, err := event.Decode[lent](encode(t, chain, lentV1{-1})); return err }, "upcast from version 1 to 2: lent for no real time"},
		{"damaged data", func() error { _, err := event.Decode[lent](damaged(lent{}, `{"Hours":`)); return err }, "unexpected end"},
		{"damaged data of a pointer", func() error { _, err := event.Decode[*lent](damaged(lent{}, `[`)); return err }, "unexpected end"},
		{"damaged old data", func() error { _, err := event.Decode[lent](damaged(lentV1{}, `[]`)); return err }, "upcast from version 1"},
		{"no data", func() error { _, err := event.Decode[lent](damaged(lent{}, ``)); return err }, "unexpected end"},
		{"unknown content type", func() error { _, err := event.Decode[lent](foreign); return err }, `"text/csv"`},
		{"interface", func() error { _, err := event.Decode[event.Payload](foreign); return err }, "concrete"},
		{"another Go type at the end of the chain", func() error {
			_, err := event.Decode[otherV2](encode(t, chain, lentV1{1}))
			return err
		}, "otherV2 is wanted"},
		{"upcaster gives nil", func() error {
			s := event.NewSchema(event.Upcast(func(lentV1) (*lentV2, error) { return nil, nil }))
			_, err := event.Decode[*lentV2](encode(t, s, lentV1{1}))
			return err
		}, "gave nil"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wantDecodeError(t, tt.decode(), tt.want)
		})
	}
}

func TestARefusedDecodeGivesNothing(t *testing.T) {
	t.Parallel()
	ev := encode(t, nil, lent{})
	ev.Data = []byte(`{"Hours":5,"Branch":7}`) // the codec fills Hours before it fails
	if got, err := event.Decode[lent](ev); err == nil || got != (lent{}) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := event.Decode[*lent](ev); err == nil || got != nil {
		t.Errorf("%v, %v", got, err)
	}
}

func TestDecodeErrorNamesTheEventAndNotItsData(t *testing.T) {
	t.Parallel()
	ev := encode(t, nil, lent{1, "secret"})
	ev.Position, ev.Version, ev.Stream.ID = 12, 3, "b1"
	_, err := event.Decode[returned](ev)
	want := `event: decode library/book.lent schema 3 (stream "library/book/b1" version 3, position 12): the event is library/book.lent, not library/book.returned`
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
	if strings.Contains(err.Error(), "secret") {
		t.Error("the payload is in the error")
	}
	if e, _ := errors.AsType[*event.DecodeError](err); e.Event.ID != ev.ID {
		t.Error("the error lost its event")
	}
}

func TestDecodeOfJSONCostsNoMoreThanUnmarshal(t *testing.T) {
	s := event.NewSchema(event.Upcast(lentToHours), event.Upcast(lentToBranch), event.Alias(typeHandedIn, typeReturned))
	ev := encode(t, s, lent{24, "north"})
	plain := testing.AllocsPerRun(200, func() {
		v := new(lent)
		if err := json.Unmarshal(ev.Data, v); err != nil {
			t.Fatal(err)
		}
	})
	got := testing.AllocsPerRun(200, func() {
		if _, err := event.Decode[lent](ev); err != nil {
			t.Fatal(err)
		}
	})
	if got > plain {
		t.Errorf("%v allocations, json.Unmarshal alone %v", got, plain)
	}
}

func BenchmarkDecode(b *testing.B) {
	ev := encode(b, event.NewSchema(event.Alias(typeHandedIn, typeReturned)), lent{24, "north"})
	b.Run("json.Unmarshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			v := new(lent)
			if err := json.Unmarshal(ev.Data, v); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := event.Decode[lent](ev); err != nil {
				b.Fatal(err)
			}
		}
	})
}
