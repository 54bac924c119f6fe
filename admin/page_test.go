package admin

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/riffle-go/riffle/store"
)

// The browser tests hold the script of the page against the same file.
func TestNumbersAreWrittenAsTheScriptWritesThem(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/formats.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		How string
		In  json.RawMessage
		Out string
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 31, 8, 0, 0, 0, time.UTC)
	for _, c := range cases {
		number, _ := strconv.ParseFloat(string(c.In), 64)
		var got string
		switch c.How {
		case "count":
			got = formatCount(strings.Trim(string(c.In), `"`))
		case "rate":
			got = formatRate(number)
		case "bytes":
			got = formatBytes(int64(number))
		case "duration":
			got = formatSeconds(number)
		case "ago":
			got = formatAgo(now.Add(-time.Duration(number*float64(time.Second))), now)
		default:
			t.Fatalf("there is no way to write a %q", c.How)
		}
		if got != c.Out {
			t.Errorf("%s of %s is %q, want %q", c.How, c.In, got, c.Out)
		}
	}
}

// What is shown of a payload is the payload, whatever is in it.
func TestLinesOfAPayloadLoseNothing(t *testing.T) {
	t.Parallel()
	values := rapid.Custom(func(t *rapid.T) any { return anyJSON(t, 3) })
	rapid.Check(t, func(t *rapid.T) {
		data, err := json.Marshal(values.Draw(t, "value"))
		if err != nil {
			t.Skip(err)
		}
		var b strings.Builder
		for i, l := range linesOf(data) {
			if i > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(l.text())
		}
		var shown, stored any
		if err := json.Unmarshal([]byte(b.String()), &shown); err != nil {
			t.Fatalf("%s is shown as %s: %v", data, b.String(), err)
		}
		if err := json.Unmarshal(data, &stored); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(visible(stored), visible(shown)) {
			t.Fatalf("%s is shown as %s", data, b.String())
		}
		if names := compare(linesOf(data), linesOf(data)); len(names) > 0 {
			t.Fatalf("%s differs from itself in %v", data, names)
		}
	})
}

// visible is a value as it is shown: characters that would turn the text around, or are not
// seen, are shown as others.
func visible(v any) any {
	switch v := v.(type) {
	case string:
		return formatKey(v)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = visible(v[i])
		}
		return list
	case map[string]any:
		object := make(map[string]any, len(v))
		for name, field := range v {
			object[formatKey(name)] = visible(field)
		}
		return object
	}
	return v
}

func anyJSON(t *rapid.T, depth int) any {
	kinds := 4
	if depth > 0 {
		kinds = 6
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return rapid.String().Draw(t, "string")
	case 1:
		return rapid.Float64Range(-1e9, 1e9).Draw(t, "number")
	case 2:
		return rapid.Bool().Draw(t, "bool")
	case 3:
		return nil
	case 4:
		list := make([]any, rapid.IntRange(0, 3).Draw(t, "length"))
		for i := range list {
			list[i] = anyJSON(t, depth-1)
		}
		return list
	default:
		object, seen := make(map[string]any), make(map[string]bool)
		for range rapid.IntRange(0, 3).Draw(t, "fields") {
			name := rapid.String().Draw(t, "name")
			if seen[formatKey(name)] { // fields that look the same would become one
				continue
			}
			seen[formatKey(name)] = true
			object[name] = anyJSON(t, depth-1)
		}
		return object
	}
}

func TestCompareNamesWhatChanged(t *testing.T) {
	t.Parallel()
	now := linesOf([]byte(`{"a":1,"b":{"c":[1,2],"d":"x"},"e":true}`))
	before := linesOf([]byte(`{"a":1,"b":{"c":[1,3],"d":"y"}}`))
	if got := strings.Join(compare(now, before), " "); got != "b.c.1 b.d e" {
		t.Errorf("changed: %s", got)
	}
	for _, l := range now {
		if want := strings.Contains(l.text(), "2") || strings.Contains(l.text(), `"x"`) || strings.Contains(l.text(), "true"); l.Changed != want {
			t.Errorf("%q is marked %v", l.text(), l.Changed)
		}
	}
}

// Fields whose names make the same path are not taken for one another.
func TestCompareTellsFieldsOfOnePathApart(t *testing.T) {
	t.Parallel()
	before := []byte(`{"":1,"0":null,"a.b":1,"a":{"b":2}}`)
	if got := compare(linesOf(before), linesOf(before)); len(got) > 0 {
		t.Errorf("nothing has changed, but %q", got)
	}
	now := []byte(`{"":1,"0":null,"a.b":1,"a":{"b":3}}`)
	if got := compare(linesOf(now), linesOf(before)); len(got) != 1 || got[0] != "a.b" {
		t.Errorf("changed: %q", got)
	}
}

// The policy forbids script and style in the page itself, and anything from elsewhere.
func TestPagesObeyTheirOwnPolicy(t *testing.T) {
	t.Parallel()
	forbidden := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|javascript:|<base|(src|href|action)="(https?:)?/|@import|url\((["']?)(https?:)?/|<script(>|[^>]*[^"]>)`)
	found := 0
	err := fs.WalkDir(assets, "assets", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := assets.ReadFile(path)
		if err != nil {
			return err
		}
		found++
		if m := forbidden.Find(data); m != nil && !strings.HasSuffix(path, ".js") {
			t.Errorf("%s has %q", path, m)
		}
		return nil
	})
	if err != nil || found < 20 {
		t.Fatalf("%d files, %v", found, err)
	}
}

