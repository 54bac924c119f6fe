package admin_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/riffle-go/riffle/admin"
	"github.com/riffle-go/riffle/engine"
)

const formType = "application/x-www-form-urlencoded"

// html asks for a page as a browser does.
func (b *bed) html(path string) *answer {
	b.Helper()
	a := b.do(b.request("GET", path, "", ""))
	if ct := a.header.Get("Content-Type"); ct != "text/html; charset=utf-8" {
		b.Errorf("%s: %d %s", path, a.status, ct)
	}
	return a
}

// form sends a form; pairs are names and values.
func (b *bed) form(path string, pairs ...string) *answer {
	b.Helper()
	values := make(url.Values)
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	r := b.request("POST", path, formType, values.Encode())
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.do(r)
}

func (a *answer) shows(status int, parts ...string) {
	a.Helper()
	if a.status != status {
		a.Errorf("%s: %d, want %d", a.what, a.status, status)
	}
	for _, part := range parts {
		if !strings.Contains(string(a.body), part) {
			a.Errorf("%s does not show %q:\n%.4000s", a.what, part, a.body)
		}
	}
}

func (a *answer) hides(parts ...string) {
	a.Helper()
	for _, part := range parts {
		if strings.Contains(string(a.body), part) {
			a.Errorf("%s shows %q", a.what, part)
		}
	}
}

func TestPagesOfAnEmptyStore(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{idle: true})
	for path, part := range map[string]string{
		"": "no events yet", "subscriptions": "balances", "subscription?name=balances": "No event was set aside",
		"events": "Nothing was appended yet", "models": "cities", "model?name=balances": "There are no states yet", "store": "Options.BackupDir",
	} {
		b.html(path).shows(http.StatusOK, part)
	}
	b.html("event?position=1").shows(http.StatusNotFound, "Error 404")
	b.html("state?name=balances&key=ann").shows(http.StatusNotFound, "It does not exist")
	b.html("nowhere").shows(http.StatusNotFound, "There is nothing here")
}

func TestPagesWithoutCode(t *testing.T) {
	t.Parallel()
	b := stricken(t)
	bare, err := engine.New(engine.Config{Store: b.store})
	b.must(err)
	h, err := admin.New(bare, &admin.Options{Authorize: operator, Payloads: admin.Full})
	b.must(err)
	b.serve(h)
	b.html("").shows(http.StatusOK, "orphaned", "this program does not")
	b.html("subscription?name=letters").shows(http.StatusOK, "orphaned", "there is no such city", "does not have its code")
	b.html("subscription?name=balances").hides("Rebuild</summary>")
	b.html("state?name=balances&key=ann").shows(http.StatusOK, "Ann", "not ids of streams")
}

func TestFormsActAndGoBack(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{})
	b.settle()
	a := b.form("subscription", "name", "balances", "verb", "pause", "reason", "an <audit>")
	if to := a.header.Get("Location"); a.status != http.StatusSeeOther || to != "subscription?name=balances&done=pause" {
		t.Fatalf("%d to %q: %s", a.status, to, a.body)
	}
	b.html("subscription?name=balances&done=pause").shows(http.StatusOK, "Paused: an &lt;audit&gt;", `id="done"`)
	b.html("subscription?name=balances&done=%3Cb%3Eyou%20won").hides("you won", `id="done"`)

	// What is refused keeps what was typed.
	b.form("subscription", "name", "balances", "verb", "rebuild", "confirm", `bal"ances`).
		shows(http.StatusBadRequest, "Not confirmed", `value="bal&#34;ances"`, "<details open><summary>Rebuild")
	b.form("subscription", "name", "balances", "verb", "pause").shows(http.StatusBadRequest, "reason")
	b.form("subscription", "name", "letters", "verb", "rewind", "to", "soon", "confirm", "letters").shows(http.StatusBadRequest, `value="soon"`)
	b.form("subscription", "name", "letters", "verb", "skip", "key", "k", "position", "many", "confirm", "letters").shows(http.StatusBadRequest, `id="problem"`)
	b.form("subscription", "name", "nobody", "verb", "pause", "reason", "r").shows(http.StatusNotFound, "no such projection")
	for _, verb := range []string{"", "explode", "backup", "read"} {
		b.form("subscription", "name", "balances", "verb", verb).shows(http.StatusBadRequest, "is no action")
	}
	b.form("store", "verb", "pause").shows(http.StatusBadRequest, "is no action")
	b.form("store", "verb", "backup").shows(http.StatusForbidden, "Backups are switched off")
}

