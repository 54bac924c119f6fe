package event_test

import (
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/riffle-go/riffle/event"
)

var _ encoding.BinaryAppender = event.Metadata{}

func wire(t rapid.TB, m event.Metadata) []byte {
	t.Helper()
	b, err := m.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) != m.Size() {
		t.Fatalf("%d bytes appended, Size says %d", len(b), m.Size())
	}
	return b
}

func TestMetadataBehavesLikeAMap(t *testing.T) {
	t.Parallel()
	text := rapid.OneOf(rapid.SampledFrom([]string{"", "a", "b", "c", event.RequestedBy}), rapid.String())
	pairs := rapid.MapOfN(text, text, 0, 6)
	rapid.Check(t, func(t *rapid.T) {
		model := pairs.Draw(t, "pairs")
		m := event.NewMetadata(model)
		if rapid.Bool().Draw(t, "raw") {
			m = event.RawMetadata(wire(t, m))
		}
		for range rapid.IntRange(0, 4).Draw(t, "steps") {
			before, untouched := m, maps.Clone(model)
			if rapid.Bool().Draw(t, "merge") {
				over := pairs.Draw(t, "over")
				m = m.Merge(event.NewMetadata(over))
				maps.Copy(model, over)
			} else {
				k, v := text.Draw(t, "k"), text.Draw(t, "v")
				m, model[k] = m.With(k, v), v
			}
			if got := maps.Collect(before.All()); !maps.Equal(got, untouched) {
				t.Fatalf("changed under its holder: %q, want %q", got, untouched)
			}
		}
		got, keys := map[string]string{}, []string(nil)
		for k, v := range m.All() {
			got[k], keys = v, append(keys, k)
		}
		if !maps.Equal(got, model) || !slices.IsSorted(keys) || len(keys) != len(model) || m.Len() != len(model) {
			t.Fatalf("All gives %q (%q), want %q", got, keys, model)
		}
		for k, v := range model {
			if m.Get(k) != v {
				t.Fatalf("Get(%q) = %q, want %q", k, m.Get(k), v)
			}
		}
		if m.Get("absent key") != "" || m.IsZero() != (len(model) == 0) || m.Err() != nil {
			t.Fatalf("absent %q, zero %v, err %v", m.Get("absent key"), m.IsZero(), m.Err())
		}
		if same := event.NewMetadata(model); string(wire(t, same)) != string(wire(t, m)) || !reflect.DeepEqual(same, m) {
			t.Fatal("the same pairs have different bytes")
		}
	})
}

func TestMetadataAllStopsWhenAsked(t *testing.T) {
	t.Parallel()
	for k := range event.NewMetadata(map[string]string{"a": "1", "b": "2"}).All() {
		if k != "a" {
			t.Fatalf("went on to %q", k)
		}
		break
	}
}

func TestRawMetadataIsNotParsedBeforeItIsAskedFor(t *testing.T) {
	t.Parallel()
	damaged := []byte("\xff\xff\xff")
	m := event.RawMetadata(damaged)
	if got := wire(t, m); string(got) != string(damaged) {
		t.Errorf("%x came back as %x", damaged, got)
	}
	if !event.RawMetadata(nil).IsZero() || !event.RawMetadata([]byte{}).IsZero() {
		t.Error("no bytes are not the zero metadata")
	}
}

func TestOfManyEqualKeysTheLastOneCounts(t *testing.T) {
	t.Parallel()
	var raw []byte
	want := map[string]string{}
	for i := range 200 {
		k, v := fmt.Sprint("key ", (i*7)%5), fmt.Sprint(i)
		raw = append(raw, wire(t, event.NewMetadata(map[string]string{k: v}))...)
		want[k] = v
	}
	m := event.RawMetadata(raw)
	if got := maps.Collect(m.All()); !maps.Equal(got, want) {
		t.Errorf("All gives %q, want %q", got, want)
	}
	for k, v := range want {
		if m.Get(k) != v {
			t.Errorf("Get(%q) = %q, want %q", k, m.Get(k), v)
		}
	}
}

