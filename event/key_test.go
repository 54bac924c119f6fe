package event_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/riffle-go/riffle/event"
)

// component draws strings that try to imitate the marks inside keys.
var component = rapid.Custom(func(t *rapid.T) string {
	return string(rapid.SliceOfN(rapid.SampledFrom([]byte{0x00, 0x01, 'a', 'b', 0xFF}), 0, 5).Draw(t, "bytes"))
})

var components = rapid.SliceOfN(component, 1, 3)

func key(parts []string) string { return event.Key(parts[0], parts[1:]...) }

func TestKeyWritesTheDocumentedForm(t *testing.T) {
	t.Parallel()
	tests := []struct {
		parts []string
		want  string
	}{
		{[]string{""}, ""},
		{[]string{"ann"}, "ann"},
		{[]string{"a\x00b"}, "a\x00\xffb\x00\x01"},
		{[]string{"ann", "2026-01"}, "ann\x00\x012026-01\x00\x01"},
		{[]string{"", ""}, "\x00\x01\x00\x01"},
	}
	for _, tt := range tests {
		if got := key(tt.parts); got != tt.want {
			t.Errorf("Key(%q) = %q, want %q", tt.parts, got, tt.want)
		}
	}
}

func TestKeysOfDifferentComponentsDifferAndSortLikeThem(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := components.Draw(t, "a"), components.Draw(t, "b")
		want := slices.CompareFunc(a, b, cmp.Compare[string])
		if got := cmp.Compare(key(a), key(b)); got != want {
			t.Fatalf("compare(Key(%q), Key(%q)) = %d, want %d", a, b, got, want)
		}
	})
}

func TestSplitKeyReversesKey(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		parts := components.Draw(t, "parts")
		got, err := event.SplitKey(key(parts))
		if err != nil || !slices.Equal(got, parts) {
			t.Fatalf("SplitKey(Key(%q)) = %q, %v", parts, got, err)
		}
	})
}

func TestKeyPrefixCoversTheKeysWithTheseFirstComponents(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.SliceOfN(component, 1, 2).Draw(t, "first")
		parts := components.Draw(t, "parts")
		if rapid.Bool().Draw(t, "related") {
			parts = slices.Concat(first, parts)
		}
		covered := strings.HasPrefix(key(parts), event.KeyPrefix(first...))
		want := len(parts) > len(first) && slices.Equal(parts[:len(first)], first)
		// A complete key with the same components lies in its own range, when it is marked.
		marked := len(parts) > 1 || strings.Contains(parts[0], "\x00")
		want = want || slices.Equal(parts, first) && marked
		if covered != want {
			t.Fatalf("KeyPrefix(%q) covers Key(%q): %v, want %v", first, parts, covered, want)
		}
	})
}

func TestKeyPrefixNarrowsByTheBeginningOfTheNextComponent(t *testing.T) {
	t.Parallel()
	prefix := event.KeyPrefix("ann") + "2026-"
	for k, want := range map[string]bool{
		event.Key("ann", "2026-01"): true,
		event.Key("ann", "2025-12"): false,
		event.Key("anna", "2026-1"): false,
	} {
		if got := strings.HasPrefix(k, prefix); got != want {
			t.Errorf("%q in the range: %v, want %v", k, got, want)
		}
	}
	if event.KeyPrefix() != "" {
		t.Error("the prefix of every key is not empty")
	}
}

func TestSplitKeyRefusesWhatKeyDoesNotMake(t *testing.T) {
	t.Parallel()
	for _, k := range []string{"a\x00", "a\x00\x02", "a\x00\x01", "a\x00\x01b", "a\x00\xff", event.KeyPrefix("a") + "b"} {
		_, err := event.SplitKey(k)
		wantInvalid(t, err, "Key")
	}
}

func TestKeyOfTextStaysText(t *testing.T) {
	t.Parallel()
	if k := event.Key("Zoë", "⚙"); !utf8.ValidString(k) {
		t.Errorf("%q", k)
	}
}

func TestKeyOfOneComponentIsFree(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { event.Key("ann") }); n != 0 {
		t.Errorf("a single component costs %v allocations", n)
	}
}

func FuzzKey(f *testing.F) {
	for _, k := range []string{"", "ann", event.Key("ann", "2026-01"), event.Key("a\x00b"), event.KeyPrefix("ann"), "a\x00\x02", "\x00\xff\x00\x01"} {
		f.Add(k, "b")
	}
	f.Fuzz(func(t *testing.T, k, other string) {
		if parts, err := event.SplitKey(k); err == nil {
			if again := key(parts); again != k {
				t.Fatalf("%q splits into %q, which is the key %q", k, parts, again)
			}
		}
		parts, err := event.SplitKey(event.Key(k, other))
		if err != nil || len(parts) != 2 || parts[0] != k || parts[1] != other {
			t.Fatalf("SplitKey(Key(%q, %q)) = %q, %v", k, other, parts, err)
		}
	})
}
