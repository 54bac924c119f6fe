package admin_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/riffle-go/riffle/admin"
)

func TestEveryActionLeavesALine(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{admin: &admin.Options{Authorize: operator, Actor: func(*http.Request) string { return "ann\nforged line" }}})
	b.settle()
	b.post("api/v1/subscriptions/balances/pause", m{"reason": "lunch"}).into(new(m))
	b.post("api/v1/subscriptions/letters/skip", m{"confirm": "letters", "key": "k", "position": "7"})
	b.header.Del("X-Role")
	b.post("api/v1/subscriptions/balances/resume", m{}).problem(403, "forbidden")
	lines := b.log.with(t, "admin action")
	if len(lines) != 3 {
		t.Fatalf("%v", lines)
	}
	for i, want := range []m{
		{"verb": "pause", "outcome": "done", "reason": "lunch", "level": "INFO"},
		{"verb": "skip", "key": "k", "position": "7", "projection": "letters"},
		{"verb": "resume", "outcome": "refused", "projection": "balances", "level": "WARN", "error": "admin: resume is not allowed: operators only"},
	} {
		want["actor"] = "ann\nforged line" // in one line of the log
		for k, v := range want {
			if lines[i][k] != v {
				t.Errorf("line %d: %s is %v, want %v", i, k, lines[i][k], v)
			}
		}
		if lines[i]["remote"] == "" {
			t.Errorf("line %d: %v", i, lines[i])
		}
	}
}

func TestWhoMayNotReadIsNotShownWhatAnActionDid(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{idle: true, admin: &admin.Options{
		Authorize: operator, AuthorizeRead: func(*http.Request, admin.Action) error { return errors.New("nobody reads") },
	}})
	a := b.post("api/v1/subscriptions/balances/pause", m{"reason": "x"})
	if a.into(new(m)); strings.Contains(string(a.body), "position") {
		t.Errorf("%s", a.body)
	}
}

func TestAuthorizersAreAskedWithWhatIsWanted(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var asked []admin.Action
	note := func(_ *http.Request, a admin.Action) error {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, a)
		if a.Projection == "secret" {
			return errors.New("not yours")
		}
		return nil
	}
	b := setup(t, setupOptions{idle: true, admin: &admin.Options{Authorize: note, AuthorizeRead: note}})
	b.get("api/v1/subscriptions")
	b.get("api/v1/models/balances/state?key=ann")
	b.post("api/v1/subscriptions/balances/retry", m{"key": "k"})
	b.get("api/v1/subscriptions/secret").problem(403, "forbidden")
	b.get("api/v1/stream?x=1") // refused for its parameter, after it was allowed
	for i, want := range []admin.Action{
		{Verb: admin.VerbRead}, {Verb: admin.VerbRead, Projection: "balances", Key: "ann"},
		{Verb: admin.VerbRetry, Projection: "balances", Key: "k"}, {Verb: admin.VerbRead, Projection: "balances"},
		{Verb: admin.VerbRead, Projection: "secret"}, {Verb: admin.VerbRead},
	} {
		if i >= len(asked) || asked[i] != want {
			t.Fatalf("%+v, want %+v at %d", asked, want, i)
		}
	}
	if a := b.get("live"); a.status != 200 || len(asked) != 6 {
		t.Errorf("probes are asked about: %+v", asked)
	}
}
