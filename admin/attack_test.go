package admin_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/riffle-go/riffle/admin"
)

const pausing = "api/v1/subscriptions/balances/pause"

// unpaused checks that an attack changed nothing.
func (b *bed) unpaused() {
	b.Helper()
	all, err := b.engine.Status(b.Context())
	b.must(err)
	for _, st := range all {
		if st.Subscriber.Paused != "" {
			b.Errorf("%s is paused", st.Projection)
		}
	}
}

func TestAttackCrossSitePost(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{idle: true})
	for _, header := range []http.Header{
		{"Sec-Fetch-Site": {"cross-site"}},
		{"Sec-Fetch-Site": {"same-site"}}, // a sibling of the host
		{"Origin": {"https://evil.example"}},
		{"Origin": {"null"}},
	} {
		for _, path := range []string{pausing, "subscription", "store", "api/v1/store/backup"} {
			contentType := "application/json"
			if !strings.HasPrefix(path, "api/") {
				contentType = "application/x-www-form-urlencoded"
			}
			r := b.request("POST", path, contentType, `{"reason":"gotcha"}`)
			for k, v := range header {
				r.Header[k] = v
			}
			if a := b.do(r); a.status != http.StatusForbidden {
				t.Errorf("%s %v: %d", path, header, a.status)
			}
		}
	}
	lines := b.log.with(t, "admin request refused across origins")
	if len(lines) != 16 {
		t.Errorf("%d lines in the log, want one for each attempt: %v", len(lines), lines)
	}
	if !slices.ContainsFunc(lines, func(l m) bool {
		return l["level"] == "WARN" && l["origin"] == "https://evil.example" && l["path"] == "/"+pausing && l["remote"] != ""
	}) {
		t.Errorf("no line tells from where a request for a pause came: %v", lines)
	}
	r := b.request("POST", pausing, "application/json", `{"reason":"gotcha"}`)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	b.do(r).checked(pausing).problem(403, "cross-origin")
	b.unpaused()
	r = b.request("POST", pausing, "application/json", `{"reason":"ours"}`)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	b.do(r).into(new(m))
}

func TestAttackNoAnswerAllowsAnotherOrigin(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{idle: true})
	for _, method := range []string{"GET", "OPTIONS", "HEAD"} {
		r := b.request(method, "api/v1/overview", "", "")
		r.Header.Set("Origin", "https://evil.example")
		r.Header.Set("Access-Control-Request-Method", "POST")
		a := b.do(r)
		for name := range a.header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: %s: %s", method, name, a.header.Get(name))
			}
		}
	}
}

func TestAttackWrongContentType(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{idle: true})
	for _, contentType := range []string{
		"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp", "application/json, text/plain", "a/b/c;;;",
	} {
		b.do(b.request("POST", pausing, contentType, `{"reason":"gotcha"}`)).checked(pausing).problem(415, "unsupported-media-type")
	}
	for _, path := range []string{"subscription", "store"} {
		if a := b.do(b.request("POST", path, "application/json", `{}`)); a.status != 415 {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	b.unpaused()
	b.do(b.request("POST", pausing, "Application/JSON; charset=utf-8", `{"reason":"ours"}`)).into(new(m))
}

func TestAttackWrongHost(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{idle: true, admin: &admin.Options{Authorize: operator, Hosts: []string{"Admin.example.com", "*.ops.example.com"}}})
	for host, want := range map[string]int{
		"":             400, // by the server
		"evil.example": 421, "evil.example:8080": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421,
		"example.com": 421, "ops.example.com": 421, "xops.example.com": 421, "admin.example.com.evil": 421, "0x7f.1": 421,
		"localhost": 200, "LOCALHOST:80": 200, "riffle.localhost": 200, "127.0.0.1": 200, "[::1]:8080": 200, "10.1.2.3:80": 200,
		"admin.example.com": 200, "admin.example.com.": 200, "ADMIN.example.com:443": 200, "a.ops.example.com": 200,
	} {
		for _, path := range []string{"/api/v1/overview", "/live", "/"} {
			r := httptest.NewRequest("GET", path, nil)
			r.Host = host
			w := httptest.NewRecorder()
			b.handler.ServeHTTP(w, r)
			want := want
			switch {
			case path == "/live":
				want = 200 // probes come under any name
			case host == "":
				want = 421
			case path == "/" && want == 200:
				continue // what the page answers is not this test's matter
			}
			if w.Code != want {
				t.Errorf("%s at %q: %d, want %d", path, host, w.Code, want)
			}
		}
	}
	r := b.request("GET", "api/v1/overview", "", "")
	r.Host = "evil.example"
	b.do(r).checked("api/v1/overview").problem(421, "misdirected")
	any, err := admin.New(b.engine, &admin.Options{Hosts: []string{"*"}})
	b.must(err)
	defer any.Close()
	q := httptest.NewRequest("GET", "/api/v1/overview", nil)
	q.Host = "anything.example"
	w := httptest.NewRecorder()
	if any.ServeHTTP(w, q); w.Code != 200 {
		t.Errorf("with *: %d", w.Code)
	}
}

