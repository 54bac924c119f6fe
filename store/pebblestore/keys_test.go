package pebblestore

import "testing"

func TestTheSuccessorIsTheEndOfAPrefix(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ prefix, want string }{
		{"n", "o"},
		{"n\x00", "n\x01"},
		{"n\xfe", "n\xff"},
		{"n\xff", "o"},
		{"n\x00\xff\xff", "n\x01"},
		{"\xff", ""}, // there is none: the range ends with the store
		{"\xff\xff", ""},
		{"", ""},
	} {
		prefix := []byte(c.prefix)
		if got := successor(prefix); string(got) != c.want || (got == nil) != (c.want == "") {
			t.Errorf("successor(%q) = %q, want %q", c.prefix, got, c.want)
		}
		if string(prefix) != c.prefix {
			t.Errorf("successor changed its argument %q to %q", c.prefix, prefix)
		}
	}
}
