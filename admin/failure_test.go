package admin_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/riffle-go/riffle/admin"
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
