package admin

import (
	_ "embed"
	"net/http"
	"slices"
	"strings"
)

//go:embed openapi.yaml
var openAPI []byte

// route is a route of the API that answers with JSON.
type route struct {
	method, path string
	status       int // of success
	answer       func(h *Handler, r *http.Request) (any, error)
}

// apiRoutes are all routes below api/v1 that answer with JSON. openapi.yaml describes the
// same ones.
var apiRoutes = []route{
	{"GET", "overview", http.StatusOK, (*Handler).getOverview},
	{"GET", "subscriptions", http.StatusOK, (*Handler).getSubscriptions},
	{"GET", "subscriptions/{name}", http.StatusOK, (*Handler).getSubscription},
	{"GET", "subscriptions/{name}/parked", http.StatusOK, (*Handler).getParked},
	{"POST", "subscriptions/{name}/pause", http.StatusOK, post(VerbPause)},
	{"POST", "subscriptions/{name}/resume", http.StatusOK, post(VerbResume)},
	{"POST", "subscriptions/{name}/retry", http.StatusOK, post(VerbRetry)},
	{"POST", "subscriptions/{name}/skip", http.StatusOK, post(VerbSkip)},
	{"POST", "subscriptions/{name}/rewind", http.StatusOK, post(VerbRewind)},
	{"POST", "subscriptions/{name}/rebuild", http.StatusOK, post(VerbRebuild)},
	{"POST", "subscriptions/{name}/release", http.StatusOK, post(VerbRelease)},
	{"GET", "events", http.StatusOK, (*Handler).getEvents},
	{"GET", "events/{position}", http.StatusOK, (*Handler).getEvent},
	{"GET", "events/{position}/causation", http.StatusOK, (*Handler).getCausation},
	{"GET", "events/{position}/stream", http.StatusOK, (*Handler).getAround},
	{"GET", "types", http.StatusOK, (*Handler).getTypes},
	{"GET", "streams", http.StatusOK, (*Handler).getStreams},
	{"GET", "models", http.StatusOK, (*Handler).getModels},
	{"GET", "models/{name}/states", http.StatusOK, (*Handler).getStates},
	{"GET", "models/{name}/state", http.StatusOK, (*Handler).getState},
	{"GET", "models/{name}/history", http.StatusOK, (*Handler).getHistory},
	{"GET", "store", http.StatusOK, (*Handler).getStore},
	{"POST", "store/backup", http.StatusCreated, post(VerbBackup)},
}

// rawRoutes are the other routes below the Handler that this file knows; they write their
// answers themselves.
var rawRoutes = []struct {
	path  string
	serve func(h *Handler, w http.ResponseWriter, r *http.Request)
}{
	{"api/openapi.yaml", (*Handler).serveOpenAPI},
	{"api/v1/stream", (*Handler).serveStream},
}

// routes fills the muxes.
func (h *Handler) routes() {
	methods := make(map[string][]string)
	for _, rt := range apiRoutes {
		path := "/api/v1/" + rt.path
		h.api.Handle(rt.method+" "+path, h.json(rt))
		methods[path] = append(methods[path], rt.method)
	}
	for _, rt := range rawRoutes {
		h.api.HandleFunc("GET /"+rt.path, func(w http.ResponseWriter, r *http.Request) { rt.serve(h, w, r) })
		methods["/"+rt.path] = append(methods["/"+rt.path], http.MethodGet)
	}
	for path, allowed := range methods {
		h.api.Handle(path, h.wrongMethod(allowed))
	}
	h.api.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { h.fail(w, r, noRoute(r)) })

	h.page.Handle("GET /live", Live(h.engine))
	h.page.Handle("GET /ready", Ready(h.engine))
}

// json makes a handler of a route: it asks whether the request may read, and encodes the
// answer. Actions ask for themselves.
func (h *Handler) json(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var answer any
		err := error(nil)
		if rt.method == http.MethodGet {
			ctx, cancel := h.reads(r)
			defer cancel()
			r = r.WithContext(ctx)
			err = h.mayRead(r, r.PathValue("name"), r.URL.Query().Get("key"))
		}
		if err == nil {
			answer, err = rt.answer(h, r)
		}
		if err != nil {
			h.fail(w, r, err)
			return
		}
		writeJSON(w, "application/json", rt.status, answer)
	})
}

// wrongMethod answers for a path that exists, asked with a method that it does not have.
func (h *Handler) wrongMethod(allowed []string) http.Handler {
	if slices.Contains(allowed, http.MethodGet) {
		allowed = append(allowed, http.MethodHead)
	}
	allow := strings.Join(slices.Compact(slices.Sorted(slices.Values(allowed))), ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := problemOf(http.StatusMethodNotAllowed, "method-not-allowed", "Wrong method", "allowed here: "+allow)
		p.allow = allow
		h.fail(w, r, p)
	})
}

func (h *Handler) serveOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(openAPI) // the client is gone
}
