package event_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/riffle-go/riffle/event"
)

func TestPositionIsAStringInJSON(t *testing.T) {
	t.Parallel()
	for p, want := range map[event.Position]string{0: `"0"`, 12: `"12"`, math.MaxUint64: `"18446744073709551615"`} {
		b, err := json.Marshal(p)
		if err != nil || string(b) != want {
			t.Errorf("Marshal(%d) = %s, %v; want %s", uint64(p), b, err, want)
		}
		var back event.Position
		if err := json.Unmarshal(b, &back); err != nil || back != p {
			t.Errorf("Unmarshal(%s) = %v, %v", b, back, err)
		}
		if `"`+p.String()+`"` != want {
			t.Errorf("String() = %s", p)
		}
	}
}

func TestPositionParsesStrictly(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", " 1", "1 ", "+1", "-1", "01", "00", "1_0", "0x1", "1e3", "1.0", "١", "18446744073709551616"} {
		p := event.Position(7)
		wantInvalid(t, p.UnmarshalText([]byte(s)), "Position")
		if p != 7 {
			t.Errorf("%q changed the position to %v", s, p)
		}
	}
	var p event.Position
	if err := json.Unmarshal([]byte("12"), &p); err == nil {
		t.Error("a JSON number was accepted; JavaScript may have rounded it")
	}
}
