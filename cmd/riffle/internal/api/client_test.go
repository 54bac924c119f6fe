package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/riffle-go/riffle/cmd/riffle/internal/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// setup returns a client of a handler.
func setup(t *testing.T, h http.HandlerFunc, headers ...string) *api.Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		server.Close()
	})
	c, err := api.New(server.URL+"/admin/", headers, "")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func problem(w http.ResponseWriter, status int, kind string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"type":"urn:riffle:problem:%s","title":"No","status":%d,"detail":"because"}`, kind, status)
}

func TestAnswersThatAreNotTheAPIsSayWhatToLookAt(t *testing.T) {
	t.Parallel()
	for want, h := range map[string]http.HandlerFunc{
		"wants to know who asks":   func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "who?", http.StatusUnauthorized) },
		"does not let this":        func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) },
		"sends elsewhere, to /x":   func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) },
		"answers 404 Not Found":    http.NotFound,
		"answers, but not as":      func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "<p>hello") },
		"something else":           func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "application/json") },
		`\x1b[2J`:                  func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "\x1b[2J", http.StatusBadGateway) },
		"No: because":              func(w http.ResponseWriter, _ *http.Request) { problem(w, 409, "held") },
		"give its admin handler":   func(w http.ResponseWriter, _ *http.Request) { problem(w, 403, "read-only") },
		"decides by which names":   func(w http.ResponseWriter, _ *http.Request) { problem(w, 421, "misdirected") },
		"riffle subscriptions lis": func(w http.ResponseWriter, _ *http.Request) { problem(w, 404, "unknown-projection") },
	} {
		_, err := setup(t, h).Overview(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
	}
}

func TestWrongCredentialsAreNotAskedForAgain(t *testing.T) {
	t.Parallel()
	refuse := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "who?", http.StatusUnauthorized) }
	_, err := setup(t, refuse, "Authorization: Bearer wrong").Overview(t.Context())
	if err == nil || !strings.Contains(err.Error(), "does not accept these credentials") || strings.Contains(err.Error(), "wrong") {
		t.Errorf("got %v", err)
	}
}

func TestRedirectsDoNotCarryCredentials(t *testing.T) {
	t.Parallel()
	asked := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	t.Cleanup(other.Close)
	c := setup(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}, "X-Secret: s")
	if _, err := c.Act(t.Context(), "a", "pause", api.Action{Reason: "x"}); err == nil || asked > 0 {
		t.Errorf("%v, %d requests elsewhere", err, asked)
	}
}

func TestHeadersAndTheTokenAreSent(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var got *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r }))
	t.Cleanup(func() {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		server.Close()
	})
	c, err := api.New(server.URL, []string{"X-A: 1", "x-a:2", "Host: bank.example"}, file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Overview(t.Context()); err == nil {
		t.Error("an empty answer is no error")
	}
	if fmt.Sprint(got.Header["X-A"]) != "[1 2]" || got.Host != "bank.example" || got.Header.Get("Authorization") != "Bearer 0123456789abcdef" {
		t.Errorf("sent %v to host %s", got.Header, got.Host)
	}
}

func TestAPasswordInTheAddressIsSentAndNotShown(t *testing.T) {
	t.Parallel()
	var user, password string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ = r.BasicAuth()
		http.NotFound(w, r)
	}))
	t.Cleanup(func() {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		server.Close()
	})
	c, err := api.New(strings.Replace(server.URL, "://", "://operator:open%20sesame@", 1)+"/admin", nil, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Overview(t.Context())
	if user != "operator" || password != "open sesame" {
		t.Errorf("sent %q, %q", user, password)
	}
	if err == nil || strings.Contains(err.Error()+c.URL(), "sesame") {
		t.Errorf("shown: %v, %s", err, c.URL())
	}
	if _, err := api.New("operator:sesame@host", nil, ""); err == nil || strings.Contains(err.Error(), "sesame") {
		t.Errorf("shown: %v", err)
	}
}

func TestAListGoesOnPageAfterPage(t *testing.T) {
	t.Parallel()
	var limits []string
	c := setup(t, func(w http.ResponseWriter, r *http.Request) {
		limits = append(limits, r.FormValue("limit"))
		w.Header().Set("Content-Type", "application/json")
		next := map[string]string{"": "b", "b": "c", "c": ""}[r.FormValue("after")]
		_, _ = fmt.Fprintf(w, `{"items":[{"id":"1%[1]s"},{"id":"2%[1]s"}],"next":%[2]q}`, r.FormValue("after"), next)
	})
	for limit, want := range map[int]string{0: "[1 2 1b 2b 1c 2c] [200 200 200]", 4: "[1 2 1b 2b] [4 2]", 1: "[1 2] [1]"} {
		limits = nil
		var ids []string
		for s, err := range api.List[api.Stream](t.Context(), c, "streams", url.Values{}, limit) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, s.ID)
		}
		if got := fmt.Sprint(ids, limits); got != want {
			t.Errorf("limit %d: %s, want %s", limit, got, want)
		}
	}
}

const oneSample = "event: sample\ndata: {\"overview\":{\"store\":{\"head\":\"%d\"}},\"subscriptions\":[]}\n\n"

func TestWatchingGoesOnAfterTheEndOfAStream(t *testing.T) {
	t.Parallel()
	streams := 0
	c := setup(t, func(w http.ResponseWriter, _ *http.Request) {
		if streams++; streams == 2 { // a restart of the service
			http.Error(w, "gone", http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprintf(w, "retry: 2000\n\n"+oneSample, streams)
	})
	var heads []string
	for s, err := range c.Watch(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if heads = append(heads, s.Overview.Store.Head.String()); len(heads) == 2 {
			break
		}
	}
	if fmt.Sprint(heads) != "[1 3]" {
		t.Errorf("heads %v", heads)
	}
}

func TestWatchingPollsWhereStreamsAreFull(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c := setup(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/stream") {
			problem(w, http.StatusServiceUnavailable, "too-many-streams")
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprint(w, `{"store":{"head":"7"},"items":[{"name":"balances"}]}`)
	})
	for s, err := range c.Watch(ctx) {
		if err != nil || s.Overview.Store.Head != 7 || len(s.Subscriptions) != 1 {
			t.Errorf("%+v, %v", s, err)
		}
		break
	}
}

func TestWatchingWhatWasNeverThereIsAnError(t *testing.T) {
	t.Parallel()
	c := setup(t, func(w http.ResponseWriter, _ *http.Request) { problem(w, http.StatusForbidden, "forbidden") })
	for _, err := range c.Watch(t.Context()) {
		if p, ok := errors.AsType[*api.Problem](err); !ok || p.Kind() != "forbidden" {
			t.Errorf("%v", err)
		}
	}
}