// A form differs from an API call in that other sites can send it: it must come from here.
func TestAttackFormsOfOtherSites(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{})
	b.settle()
	body := "name=balances&verb=pause&reason=x"
	for what, change := range map[string]func(*http.Request){
		"another site":       func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"a sibling":          func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
		"another origin":     func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"no origin":          func(r *http.Request) { r.Header.Set("Origin", "null") },
		"text":               func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") },
		"a form with a file": func(r *http.Request) { r.Header.Set("Content-Type", "multipart/form-data; boundary=x") },
		"JSON":               func(r *http.Request) { r.Header.Set("Content-Type", "application/json") },
		"another host":       func(r *http.Request) { r.Host = "evil.example" },
	} {
		r := b.request("POST", "subscription", formType, body)
		change(r)
		if a := b.do(r); a.status != http.StatusForbidden && a.status != http.StatusUnsupportedMediaType && a.status != http.StatusMisdirectedRequest {
			t.Errorf("%s: %d", what, a.status)
		}
	}
	huge := b.form("subscription", "name", "balances", "verb", "pause", "reason", strings.Repeat("x", 1<<20))
	if huge.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a huge form: %d", huge.status)
	}
	b.header.Set("X-Role", "guest")
	b.form("subscription", "name", "balances", "verb", "pause", "reason", "x").shows(http.StatusForbidden, "operators only")
	if s := b.subscription("balances"); s.Paused != "" {
		t.Errorf("an attack paused it: %q", s.Paused)
	}
}

func TestPagesAskWhoMayRead(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{admin: &admin.Options{
		Authorize: operator,
		AuthorizeRead: func(_ *http.Request, a admin.Action) error {
			if a.Projection == "letters" || a.Key == "secret" {
				return errors.New("not for you")
			}
			return nil
		},
	}})
	b.append("secret", Opened{"Ann", "Ulm"})
	b.settle()
	b.html("subscription?name=balances").shows(http.StatusOK)
	b.html("events?name=letters").shows(http.StatusOK) // a name of events
	b.html("subscription?name=letters").shows(http.StatusForbidden, "not for you")
	b.html("state?name=balances&key=secret").shows(http.StatusForbidden, "not for you")
	a := b.form("subscription", "name", "letters", "verb", "rebuild", "confirm", "no")
	a.shows(http.StatusBadRequest, "Not confirmed")
	a.hides("Events set aside")
}

func TestAssetsAreKeptAndAskedFor(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{idle: true})
	first := b.do(b.request("GET", "assets/js/app.js", "", ""))
	first.shows(http.StatusOK, "import")
	if ct := first.header.Get("Content-Type"); ct != "text/javascript; charset=utf-8" {
		t.Errorf("a module that browsers refuse: %s", ct)
	}
	r := b.request("GET", "assets/js/app.js", "", "")
	r.Header.Set("If-None-Match", first.header.Get("Etag"))
	if again := b.do(r); again.status != http.StatusNotModified || len(again.body) > 0 {
		t.Errorf("%d %s", again.status, again.body)
	}
	for _, path := range []string{"assets/pages/layout.html", "assets/icons/bad.svg", "assets/", "assets/js/..%2f..%2fdoc.go"} {
		if a := b.do(b.request("GET", path, "", "")); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, a.status)
		}
	}
}
