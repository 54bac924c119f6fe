package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/store"
)

// Handler serves the API and the page of one engine. It is safe for concurrent use. Make it
// with New, and Close it before the store is closed.
type Handler struct {
	engine   *engine.Engine
	store    *store.Store
	programs map[string]*program.Program // of the engine's projections
	options  Options
	logger   *slog.Logger

	cross  *http.CrossOriginProtection
	api    *http.ServeMux // below api/
	page   *http.ServeMux // everything else
	pages  *pages
	sample *sampler
	hub    *hub
	backup chan struct{} // held while a backup is made
}

// New makes a Handler; o may be nil. The engine need not run: what is stored is shown in any
// case. Everything that is wrong with the options is reported at once.
func New(eng *engine.Engine, o *Options) (*Handler, error) {
	if eng == nil {
		return nil, &store.InvalidError{Field: "Engine", Reason: "is nil; make one with engine.New, without projections to look at a store alone"}
	}
	st := eng.Store()
	options := o.withDefaults(st)
	if err := options.validate(); err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	h := &Handler{
		engine: eng, store: st, options: options, logger: options.Logger,
		programs: make(map[string]*program.Program),
		cross:    http.NewCrossOriginProtection(),
		api:      http.NewServeMux(), page: http.NewServeMux(),
		backup: make(chan struct{}, 1),
	}
	for _, p := range eng.Projections() {
		h.programs[p.Name()] = p.Program()
	}
	h.sample = newSampler(h)
	h.hub = newHub(h)
	h.routes()
	if err := h.mountPages(h.page); err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	return h, nil
}

// Close ends the streams and waits for what the Handler runs itself; later streams are
// answered 503, everything else goes on. It may be called twice. Without it
// [http.Server.Shutdown] would wait for the streams for ever: give it to
// [http.Server.RegisterOnShutdown].
func (h *Handler) Close() { h.hub.close() }

// ServeHTTP answers a request whose path is relative to the Handler: mount it with
// [http.StripPrefix].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer h.recover(w, r)
	secure(w.Header())
	if r.URL.Path == "" && redirectIntoPrefix(w, r) {
		return
	}
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	if err := h.admit(r, path); err != nil {
		h.fail(w, r, err)
		return
	}
	if r.Method == http.MethodPost {
		limitBody(w, r)
	}
	mux := h.page
	if isAPI(path) {
		mux = h.api
	}
	if !strings.HasPrefix(r.URL.Path, "/") { // the prefix was stripped with its slash
		r = r.Clone(r.Context())
		r.URL.Path = "/" + r.URL.Path
		if r.URL.RawPath != "" {
			r.URL.RawPath = "/" + r.URL.RawPath
		}
	}
	mux.ServeHTTP(w, r)
}

// recover answers for code of the program that panics: folds, codecs, authorizers.
func (h *Handler) recover(w http.ResponseWriter, r *http.Request) {
	p := recover()
	switch err, _ := p.(error); {
	case p == nil:
		return
	case err != nil && errors.Is(err, http.ErrAbortHandler):
		panic(p)
	}
	h.logger.ErrorContext(r.Context(), "admin: a request panicked", "method", r.Method, "path", r.URL.Path, "panic", fmt.Sprint(p), "stack", stack())
	if isAPI(strings.TrimPrefix(r.URL.EscapedPath(), "/")) {
		h.fail(w, r, errPanic)
	} else {
		h.pages.fail(w, r, errPanic)
	}
}

// isAPI says whether a path, still escaped, is below api.
func isAPI(escaped string) bool { return escaped == "api" || strings.HasPrefix(escaped, "api/") }

// mayRead asks Options.AuthorizeRead.
func (h *Handler) mayRead(r *http.Request, projection, key string) error {
	if h.options.AuthorizeRead == nil {
		return nil
	}
	if err := h.options.AuthorizeRead(r, Action{Verb: VerbRead, Projection: projection, Key: key}); err != nil {
		return &forbiddenError{verb: VerbRead, err: err}
	}
	return nil
}

// reads returns a context for the work of a request that reads.
func (h *Handler) reads(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Context(), h.options.Timeout)
}

// positionOf reads a position from a path.
func positionOf(r *http.Request) (event.Position, error) {
	var p event.Position
	err := p.UnmarshalText([]byte(r.PathValue("position")))
	if err == nil && p == 0 {
		err = &store.InvalidError{Field: "position", Reason: "is 0; positions begin at 1"}
	}
	return p, err
}
