package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
)

// setup runs a service inside the test.
func setup(t *testing.T) (client, context.Context) {
	t.Helper()
	dir := t.TempDir() // before the Cleanup below, so that it is removed behind it
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	stopping, stop := context.WithCancel(ctx)
	serving, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- run(stopping, config{
			dir: dir, listen: "127.0.0.1:0", password: password, grace: 10 * time.Second,
			out: io.Discard, serving: func(url string) { serving <- url },
		})
	}()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the service ended with %v", err)
		}
		cancel()
	})
	select {
	case url := <-serving:
		return client{url}, ctx
	case err := <-ended:
		ended <- err
		t.Fatal(err)
		return client{}, nil
	}
}

// must sends a command that has to succeed.
func (c client) must(ctx context.Context, t *testing.T, path string, in ask) done {
	t.Helper()
	res, err := c.do(ctx, event.NewID(), path, in)
	if err != nil {
		t.Fatalf("%s %+v: %v", path, in, err)
	}
	return res
}

// refused sends a command that must not succeed, and compares the status.
func (c client) refused(ctx context.Context, t *testing.T, key event.ID, path string, in ask, status int) {
	t.Helper()
	_, err := c.do(ctx, key, path, in)
	if e, ok := errors.AsType[*statusError](err); !ok || e.status != status {
		t.Errorf("%s %+v: %v, want %d", path, in, err, status)
	}
}

func TestARepeatedRequestIsAnsweredAsTheFirstTime(t *testing.T) {
	t.Parallel()
	c, ctx := setup(t)
	c.must(ctx, t, "/owners", ask{ID: "o"})
	c.must(ctx, t, "/accounts", ask{ID: "a", Owner: "o", Cents: 100})
	c.must(ctx, t, "/accounts", ask{ID: "b", Owner: "o"})
	for _, request := range []struct {
		path string
		in   ask
	}{
		{"/owners", ask{ID: "o2"}},
		{"/accounts", ask{ID: "c", Owner: "o"}},
		{"/accounts/a/deposits", ask{Cents: 1}},
		{"/accounts/a/withdrawals", ask{Cents: 101}}, // the second time there would not be enough
		{"/transfers", ask{From: "a", To: "b", Cents: 1}},
	} {
		key := event.NewID()
		first, err := c.do(ctx, key, request.path, request.in)
		if err != nil || first.Replayed {
			t.Fatalf("%s: %+v, %v", request.path, first, err)
		}
		again, err := c.do(ctx, key, request.path, request.in)
		if err != nil || !again.Replayed || again.Position != first.Position {
			t.Errorf("%s again: %+v, %v; first %+v", request.path, again, err, first)
		}
		other := request.in
		other.Cents += 7
		c.refused(ctx, t, key, request.path, other, http.StatusUnprocessableEntity)
	}
}

func TestRefusalsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	c, ctx := setup(t)
	c.must(ctx, t, "/owners", ask{ID: "o"})
	c.must(ctx, t, "/accounts", ask{ID: "a", Owner: "o", Cents: 100})
	for _, r := range []struct {
		path   string
		in     ask
		status int
	}{
		{"/owners", ask{}, 400},
		{"/owners", ask{ID: "o"}, 409},
		{"/accounts", ask{ID: "a", Owner: "o"}, 409},
		{"/accounts", ask{ID: "z", Owner: "nobody"}, 404},
		{"/accounts", ask{ID: "z", Owner: "o", Cents: -1}, 400},
		{"/accounts/a/deposits", ask{}, 400},
		{"/accounts/z/deposits", ask{Cents: 1}, 404},
		{"/accounts/a/withdrawals", ask{Cents: 101}, 409},
		{"/transfers", ask{From: "a", To: "a", Cents: 1}, 400},
	} {
		c.refused(ctx, t, event.NewID(), r.path, r.in, r.status)
	}
	c.refused(ctx, t, event.ID{}, "/accounts/a/deposits", ask{Cents: 1}, http.StatusBadRequest)
	if _, err := c.do(ctx, event.NewID(), "/nothing", ask{}); err == nil {
		t.Error("a path that is not there answers")
	}
}

func TestReadsWaitForWhatTheirClientWrote(t *testing.T) {
	t.Parallel()
	c, ctx := setup(t)
	c.must(ctx, t, "/owners", ask{ID: "o"})
	c.must(ctx, t, "/accounts", ask{ID: "a", Owner: "o"})
	for i := range int64(50) {
		at := c.must(ctx, t, "/accounts/a/deposits", ask{Cents: 1}).Position
		var acc account
		if err := c.get(ctx, "/accounts/a?after="+at.String(), &acc); err != nil {
			t.Fatal(err)
		}
		if acc.Cents != i+1 {
			t.Fatalf("after %d deposits there are %d cents", i+1, acc.Cents)
		}
	}
	var never account
	err := c.get(ctx, "/accounts/a?after=1000000", &never)
	if e, ok := errors.AsType[*statusError](err); !ok || e.status != http.StatusServiceUnavailable || !strings.Contains(e.text, "ask again") {
		t.Errorf("a read behind a position to come: %v", err)
	}
	err = c.get(ctx, "/accounts/a?after=x", &never)
	if e, ok := errors.AsType[*statusError](err); !ok || e.status != http.StatusBadRequest {
		t.Errorf("a read behind no position: %v", err)
	}
	err = c.get(ctx, "/accounts/nobody", &never)
	if e, ok := errors.AsType[*statusError](err); !ok || e.status != http.StatusNotFound {
		t.Errorf("an account that is not there: %v", err)
	}
}

func TestTheAdminPageNeedsThePassword(t *testing.T) {
	t.Parallel()
	c, ctx := setup(t)
	for _, try := range []struct {
		user, password string
		status         int
	}{
		{"", "", 401}, {"operator", "", 401}, {"operator", "wrong", 401}, {"root", password, 401}, {"operator", password, 200},
	} {
		for _, path := range []string{"/admin/", "/admin/api/v1/overview", "/admin/api/v1/events"} {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if try.user != "" {
				req.SetBasicAuth(try.user, try.password)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != try.status {
				t.Errorf("%s as %q: %s, want %d", path, try.user, resp.Status, try.status)
			}
		}
	}
}

// collector is what an OTLP endpoint sees, by path.
type collector struct {
	mu   sync.Mutex
	text map[string]string
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.text[r.URL.Path] += string(body)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func TestTelemetryGoesToTheCollectorOfTheEnvironment(t *testing.T) {
	c := &collector{text: map[string]string{}}
	server := httptest.NewServer(c)
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	if err := start(t.Context(), io.Discard, []string{"-ci"}); err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	c.mu.Lock()
	defer c.mu.Unlock()
	for path, names := range map[string][]string{
		"/v1/metrics": {"messaging.client.sent.messages", "http.server.request.duration", "bank"},
		"/v1/traces":  {"POST /accounts/{id}/deposits", "append bank", "process accounts"},
	} {
		for _, name := range names {
			if !strings.Contains(c.text[path], name) {
				t.Errorf("the %d bytes for %s hold no %q", len(c.text[path]), path, name)
			}
		}
	}
}
