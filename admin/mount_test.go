package admin_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/riffle-go/riffle/admin"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
)

func TestNamesWithSlashesAreOneElementOfThePath(t *testing.T) {
	t.Parallel()
	odd := "billing/../invoices? #%2f"
	model := projection.NewModel(odd, projection.Fold(func(b *Balance, e Deposited, _ event.Event) error { b.Cents += e.Cents; return nil }))
	b := setup(t, setupOptions{projections: []projection.Projection{model}})
	key := "a/../b?\x00\x01 é"
	b.append(key, Deposited{Cents: 3})
	b.settle()
	if s := b.subscription(url.PathEscape(odd)); s.Name != odd {
		t.Errorf("%+v", s)
	}
	var s stateItem
	b.get("api/v1/models/" + url.PathEscape(odd) + "/state?key=" + url.QueryEscape(key)).into(&s)
	if s.Key != key {
		t.Errorf("%q", s.Key)
	}
	b.get("api/v1/models/" + url.PathEscape(odd) + "/state?at=head&key=" + url.QueryEscape(key)).into(&s)
	if !s.Exact {
		t.Errorf("%+v", s)
	}
}

func TestEveryAnswerIsHardened(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{idle: true})
	for _, path := range []string{"", "api/v1/overview", "api/v1/nowhere", "api/openapi.yaml", "nowhere", "live", "api/v1/events?limit=x"} {
		a := b.do(b.request("GET", path, "", ""))
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
				"form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Frame-Options": "DENY",
			"Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%s: %s: %q, want %q", path, name, got, want)
			}
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{idle: true})
	_, err := admin.New(b.engine, &admin.Options{
		Payloads: 7, Hosts: []string{"http://x", "a:80", ""}, BackupDir: "relative", Timeout: 1, StreamClients: -1,
	})
	for _, want := range []string{"Payloads", `"http://x"`, `"a:80"`, "BackupDir", "Timeout", "StreamClients", "names no host"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not tell %s", err, want)
		}
	}
	if _, err := admin.New(nil, nil); err == nil {
		t.Error("nil engine")
	}
}

func TestThePrefixItselfLeadsToThePage(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{idle: true})
	for uri, want := range map[string]string{"/admin": "./admin/", "/x/admin?a=b": "./admin/"} {
		r := httptest.NewRequest("GET", uri, nil)
		r.Host = "127.0.0.1"
		prefix, _, _ := strings.Cut(uri, "?")
		w := httptest.NewRecorder()
		http.StripPrefix(prefix, b.handler).ServeHTTP(w, r)
		if got := w.Header().Get("Location"); w.Code != http.StatusPermanentRedirect || got != want {
			t.Errorf("%s: %d %s", uri, w.Code, got)
		}
	}
	// Where the prefix is stripped with its slash, the page is there: a mux would lead back from
	// "/a/b//", for ever.
	r := httptest.NewRequest("GET", "/a/b/?", nil)
	r.Host = "127.0.0.1"
	w := httptest.NewRecorder()
	if http.StripPrefix("/a/b/", b.handler).ServeHTTP(w, r); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "<h1>Overview") {
		t.Errorf("/a/b/: %d to %q", w.Code, w.Header().Get("Location"))
	}
	for _, prefix := range []string{"/a/b/", ""} { // stripped with the slash, or not at all
		r := httptest.NewRequest("GET", fmt.Sprint(prefix, map[bool]string{true: "/"}[prefix == ""], "api/v1/overview"), nil)
		r.Host = "127.0.0.1"
		w := httptest.NewRecorder()
		if http.StripPrefix(prefix, b.handler).ServeHTTP(w, r); w.Code != 200 {
			t.Errorf("%q: %d %s", prefix, w.Code, w.Body)
		}
	}
}