func TestAttackPathTraversal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := setup(t, setupOptions{idle: true, admin: &admin.Options{Authorize: operator, BackupDir: filepath.Join(dir, "backups")}})
	b.must(os.WriteFile(filepath.Join(dir, "secret"), []byte("top secret"), 0o600))
	for _, path := range []string{
		"../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "assets/../../secret", "assets/..%2f..%2fsecret",
		"assets/%2e%2e/handler.go", "assets/..%5c..%5csecret", "assets//etc/passwd", "api/v1/../v1/overview", "api//v1/overview", "api/./v1/overview",
		"api/v1/subscriptions/..%2f..%2fsecret", "api/v1/models/..%2fbackups/states", "api/v1/subscriptions/%2e%2e", "assets/%00", "api/v1/overview/", "api/v2/overview",
		"api/v1/subscriptions//parked", "api/v1/subscriptions/balances%00/parked", "api", "api/", "API/v1/overview",
	} {
		// By hand, because clients clean paths.
		r := httptest.NewRequest("GET", "http://127.0.0.1/", nil)
		r.URL = &url.URL{Path: "/" + path, RawPath: "/" + path}
		if decoded, err := url.PathUnescape(path); err == nil {
			r.URL.Path = "/" + decoded
		}
		w := httptest.NewRecorder()
		b.handler.ServeHTTP(w, r)
		if w.Code != http.StatusNotFound || w.Header().Get("Location") != "" {
			t.Errorf("%s: %d %s %s", path, w.Code, w.Header().Get("Location"), w.Body)
		}
		if body := w.Body.String(); strings.Contains(body, "root:") || strings.Contains(body, "top secret") || strings.Contains(body, "package admin") {
			t.Errorf("%s leaks a file", path)
		}
	}
}