func TestDamagedMetadataGivesWhatCanBeRead(t *testing.T) {
	t.Parallel()
	entry := func(k, v string) string { return string(wire(t, event.NewMetadata(map[string]string{k: v}))) }
	tests := []struct {
		name    string
		raw     string
		want    map[string]string
		damaged bool
	}{
		{"truncated second entry", entry("a", "1") + entry("b", "2")[:4], map[string]string{"a": "1"}, true},
		{"broken entry between two", entry("a", "1") + "\x0a\x02\x0a\x09" + entry("b", "2"), map[string]string{"a": "1", "b": "2"}, true},
		{"entry of another wire type", entry("a", "1") + "\x08\x01", map[string]string{"a": "1"}, true},
		{"entry of another wire type that reads like an empty one", entry("a", "1") + "\x08\x00", map[string]string{"a": "1"}, true},
		{"key of another wire type that reads like an empty one", "\x0a\x02\x08\x00" + entry("b", "2"), map[string]string{"b": "2"}, true},
		{"key of another wire type", "\x0a\x02\x08\x01" + entry("b", "2"), map[string]string{"b": "2"}, true},
		{"tag only", "\x0a", nil, true},
		{"field number 0", "\x02\x00", nil, true},
		{"length beyond the end", "\x0a\xff\xff\xff\xff\x0f", nil, true},
		{"truncated unknown field", entry("a", "1") + "\x12\x05x", map[string]string{"a": "1"}, true},
		{"truncated unknown field in an entry", "\x0a\x03\x1a\x05x" + entry("a", "1"), map[string]string{"a": "1"}, true},
		{"unknown fields are no damage", "\x12\x01x" + entry("a", "1") + "\x0a\x06\x1a\x01x\x0a\x01b", map[string]string{"a": "1", "b": ""}, false},
		{"the last of equal keys counts", entry("b", "0") + entry("a", "1") + entry("b", "2"), map[string]string{"a": "1", "b": "2"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := event.RawMetadata([]byte(tt.raw))
			if got := maps.Collect(m.All()); !maps.Equal(got, tt.want) || m.Len() != len(tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			for k, v := range tt.want {
				if m.Get(k) != v {
					t.Errorf("Get(%q) = %q, want %q", k, m.Get(k), v)
				}
			}
			if !tt.damaged {
				if err := m.Err(); err != nil {
					t.Error(err)
				}
				return
			}
			wantInvalid(t, m.Err(), "Metadata")
			wantInvalid(t, m.Validate(), "Metadata")
			if err := m.With("x", "y").Err(); err != nil {
				t.Errorf("With kept the damage: %v", err)
			}
		})
	}
}

func TestMetadataValidate(t *testing.T) {
	t.Parallel()
	many := map[string]string{}
	for i := range 64 {
		many[fmt.Sprint("key ", i)] = ""
	}
	good := []map[string]string{
		nil, many, {strings.Repeat("k", 255): "v"}, {"⚙": "line\nbreak"}, {"k": strings.Repeat("v", 64<<10-1)}, {event.Traceparent: "00-…"},
	}
	for i, pairs := range good {
		if err := event.NewMetadata(pairs).Validate(); err != nil {
			t.Errorf("good %d: %v", i, err)
		}
	}
	many = maps.Clone(many)
	many["one more"] = ""
	bad := map[string]map[string]string{
		"65 entries; at most 64":    many,
		"is empty":                  {"": "v"},
		"256 bytes; at most 255":    {strings.Repeat("k", 256): "v"},
		"is not valid UTF-8":        {"\xff": "v"},
		`value of "k" is not valid`: {"k": "\xff"},
		`value of "a" is not valid`: {"a": "\xff", "b": "good"},
		"control character":         {"a\x00b": "v"},
		"at most 65536":             {"k": strings.Repeat("v", 64<<10)},
	}
	for want, pairs := range bad {
		err := event.NewMetadata(pairs).Validate()
		wantInvalid(t, err, "Metadata")
		wantText(t, err, want)
	}
}

func TestMetadataIsAnObjectInJSON(t *testing.T) {
	t.Parallel()
	m := event.NewMetadata(map[string]string{"b": "2", "a": `"1"`})
	b, err := json.Marshal(m)
	if err != nil || string(b) != `{"a":"\"1\"","b":"2"}` {
		t.Fatalf("%s, %v", b, err)
	}
	var back event.Metadata
	if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(back, m) {
		t.Errorf("%v, %v", maps.Collect(back.All()), err)
	}
	if b, err := json.Marshal(event.Metadata{}); err != nil || string(b) != "{}" {
		t.Errorf("empty: %s, %v", b, err)
	}
	if err := json.Unmarshal([]byte("null"), &back); err != nil || !back.IsZero() {
		t.Errorf("null: %v, %v", back, err)
	}
	for _, s := range []string{`[]`, `"x"`, `{"a":1}`, `{"a":{}}`} {
		if err := json.Unmarshal([]byte(s), &back); err == nil {
			t.Errorf("%s was accepted", s)
		}
	}
}

func TestMetadataTravelsByContext(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	if m := event.MetadataFrom(ctx); !m.IsZero() {
		t.Fatalf("a bare context has %v", m)
	}
	if event.WithMetadata(ctx, event.Metadata{}) != ctx {
		t.Error("empty metadata made a new context")
	}
	outer := event.WithMetadata(ctx, event.NewMetadata(map[string]string{event.RequestedBy: "ann", event.CorrelationID: "c1"}))
	inner := event.WithMetadata(outer, event.NewMetadata(map[string]string{event.RequestedBy: "bob", event.RequestedAs: "ann"}))
	want := map[string]string{event.RequestedBy: "bob", event.RequestedAs: "ann", event.CorrelationID: "c1"}
	if got := maps.Collect(event.MetadataFrom(inner).All()); !maps.Equal(got, want) {
		t.Errorf("inner: %q, want %q", got, want)
	}
	if got := event.MetadataFrom(outer).Get(event.RequestedBy); got != "ann" {
		t.Errorf("the outer context changed: %q", got)
	}
}

func TestMetadataIsSmallAndCheapToRead(t *testing.T) {
	if n := unsafe.Sizeof(event.Metadata{}); n > 40 {
		t.Errorf("%d bytes, want at most 40", n)
	}
	m := event.RawMetadata(wire(t, event.NewMetadata(map[string]string{"a": "1", event.RequestedBy: strings.Repeat("ann", 20), "z": "2"})))
	buf := make([]byte, 0, 256)
	tests := []struct {
		name string
		max  float64
		f    func()
	}{
		{"Get of an absent key", 0, func() { m.Get("absent") }},
		{"Get copies the value", 1, func() { m.Get(event.RequestedBy) }},
		{"Validate", 0, func() { _ = m.Validate() }},
		{"Err", 0, func() { _ = m.Err() }},
		{"AppendBinary", 0, func() { _, _ = m.AppendBinary(buf) }},
		{"Merge with nothing", 0, func() { m.Merge(event.Metadata{}) }},
	}
	for _, tt := range tests {
		if n := testing.AllocsPerRun(100, tt.f); n > tt.max {
			t.Errorf("%s: %v allocations, want at most %v", tt.name, n, tt.max)
		}
	}
}

func FuzzMetadata(f *testing.F) {
	for _, pairs := range []map[string]string{nil, {"a": "1"}, {event.RequestedBy: "ann", event.CorrelationID: "c"}, {"": ""}} {
		f.Add(wire(f, event.NewMetadata(pairs)))
	}
	for _, raw := range []string{"\x0a\x02\x0a\x09", "\x12\x01x", "\x0a\xff\xff\xff\xff\x0f", "\x0b\x0c", "\xff"} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := event.RawMetadata(raw)
		if string(wire(t, m)) != string(raw) {
			t.Fatal("untouched metadata changed its bytes")
		}
		pairs := maps.Collect(m.All())
		if len(pairs) != m.Len() {
			t.Fatalf("Len %d, but All gives %d", m.Len(), len(pairs))
		}
		for k, v := range pairs {
			if m.Get(k) != v {
				t.Fatalf("Get(%q) = %q, All says %q", k, m.Get(k), v)
			}
		}
		if m.Err() != nil && m.Validate() == nil {
			t.Fatal("damaged metadata is valid")
		}
		again := event.RawMetadata(wire(t, event.NewMetadata(pairs)))
		if got := maps.Collect(again.All()); again.Err() != nil || !maps.Equal(got, pairs) {
			t.Fatalf("%q came back as %q, %v", pairs, got, again.Err())
		}
	})
}
