package admin_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/riffle-go/riffle/admin"
	"github.com/riffle-go/riffle/engine"
)

func TestARequestEndsInTime(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{idle: true, admin: &admin.Options{
		Timeout:       100 * time.Millisecond,
		AuthorizeRead: func(r *http.Request, _ admin.Action) error { <-r.Context().Done(); return nil },
	}})
	b.get("api/v1/events").problem(504, "timeout")
}

func TestAPanicIsAProblemAndInTheLog(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{idle: true, admin: &admin.Options{
		AuthorizeRead: func(*http.Request, admin.Action) error { panic("a secret") },
		Authorize:     func(*http.Request, admin.Action) error { panic("a secret") },
	}})
	for _, a := range []*answer{b.get("api/v1/overview"), b.post("api/v1/subscriptions/balances/resume", m{})} {
		a.problem(500, "internal")
		if strings.Contains(string(a.body), "secret") {
			t.Errorf("%s", a.body)
		}
	}
	if n := len(b.log.with(t, "admin: a request panicked")); n != 2 {
		t.Errorf("%d lines", n)
	}
	if lines := b.log.with(t, "admin action"); len(lines) != 1 || lines[0]["outcome"] != "failed" {
		t.Errorf("%v", lines)
	}
}

func TestACursorOfAnotherStoreIsAProblem(t *testing.T) {
	t.Parallel()
	var list page[eventItem]
	filled(t, setupOptions{idle: true}).get("api/v1/events?limit=2").into(&list)
	filled(t, setupOptions{idle: true}).get("api/v1/events?after="+list.Next).problem(410, "history")
}

func TestWhatAFailedStoreStillTells(t *testing.T) {
	t.Parallel()
	b := filled(t, setupOptions{idle: true})
	w := b.watch()
	defer w.close()
	if _, ok := w.next(); !ok {
		t.Fatal("no sample")
	}
	b.must(b.store.Close())
	b.until("the last sample is old", func() bool { return b.get("api/v1/overview").status != 200 })
	for _, route := range admin.Routes() {
		method, path, _ := strings.Cut(route, " ")
		path = strings.NewReplacer("{name}", "balances", "{position}", "1").Replace(strings.TrimPrefix(path, "/"))
		if method != "GET" || strings.HasSuffix(path, "openapi.yaml") || path == "live" || path == "ready" || path == "api/v1/stream" {
			continue
		}
		b.get(path+"?"+query(path)).problem(503, "store-closed")
	}
	b.until("the stream tells of the problem", func() bool {
		return w.lines.Scan() && strings.HasPrefix(w.lines.Text(), "data: ") && strings.Contains(w.lines.Text(), "store-closed")
	})
}

// query is what a route needs.
func query(path string) string {
	switch {
	case strings.HasSuffix(path, "/state"), strings.HasSuffix(path, "/history"):
		return "key=" + url.QueryEscape("a0")
	case strings.HasSuffix(path, "/streams"):
		return "aggregate=" + url.QueryEscape(string(Accounts))
	}
	return ""
}

// A page says what is wrong, as a page.
func TestPagesOfAClosedStoreSayWhy(t *testing.T) {
	t.Parallel()
	b := filled(t, setupOptions{idle: true})
	bare, err := engine.New(engine.Config{Store: b.store})
	b.must(err)
	h, err := admin.New(bare, &admin.Options{Authorize: operator})
	b.must(err)
	b.serve(h)
	b.must(b.store.Close())
	b.until("the last sample is old", func() bool { return b.get("api/v1/overview").status != 200 })
	for _, path := range []string{"", "subscriptions", "subscription?name=x", "events", "event?position=1", "store", "models", "model?name=x", "state?name=x&key=y"} {
		b.html(path).shows(http.StatusServiceUnavailable, "<main", "The store is closed")
	}
	for _, verb := range []string{"pause", "resume", "retry", "release"} { // of projections whose code is elsewhere too
		b.form("subscription", "name", "balances", "verb", verb, "confirm", "balances", "reason", "x").shows(http.StatusServiceUnavailable, "<main", "The store is closed")
	}
}

func TestAPanicBehindAPageIsAPage(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{idle: true, admin: &admin.Options{AuthorizeRead: func(*http.Request, admin.Action) error { panic("a secret") }}})
	a := b.html("events")
	a.shows(http.StatusInternalServerError, "<main", "the log of the service tells what")
	a.hides("secret")
	if n := len(b.log.with(t, "admin: a request panicked")); n != 1 {
		t.Errorf("%d lines", n)
	}
}

// The browser of events needs the types, not the directory of backups.
func TestEventsAreShownWithoutTheDirectoryOfBackups(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "no directory")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b := filled(t, setupOptions{idle: true, admin: &admin.Options{BackupDir: file}})
	b.html("events").shows(http.StatusOK, "bank/account.opened")
	b.html("store").shows(http.StatusOK, "The backups could not be listed", "not a directory")
	var v struct {
		Backups struct{ Error *struct{ Text string } }
	}
	if b.get("api/v1/store").into(&v); v.Backups.Error == nil {
		t.Errorf("%+v", v)
	}
}

// A query that cannot be read selects nothing, rather than everything.
func TestAFilterThatIsNotWellFormedIsRefused(t *testing.T) {
	t.Parallel()
	b := filled(t, setupOptions{idle: true})
	for _, query := range []string{"type=x%zz", "id=a;b", "%"} {
		b.html("events?"+query).shows(http.StatusBadRequest, "is not well-formed")
	}
}