func TestAttackHugeParameters(t *testing.T) {
	t.Parallel()
	b := filled(t, setupOptions{idle: true})
	long := strings.Repeat("x", 2000)
	for query, field := range map[string]string{
		"id=" + long:                          "id",
		"type=" + long:                        "type",
		"limit=201":                           "limit",
		"limit=0":                             "limit",
		"limit=-1":                            "limit",
		"limit=999999999999999999999":         "limit",
		"limit=1e3":                           "limit",
		"limit=1&limit=2":                     "limit",
		"order=sideways":                      "order",
		"from=99999999999999999999":           "from",
		"from=version:1":                      "from",
		"to=now":                              "to",
		strings.Repeat("type=a&", 40) + "x=1": "type",
		"after=a&before=b":                    "before",
		"unheard=1":                           "unheard",
		"id=%zz":                              "query",
		"id=a;b=c":                            "query",
		strings.Repeat("y", 1000) + "=1":      strings.Repeat("y", 40),
		"after=" + strings.Repeat("A", 900):   "Query.After",
		"before=!":                            "Query.After",
		"aggregate=%ff":                       "Query.Match",
		"aggregate=bank/account&id=" + long[:300]: "Query.Match",
	} {
		p := b.get("api/v1/events?"+query).problem(400, "invalid")
		if !strings.HasPrefix(p.Field, field) && !(field == "type" && p.Field == "x") {
			t.Errorf("%.60s: field %q, want %q", query, p.Field, field)
		}
	}
	b.get("api/v1/events?id="+strings.Repeat("x", 20<<10)).problem(414, "uri-too-long")
	b.get("api/v1/subscriptions/"+strings.Repeat("x", 5<<10)).problem(414, "uri-too-long")
	b.get("api/v1/models/balances/states?after=zzz").problem(400, "invalid")
	b.get("api/v1/models/balances/states?after=eyJrIjoicm93cyIsImEiOiJ4In0").problem(400, "invalid") // of another listing
	b.get("api/v1/models/balances/state?key="+strings.Repeat("k", 400)).problem(400, "invalid")
	b.get("api/v1/events/1/stream?around=1000").problem(400, "invalid")
	b.get("api/v1/events/99999999999999999999").problem(400, "invalid")
	b.get("api/v1/events/18446744073709551615").problem(404, "not-found")
	b.get("api/v1/events?from=18446744073709551615").into(new(m))
}

func TestAttackHugeAndMalformedBodies(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{idle: true})
	b.do(b.request("POST", pausing, "application/json", `{"reason":"`+strings.Repeat("x", 100<<10)+`"}`)).checked(pausing).problem(413, "too-large")
	for _, body := range []string{
		"{", "[]", `"x"`, `{"reason":1}`, `{"reason":"a"}{"reason":"b"}`, `{"reason":"a"} x`, `{"unheard":1}`,
		strings.Repeat("[", 20_000), "\xff\xfe", `{"position":-1}`, `{"position":1}`, `{"position":"01"}`, `{"Verb":"rebuild","reason":"x"}`,
	} {
		b.do(b.request("POST", pausing, "application/json", body)).checked(pausing).problem(400, "bad-json")
	}
	b.post(pausing, m{"reason": strings.Repeat("x", 501)}).problem(400, "invalid")
	b.post("api/v1/subscriptions/letters/retry", m{"key": strings.Repeat("x", 385)}).problem(400, "invalid")
	b.unpaused()
}

// Script stays text: JSON that browsers must not sniff, without < and >.
func TestAttackScriptInPayloadsAndIDs(t *testing.T) {
	t.Parallel()
	const script = `<script>alert(1)</script><img src=x onerror=alert(1)>`
	b := setup(t, setupOptions{admin: &admin.Options{Payloads: admin.Full}})
	b.append(script, Opened{Owner: script, City: script}, Deposited{Note: script})
	b.letters.strike.Store(true)
	b.settle()
	for _, path := range []string{
		"api/v1/events", "api/v1/events/1", "api/v1/events/1/stream", "api/v1/events?id=" + url.QueryEscape(script), "api/v1/streams?aggregate=bank/account",
		"api/v1/models/balances/states", "api/v1/models/cities/states", "api/v1/models/balances/state?key=" + url.QueryEscape(script),
		"api/v1/models/balances/history?key=" + url.QueryEscape(script), "api/v1/subscriptions/" + url.PathEscape(script), "api/v1/events?" + url.QueryEscape(script) + "=1",
		"api/v1/" + url.PathEscape(script), "api/v1/events/" + url.PathEscape(script), "api/v1/events?order=" + url.QueryEscape(script),
	} {
		a := b.get(path)
		if ct := a.header.Get("Content-Type"); ct != "application/json" && ct != "application/problem+json" {
			t.Errorf("%s: %s", path, ct)
		}
		if a.header.Get("X-Content-Type-Options") != "nosniff" || strings.ContainsAny(string(a.body), "<>") {
			t.Errorf("%s: %s", path, a.body)
		}
		if !json.Valid(a.body) {
			t.Errorf("%s: not JSON", path)
		}
	}
	var one eventItem
	b.get("api/v1/events/1").into(&one)
	var payload Opened
	b.must(json.Unmarshal(one.Payload.Data, &payload))
	if one.StreamID != script || payload.Owner != script {
		t.Error("the text was changed")
	}
	for _, path := range []string{"<script>", "%3Cscript%3E"} { // beyond the API
		r := httptest.NewRequest("GET", "http://127.0.0.1/x", nil)
		r.URL.Path = "/" + path
		r.Host = "evil<script>.example"
		w := httptest.NewRecorder()
		b.handler.ServeHTTP(w, r)
		if ct := w.Header().Get("Content-Type"); !strings.HasPrefix(ct, "text/plain") || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %s", path, ct)
		}
	}
}