func TestLinksCarryAnyName(t *testing.T) {
	t.Parallel()
	if got, want := link("state", "name", "a/b", "key", "x&y=\x00?", "version", ""), "state?name=a%2Fb&key=x%26y%3D%00%3F"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// What is nested deeply, or consists of brackets alone, costs no more than what is shown.
func TestLayingOutAPayloadIsBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 100<<10)
	for what, data := range map[string]string{
		"deep":      strings.Repeat("[", 9000) + strings.Repeat("1,", 500_000) + "1" + strings.Repeat("]", 9000),
		"brackets":  "[" + strings.Repeat("[],", 500_000) + "[]]",
		"long name": `{"` + long + `":[` + strings.Repeat("1,", 500_000) + "1]}",
		"long text": `["` + strings.Repeat(long, 20) + `"]`,
	} {
		lines := linesOf([]byte(data))
		text, paths := 0, 0
		for _, l := range lines {
			text += len(l.text())
			paths += len(l.Path)
		}
		if text > maxShown+100 || paths > 64*maxShown {
			t.Errorf("%s: %d bytes of text and %d of paths are kept", what, text, paths)
		}
		if last := lines[len(lines)-1].text(); !strings.Contains(last, "not shown here") {
			t.Errorf("%s ends with %.100q", what, last)
		}
		if s := (payloadView{Shown: shownFull, Data: json.RawMessage(data)}).Summary(); len(s) > 700 {
			t.Errorf("%s: a summary of %d bytes", what, len(s))
		}
	}
}

func TestLayOutIsThatOfJSON(t *testing.T) {
	t.Parallel()
	values := rapid.Custom(func(t *rapid.T) any { return anyJSON(t, 3) })
	rapid.Check(t, func(t *rapid.T) {
		data, err := json.Marshal(values.Draw(t, "value"))
		if err != nil {
			t.Skip(err)
		}
		want, err := json.MarshalIndent(json.RawMessage(data), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		spaced, err := json.MarshalIndent(json.RawMessage(data), "\t", " \n")
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range [][]byte{data, want, spaced} {
			if got := layOut(in, len(want)); got != string(want) {
				t.Fatalf("%s is laid out as %s, want %s", in, got, want)
			}
		}
	})
}

func TestMaskingIsBoundedInDepth(t *testing.T) {
	t.Parallel()
	nested := func(depth int, inner string) []byte {
		return []byte(strings.Repeat("[", depth) + inner + strings.Repeat("]", depth))
	}
	if got := string(masked(nested(3, `{"a":[]},1`))); got != `[[[{"a":[]},"number"]]]` {
		t.Error(got)
	}
	if got, want := string(masked(nested(maxShapeDepth, `{"a":[1]},[["secret"]],2`))), string(nested(maxShapeDepth, `"object","array","number"`)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	var wide strings.Builder
	wide.WriteString(`{"x":1`)
	for i := range 50_000 {
		wide.WriteString(`,"f` + strconv.Itoa(i) + `":1`)
	}
	wide.WriteString("}")
	began := time.Now()
	if got := masked(nested(9000, wide.String())); !json.Valid(got) || len(got) > 200 {
		t.Errorf("%d bytes", len(got))
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// JSON whose text is no UTF-8 would make the whole answer none.
func TestJSONThatIsNoTextIsShownAsBase64(t *testing.T) {
	t.Parallel()
	h := &Handler{options: Options{Payloads: Full}}
	v := h.payload("application/json", []byte("{\"a\":\"\xff\"}"), nil)
	if v.Shown != shownBinary || string(v.Data) != `"eyJhIjoi/yJ9"` {
		t.Errorf("%s %q", v.Shown, v.Data)
	}
	h.options.Payloads = Masked
	if v := h.payload("application/json", []byte("{\"\xff\":\"\xff\"}"), nil); !utf8.Valid(v.Data) || v.Shown != shownMasked {
		t.Errorf("%s %q", v.Shown, v.Data)
	}
}

// A store that has failed is the first thing to see.
func TestTheOverviewSaysWhyNothingCanBeWritten(t *testing.T) {
	t.Parallel()
	_, h := bare(t)
	f, err := h.pages.overview(httptest.NewRequest("GET", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	shown := func() string {
		w := httptest.NewRecorder()
		h.pages.render(w, httptest.NewRequest("GET", "/", nil), f)
		return w.Body.String()
	}
	if strings.Contains(shown(), "Nothing can be written") {
		t.Error("it says so of a store that works")
	}
	body, ok := f.Body.(overviewPage)
	if !ok {
		t.Fatalf("%T", f.Body)
	}
	body.Failed = errorOf(fmt.Errorf("%w: <the disk>", store.ErrFailed))
	f.Body = body
	if s := shown(); !strings.Contains(s, "Nothing can be written") || !strings.Contains(s, "&lt;the disk&gt;") {
		t.Error(s)
	}
}
