package admin

import (
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"path"
	"runtime/debug"
	"strings"
	"time"
)

// Bounds of a request.
const (
	maxPath  = 4 << 10
	maxQuery = 16 << 10
	maxBody  = 64 << 10
	bodyFor  = 10 * time.Second // for sending a body
)

// policy lets the page load its own files and nothing else: no script, style or frame that
// stands in the page or comes from elsewhere.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// secure sets the headers that every answer has.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY") // for browsers without frame-ancestors
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "no-store")
}

// admit refuses what must not get any further, before anything is looked up.
func (h *Handler) admit(r *http.Request, escaped string) error {
	public := escaped == "live" || escaped == "ready"
	switch {
	case len(escaped) > maxPath || len(r.URL.RawQuery) > maxQuery:
		return problemOf(http.StatusRequestURITooLong, "uri-too-long", "The address is too long",
			fmt.Sprintf("a path has at most %d bytes, a query %d", maxPath, maxQuery))
	case !public && !h.knownHost(r.Host):
		return problemOf(http.StatusMisdirectedRequest, "misdirected", "Not a host of this handler",
			fmt.Sprintf("name %.100q in admin.Options.Hosts if it is one", r.Host))
	case !clean(escaped):
		// The mux would redirect to the clean path, and lose the prefix.
		return noRoute(r)
	}
	if err := h.cross.Check(r); err != nil {
		h.auditForeign(r, err)
		return problemOf(http.StatusForbidden, "cross-origin", "Refused across origins", err.Error())
	}
	if r.Method == http.MethodPost {
		return contentType(r, strings.HasPrefix(escaped, "api/"))
	}
	return nil
}

// clean says whether a path has no empty, "." or ".." element.
func clean(escaped string) bool {
	p := "/" + escaped
	c := path.Clean(p)
	return c == p || c+"/" == p || p == "/"
}

// contentType lets through what a form of another site cannot send, and the page's forms,
// which CrossOriginProtection guards.
func contentType(r *http.Request, api bool) error {
	want := "application/x-www-form-urlencoded"
	if api {
		want = "application/json"
	}
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != want {
		return problemOf(http.StatusUnsupportedMediaType, "unsupported-media-type", "Wrong content type", "send "+want)
	}
	return nil
}

func limitBody(w http.ResponseWriter, r *http.Request) {
	// A writer that cannot set deadlines leaves that to the server's ReadTimeout.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyFor))
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
}

// knownHost says whether the Handler answers for a host.
func (h *Handler) knownHost(hostport string) bool {
	host := hostport
	if name, _, err := net.SplitHostPort(hostport); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if host == "" {
		return false
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	for _, known := range h.options.Hosts {
		known = strings.ToLower(strings.TrimSuffix(known, "."))
		below, wild := strings.CutPrefix(known, "*.")
		switch {
		case known == "*", known == host, wild && strings.HasSuffix(host, "."+below):
			return true
		}
	}
	return false
}

func faultOfHost(host string) string {
	switch name := strings.TrimPrefix(host, "*."); {
	case host == "*":
		return ""
	case name == "":
		return "names no host"
	case strings.ContainsAny(name, "/:*@ ") || strings.Contains(host, "://"):
		return `is no host; write it without scheme, port and path: "admin.example.com", "*.example.com" or "*"`
	}
	return ""
}

// redirectIntoPrefix sends a request for the prefix itself to the page, whose links are
// relative: /admin to /admin/. It does nothing when the request is there already, and the
// prefix was stripped with its slash.
func redirectIntoPrefix(w http.ResponseWriter, r *http.Request) bool {
	asked := r.RequestURI
	if at := strings.IndexAny(asked, "?#"); at >= 0 {
		asked = asked[:at]
	}
	last := asked[strings.LastIndexByte(asked, '/')+1:]
	if last == "" {
		return false
	}
	w.Header().Set("Location", "./"+last+"/")
	w.WriteHeader(http.StatusPermanentRedirect)
	return true
}

func stack() string { return string(debug.Stack()) }