func TestAttackWithoutPermission(t *testing.T) {
	t.Parallel()
	body := m{"confirm": "balances", "reason": "x", "to": "1", "key": "k", "position": "1"}
	paths := []string{"api/v1/store/backup"}
	for _, verb := range []string{"pause", "resume", "retry", "skip", "rewind", "rebuild", "release"} {
		paths = append(paths, "api/v1/subscriptions/balances/"+verb)
	}
	t.Run("read-only", func(t *testing.T) {
		t.Parallel()
		b := setup(t, setupOptions{idle: true, admin: &admin.Options{BackupDir: t.TempDir()}})
		for _, path := range paths {
			b.post(path, body).problem(403, "read-only")
		}
		b.unpaused()
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		b := setup(t, setupOptions{idle: true, admin: &admin.Options{Authorize: operator, BackupDir: t.TempDir()}})
		b.header.Del("X-Role")
		for _, path := range paths {
			if p := b.post(path, body).problem(403, "forbidden"); p.Detail != "operators only" {
				t.Errorf("%s: %q", path, p.Detail)
			}
			// Not even whether the input would be right is told.
			b.do(b.request("POST", path, "application/json", "{{{")).problem(403, "forbidden")
		}
		b.unpaused()
	})
	t.Run("reading", func(t *testing.T) {
		t.Parallel()
		refuse := func(*http.Request, admin.Action) error { return errors.New("nobody") }
		b := filled(t, setupOptions{idle: true, admin: &admin.Options{AuthorizeRead: refuse, Payloads: admin.Full}})
		for _, route := range admin.Routes() {
			method, path, _ := strings.Cut(route, " ")
			path = strings.NewReplacer("{name}", "balances", "{position}", "1").Replace(strings.TrimPrefix(path, "/"))
			if method != "GET" || path == "live" || path == "ready" || path == "api/openapi.yaml" {
				continue
			}
			b.get(path).problem(403, "forbidden")
		}
	})
}

func TestAttackMethodConfusion(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{idle: true})
	for _, method := range []string{"GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "pause"} {
		a := b.do(b.request(method, pausing, "application/json", `{"reason":"gotcha"}`))
		if a.status != 405 || a.header.Get("Allow") != "POST" {
			t.Errorf("%s: %d, allow %q", method, a.status, a.header.Get("Allow"))
		}
	}
	for _, header := range []string{"X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"} {
		r := b.request("GET", pausing+"?_method=POST", "application/json", `{"reason":"gotcha"}`)
		r.Header.Set(header, "POST")
		if a := b.do(r); a.status != 405 {
			t.Errorf("%s: %d", header, a.status)
		}
	}
	b.do(b.request("POST", "api/v1/overview", "application/json", `{}`)).checked("api/v1/overview").problem(405, "method-not-allowed")
	b.do(b.request("DELETE", "api/v1/nowhere", "", "")).problem(404, "no-route")
	b.unpaused()
	if a := b.do(b.request("HEAD", "api/v1/overview", "", "")); a.status != 200 || len(a.body) > 0 {
		t.Errorf("HEAD: %d %s", a.status, a.body)
	}
}
