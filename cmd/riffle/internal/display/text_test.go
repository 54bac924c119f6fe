package display

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// visible says that a terminal shows every byte and obeys none.
func visible(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

func FuzzQuotedTextIsVisibleAndReadBack(f *testing.F) {
	for _, s := range []string{"", "ann", "a b", " a", `"`, `"a"`, `\`, "a\x00b", "\x1b[2J", "\xff", "é", "\u202e", "a\tb\nc", "\u009b31m", "👩‍👧"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q := Quote(s)
		if !visible(q) {
			t.Errorf("Quote(%q) = %q cannot be seen", s, q)
		}
		if back, err := Unquote(q); err != nil || back != s {
			t.Errorf("Unquote(%q) = %q, %v; want %q", q, back, err, s)
		}
		if line := Line(s); !visible(line) {
			t.Errorf("Line(%q) = %q cannot be seen", s, line)
		}
	})
}

func TestTextThatCanBeSeenIsLeftAlone(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"ann", "a b", "é", `a"b`, "bank/account"} {
		if got := Quote(s); got != s {
			t.Errorf("Quote(%q) = %q", s, got)
		}
		if got := Line(s); got != s {
			t.Errorf("Line(%q) = %q", s, got)
		}
	}
}

func FuzzJSONLinesAreVisibleAndMeanTheSame(f *testing.F) {
	for _, s := range []string{"", "a", "<&>", "\u007f", "\u009b", "\u202e", "\U000e0001", "\ufffd", "\x1b", "a\nb"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "?")
		raw, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := WriteJSON(&b, map[string]any{s: s, s + "raw": json.RawMessage(raw)}); err != nil {
			t.Fatal(err)
		}
		line, ended := strings.CutSuffix(b.String(), "\n")
		if !ended || !visible(line) {
			t.Fatalf("the line %q", b.String())
		}
		var back map[string]string
		if err := json.Unmarshal([]byte(line), &back); err != nil || back[s] != s || back[s+"raw"] != s {
			t.Errorf("%q came back as %q, %v", s, back, err)
		}
	})
}

func TestMaskedPayloads(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ contentType, data, want string }{
		{"", `{"b":1,"a":"x","c":true,"d":null}`, `{"b":"number","a":"string","c":"bool","d":null}`},
		{"application/json; charset=utf-8", `[1,2,"x",{"a":1},{"a":2},[]]`, `["number","string",{"a":"number"},[]]`},
		{"application/vnd.bank+json", `"secret"`, `"string"`},
		{"", `{"a":1`, `"6 bytes that are not JSON"`},
		{"", `1 2`, `"3 bytes that are not JSON"`},
		{"", ``, `"0 bytes that are not JSON"`},
		{"application/protobuf", "\x01", `"1 bytes of application/protobuf"`},
	} {
		if got := string(Masked(c.contentType, []byte(c.data))); got != c.want {
			t.Errorf("Masked(%q, %q) = %s, want %s", c.contentType, c.data, got, c.want)
		}
	}
}

func FuzzAMaskShowsNoValue(f *testing.F) {
	for _, s := range []string{`{"a":{"b":[1,"x",null,true]}}`, `[]`, `{}`, `[[[`, `"x"`, `{"a":"\ud800"}`, `1e999`, "{\"\x00\":1}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		masked := Masked("", data)
		var v any
		if err := json.Unmarshal(masked, &v); err != nil {
			t.Fatalf("Masked(%q) = %s is no JSON: %v", data, masked, err)
		}
		if !json.Valid(data) {
			if s, ok := v.(string); !ok || !strings.HasSuffix(s, " bytes that are not JSON") {
				t.Errorf("Masked(%q) = %s", data, masked)
			}
			return
		}
		if s := values(v); len(s) > 0 {
			t.Errorf("Masked(%q) = %s shows %q", data, masked, s)
		}
	})
}

// values are the scalars that are no names of types.
func values(v any) []any {
	switch v := v.(type) {
	case map[string]any:
		var all []any
		for _, e := range v {
			all = append(all, values(e)...)
		}
		return all
	case []any:
		var all []any
		for _, e := range v {
			all = append(all, values(e)...)
		}
		return all
	case nil:
		return nil
	case string:
		if slices.Contains([]string{"string", "number", "bool"}, v) {
			return nil
		}
	}
	return []any{v}
}

func TestPayloadsAreWholeOrBase64(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ contentType, data, want string }{
		{"", `{"a": 1}`, `{"a": 1}`},
		{"", `{"a`, `"eyJh"`},
		{"application/protobuf", "\x01\x02\x03", `"AQID"`},
	} {
		if got := string(Payload(c.contentType, []byte(c.data))); got != c.want {
			t.Errorf("Payload(%q, %q) = %s, want %s", c.contentType, c.data, got, c.want)
		}
	}
}

func TestTimesAreInUTC(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 31, 9, 0, 0, 5_000_000, time.FixedZone("CET", 3600))
	if got, want := Time(at), "2026-01-31T08:00:00.005Z"; got != want {
		t.Errorf("Time = %s, want %s", got, want)
	}
	if got := Time(time.Time{}); got != "-" {
		t.Errorf("Time of no time = %s", got)
	}
}
