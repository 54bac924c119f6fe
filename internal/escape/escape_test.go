package escape_test

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/riffle-go/riffle/internal/escape"
)

// component draws strings that are rich in the bytes that the escape treats specially
// and in shared beginnings.
func component() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		b := rapid.SliceOfN(rapid.SampledFrom([]byte{0x00, 0x01, 0x02, 'a', 0xFE, 0xFF}), 0, 6).Draw(t, "bytes")
		return string(b)
	})
}

func encode(parts []string) []byte {
	var b []byte
	for _, p := range parts {
		b = escape.Append(b, p)
	}
	return b
}

func TestAppendWritesTheDocumentedBytes(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"", "\x00\x01"},
		{"ann", "ann\x00\x01"},
		{"a\x00b", "a\x00\xffb\x00\x01"},
		{"\x00\x00", "\x00\xff\x00\xff\x00\x01"},
		{"\x00\x01", "\x00\xff\x01\x00\x01"},
		{"\xff", "\xff\x00\x01"},
	}
	for _, tt := range tests {
		if got := string(escape.Append(nil, tt.in)); got != tt.want {
			t.Errorf("Append(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestAppendKeepsWhatDstHolds(t *testing.T) {
	t.Parallel()
	dst := append(make([]byte, 0, 64), "e:"...)
	if got, want := string(escape.Append(dst, "x\x00")), "e:x\x00\xff\x00\x01"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDecodeReversesAppendAndLeavesTheRest(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := component().Draw(t, "s")
		tail := []byte(component().Draw(t, "tail"))
		got, rest, ok := escape.Decode(append(escape.Append(nil, s), tail...))
		if !ok || got != s || !bytes.Equal(rest, tail) {
			t.Fatalf("Decode = %q, %q, %v; want %q, %q", got, rest, ok, s, tail)
		}
	})
}

func TestByteOrderIsTheOrderOfComponents(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SliceOfN(component(), 0, 3).Draw(t, "a")
		b := rapid.SliceOfN(component(), 0, 3).Draw(t, "b")
		want := slices.CompareFunc(a, b, cmp.Compare[string])
		if got := bytes.Compare(encode(a), encode(b)); got != want {
			t.Fatalf("compare(%q, %q) = %d, want %d", a, b, got, want)
		}
	})
}

func TestPrefixCoversExactlyTheStringsThatBeginWithIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		prefix := component().Draw(t, "prefix")
		s := component().Draw(t, "s")
		if rapid.Bool().Draw(t, "related") {
			s = prefix + s
		}
		got := bytes.HasPrefix(escape.Append(nil, s), escape.AppendPrefix(nil, prefix))
		if want := strings.HasPrefix(s, prefix); got != want {
			t.Fatalf("covers(%q, %q) = %v, want %v", prefix, s, got, want)
		}
	})
}

func TestDecodeRefusesBytesThatAppendDoesNotWrite(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"", "ann", "ann\x00", "a\x00\x02", "a\x00\x00\x01", "\x00\xff", "a\x00\xffb", "a\x00\xff\x00"} {
		s, rest, ok := escape.Decode([]byte(in))
		if ok || s != "" || string(rest) != in {
			t.Errorf("Decode(%q) = %q, %q, %v; want it refused and the input back", in, s, rest, ok)
		}
	}
}

func TestAppendDoesNotAllocateWithRoomInDst(t *testing.T) {
	dst := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() { escape.Append(dst, "account\x00ann") }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"", "ann\x00\x01", "a\x00\xffb\x00\x01rest", "a\x00\x02", "\x00\xff\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, rest, ok := escape.Decode(b)
		if !ok {
			return
		}
		if again := append(escape.Append(nil, s), rest...); !bytes.Equal(again, b) {
			t.Fatalf("%q decodes to %q but encodes to %q", b, s, again)
		}
	})
}

func Example() {
	key := escape.Append(nil, "ann")
	key = escape.Append(key, "2026-01")
	first, rest, _ := escape.Decode(key)
	second, _, _ := escape.Decode(rest)
	fmt.Println(first, second)
	// Output: ann 2026-01
}
