package online

import (
	"strings"
	"testing"
	"time"

	"github.com/riffle-go/riffle/cmd/riffle/internal/api"
)

func sample() api.Sample {
	var s api.Sample
	s.Overview.Time = time.Date(2026, 1, 31, 8, 0, 0, 0, time.UTC)
	s.Overview.Store.Name, s.Overview.Store.Head = "bank", 12345
	s.Overview.AppendRate = new(812.4)
	s.Overview.Health.Live, s.Overview.Health.Ready = true, true
	s.Subscriptions = []api.Subscription{
		{Name: "balances", Kind: "model", State: "live", Position: 12345, Rate: new(810.0), Term: 3, Owner: "01JZ0000000000000000ABCDEF",
			Rebuild: &api.Rebuild{Progress: 0.5}},
		{Name: "mail\x1b[2Jer", Kind: "effect", State: "catching up", Position: 12000, Backlog: 345, Lag: 75.2, Parked: 2,
			Error: &api.Failure{Text: "550\nno such\x1b[31m user"}},
	}
	return s
}

func TestAFrameFitsOnTheScreenAndClearsWhatWasThere(t *testing.T) {
	t.Parallel()
	f := string(frame("http://localhost:8080/admin", sample(), 60, 6))
	if !strings.HasPrefix(f, "\x1b[H") || !strings.HasSuffix(f, "\x1b[K\x1b[J") {
		t.Errorf("the frame is %q", f)
	}
	lines := strings.Split(strings.TrimSuffix(strings.TrimPrefix(f, "\x1b[H"), "\x1b[J"), "\r\n")
	if len(lines) != 6 {
		t.Errorf("%d lines on a screen of 6", len(lines))
	}
	for _, l := range lines {
		text, cleared := strings.CutSuffix(l, "\x1b[K")
		if n := len([]rune(text)); n > 60 || !cleared || strings.Contains(text, "\x1b") {
			t.Errorf("a line of %d: %q", n, l)
		}
	}
}

func TestATableShowsNothingThatATerminalObeys(t *testing.T) {
	t.Parallel()
	got := string(table(sample()))
	if strings.Contains(got, "\x1b") {
		t.Errorf("%q", got)
	}
	for _, want := range []string{
		"store bank   head 12,345   812 events/s   ready\n",
		"live, rebuilding 50 %  12345     0        0s     810       0        0       3     ABCDEF\n",
		`"mail\x1b[2Jer"`, "1m15s", `: 550\nno such\x1b[31m user`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestALineIsOneLine(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := line(&b, sample()); err != nil {
		t.Fatal(err)
	}
	want := `2026-01-31T08:00:00.000Z head=12345 events/s=812 health=ready ` +
		`balances=live@12345,backlog=0,lag=0s,events/s=810,rebuild=50% ` +
		`"mail\x1b[2Jer"=catching-up@12000,backlog=345,lag=1m15s,events/s=-,set-aside=2` + "\n"
	if b.String() != want {
		t.Errorf("got  %swant %s", &b, want)
	}
}
