package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// problemPrefix begins the type of every problem.
const problemPrefix = "urn:riffle:problem:"

// problem is an error as RFC 9457 writes it. It is an error too, so that whoever finds it
// returns it.
type problem struct {
	Type       string `json:"type"`
	Title      string `json:"title"`
	Status     int    `json:"status"`
	Detail     string `json:"detail,omitempty"`
	Projection string `json:"projection,omitempty"`
	State      string `json:"state,omitempty"` // of the projection, where that is the reason
	Field      string `json:"field,omitempty"` // of the request that is wrong
	allow      string // header of a 405
	retry      bool   // later may be better
	private    bool   // the cause goes to the log, not to the client
}

func (p *problem) Error() string { return "admin: " + p.Title + ": " + p.Detail }

// ErrorType is the last part of the problem's type.
func (p *problem) ErrorType() string { return strings.TrimPrefix(p.Type, problemPrefix) }

func problemOf(status int, kind, title, detail string) *problem {
	return &problem{Type: problemPrefix + kind, Title: title, Status: status, Detail: detail}
}

func invalid(field, format string, args ...any) error {
	return &store.InvalidError{Field: field, Reason: fmt.Sprintf(format, args...)}
}

var errPanic = errors.New("admin: a panic, see the log")

// forbiddenError is an authorizer's refusal.
type forbiddenError struct {
	verb string
	err  error
}

func (e *forbiddenError) Error() string {
	return "admin: " + e.verb + " is not allowed: " + e.err.Error()
}
func (e *forbiddenError) Unwrap() error { return e.err }

func (*forbiddenError) ErrorType() string { return "forbidden" }

func noRoute(r *http.Request) error {
	return problemOf(http.StatusNotFound, "no-route", "There is nothing here", fmt.Sprintf("%.200q is no route; api/openapi.yaml names them all", r.URL.Path))
}

// sentinels maps errors to problems; the first that matches counts, so the special ones
// come first.
var sentinels = []struct {
	err    error
	status int
	kind   string
	title  string
	retry  bool
}{
	{context.DeadlineExceeded, http.StatusGatewayTimeout, "timeout", "It took too long", true},
	{context.Canceled, http.StatusServiceUnavailable, "cancelled", "The request was cancelled", true},
	{engine.ErrUnknown, http.StatusNotFound, "unknown-projection", "There is no such projection", false},
	{projection.ErrUseRebuild, http.StatusConflict, "use-rebuild", "Models are rebuilt, not rewound", false},
	{projection.ErrRebuilding, http.StatusConflict, "rebuilding", "The projection is being rebuilt", true},
	{engine.ErrUnavailable, http.StatusConflict, "unavailable", "The projection cannot do that now", true},
	{engine.ErrRunning, http.StatusConflict, "running", "The engine runs it", false},
	{store.ErrHistory, http.StatusGone, "history", "The cursor belongs to another history of the store", false},
	{store.ErrInvalid, http.StatusBadRequest, "invalid", "The request is wrong", false},
	{store.ErrNotFound, http.StatusNotFound, "not-found", "It does not exist", false},
	{store.ErrHeld, http.StatusConflict, "held", "Another worker holds the lease", true},
	{store.ErrLeaseLost, http.StatusConflict, "lease-lost", "Another worker has taken the lease", true},
	{store.ErrGuard, http.StatusConflict, "changed", "Somebody else changed it at the same time", true},
	{store.ErrConflict, http.StatusConflict, "conflict", "The stream is at another version", true},
	{store.ErrDiskFull, http.StatusInsufficientStorage, "disk-full", "The disk is full", false},
	{store.ErrUnsupported, http.StatusNotImplemented, "unsupported", "The store cannot do that", false},
	{store.ErrFailed, http.StatusServiceUnavailable, "store-failed", "The store has failed; restart the process", false},
	{store.ErrClosed, http.StatusServiceUnavailable, "store-closed", "The store is closed", false},
	{store.ErrCorrupt, http.StatusInternalServerError, "corrupt", "Stored bytes are damaged", false},
	{store.ErrIncompatible, http.StatusInternalServerError, "incompatible", "Another version wrote it", false},
}

// asProblem is how an error is shown.
func asProblem(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if f, ok := errors.AsType[*forbiddenError](err); ok {
		return problemOf(http.StatusForbidden, "forbidden", "Not allowed", f.err.Error())
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return problemOf(http.StatusRequestEntityTooLarge, "too-large", "The body is too large", fmt.Sprintf("a body has at most %d bytes", maxBody))
	}
	if f, ok := errors.AsType[*projection.FoldError](err); ok {
		return problemOf(http.StatusUnprocessableEntity, "fold", "An event cannot be folded", f.Error())
	}
	for _, s := range sentinels {
		if !errors.Is(err, s.err) {
			continue
		}
		p := problemOf(s.status, s.kind, s.title, err.Error())
		p.retry = s.retry
		if e, ok := errors.AsType[*store.InvalidError](err); ok && s.kind == "invalid" {
			p.Field, p.Detail = e.Field, e.Field+" "+e.Reason
		}
		if e, ok := errors.AsType[*engine.StateError](err); ok {
			p.Projection, p.State = e.Projection, string(e.State)
		}
		return p
	}
	p := problemOf(http.StatusInternalServerError, "internal", "Something went wrong", "the log of the service tells what")
	p.private = true
	return p
}

// fail answers a request with an error: as a problem to clients of the API, as text to
// everybody else.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := asProblem(err)
	if p.private && !errors.Is(err, errPanic) {
		h.logger.ErrorContext(r.Context(), "admin: request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	if p.allow != "" {
		w.Header().Set("Allow", p.allow)
	}
	if p.retry {
		w.Header().Set("Retry-After", "1")
	}
	if !strings.HasPrefix(strings.TrimPrefix(r.URL.Path, "/"), "api/") {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(p.Status)
		_, _ = fmt.Fprintf(w, "%d %s\n\n%s\n", p.Status, p.Title, p.Detail) // the client is gone
		return
	}
	writeJSON(w, "application/problem+json", p.Status, p)
}

// writeJSON encodes first, so that a value that cannot be encoded is no half answer.
func writeJSON(w http.ResponseWriter, contentType string, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, contentType = http.StatusInternalServerError, "application/problem+json"
		body = []byte(`{"type":"` + problemPrefix + `internal","title":"Something went wrong","status":500,"detail":"the answer cannot be encoded"}`)
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client is gone
}
