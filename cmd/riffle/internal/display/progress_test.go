package display

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestPipedProgressIsAPlainLineEveryFewSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b strings.Builder
		p := NewProgress(&b, "verify", Count, "events")
		for i := range uint64(121) { // 12 s
			p.Update(i*1000, 200_000)
			time.Sleep(100 * time.Millisecond)
		}
		p.Clear()
		want := "verify: 50,000 of 200,000 events (25 %), 10,000/s, 15s left\n" +
			"verify: 100,000 of 200,000 events (50 %), 10,000/s, 10s left\n"
		if b.String() != want {
			t.Errorf("progress is\n%qwant\n%q", b.String(), want)
		}
	})
}

func TestTerminalProgressKeepsOneLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b strings.Builder
		p := newProgress(&b, true, "backup", Bytes, "")
		p.Update(0, 4<<20)
		time.Sleep(time.Second)
		p.Update(1<<20, 4<<20)
		p.Update(2<<20, 4<<20) // too early
		time.Sleep(time.Second)
		p.Update(4<<20, 4<<20)
		p.Note("done")
		p.Clear() // nothing is left to clear
		const clear = "\r\x1b[K"
		want := clear + "backup: 1.0 MiB of 4.0 MiB (25 %), 1.0 MiB/s, 3s left" +
			clear + "backup: 4.0 MiB of 4.0 MiB (100 %), 2.0 MiB/s" + clear + "backup: done\n"
		if b.String() != want {
			t.Errorf("progress is\n%q, want\n%q", b.String(), want)
		}
	})
}

func TestProgressWithoutATotalHasNoEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b strings.Builder
		p := NewProgress(&b, "stats", Count, "streams counted")
		time.Sleep(10 * time.Second)
		p.Update(5000, 0)
		if want := "stats: 5,000 streams counted, 500/s\n"; b.String() != want {
			t.Errorf("progress is %q, want %q", b.String(), want)
		}
	})
}

func TestPlurals(t *testing.T) {
	t.Parallel()
	for n, want := range map[uint64]string{0: "0 events", 1: "1 event", 1200: "1,200 events"} {
		if got := Plural(n, "event"); got != want {
			t.Errorf("Plural(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestFormatsAreTableAndJSON(t *testing.T) {
	t.Parallel()
	f := Table
	if err := f.Set("json"); err != nil || f != JSON || f.String() != "json" {
		t.Errorf("json is %v, %v", f, err)
	}
	if err := f.Set("xml"); err == nil || f != JSON {
		t.Errorf("xml is %v, %v", f, err)
	}
}
