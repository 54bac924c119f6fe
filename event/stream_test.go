package event_test

import (
	"strings"
	"testing"

	"github.com/riffle-go/riffle/event"
)

func TestNamesReadWell(t *testing.T) {
	t.Parallel()
	if got := books.Stream("b1").String(); got != "library/book/b1" {
		t.Errorf("stream %q", got)
	}
	if got := books.Event("lent").String(); got != "library/book.lent" {
		t.Errorf("type %q", got)
	}
}

func TestValidateAcceptsWhatCanBeStored(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 255)
	for _, s := range []string{"a", "bank/account", "Ünïcode ⚙", "dots.and spaces", long} {
		if err := event.Aggregate(s).Event(s).Validate(); err != nil {
			t.Errorf("type %q: %v", s, err)
		}
		if err := event.Aggregate(s).Stream(s).Validate(); err != nil {
			t.Errorf("stream %q: %v", s, err)
		}
	}
	for _, id := range []string{"\x00", "a\x00b", "line\nbreak", event.Key("a", "b")} {
		if err := books.Stream(id).Validate(); err != nil {
			t.Errorf("stream id %q: %v", id, err)
		}
	}
}

func TestValidateRefusesWhatCannotBeStored(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 256)
	for _, s := range []string{"", long, "\xff", "a\xc3", "a\x00b", "tab\t", "\x7f", "\u0085"} {
		wantInvalid(t, event.Aggregate(s).Validate(), "Aggregate")
		wantInvalid(t, event.Aggregate(s).Event("x").Validate(), "Aggregate")
		wantInvalid(t, event.Aggregate(s).Stream("x").Validate(), "Aggregate")
		wantInvalid(t, books.Event(s).Validate(), "Name")
	}
	for _, id := range []string{"", long, "\xff", event.Key("a\x00", "b")} {
		wantInvalid(t, books.Stream(id).Validate(), "Stream.ID")
	}
	wantText(t, books.Event("a\x07").Validate(), "U+0007")
}
