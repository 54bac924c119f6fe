package admin

import (
	"errors"
	"html/template"
	"net/http"
	"time"
)

// pages serves the page: HTML that works without script, and script that keeps its numbers
// current.
type pages struct {
	h         *Handler
	assets    map[string]asset
	templates map[string]*template.Template
}

// A pageHandler answers a request for a page with what it shows.
type pageHandler func(r *http.Request) (*frame, error)

// mountPages makes the routes of the page.
func (h *Handler) mountPages(mux *http.ServeMux) error {
	files, err := loadAssets()
	if err != nil {
		return err
	}
	templates, err := loadTemplates()
	if err != nil {
		return err
	}
	p := &pages{h: h, assets: files, templates: templates}
	h.pages = p
	mux.HandleFunc("GET /assets/{path...}", p.serveAsset)
	for path, show := range map[string]pageHandler{
		"/{$}":           p.overview,
		"/subscriptions": p.subscriptions,
		"/subscription":  p.subscription,
		"/events":        p.events,
		"/event":         p.event,
		"/models":        p.models,
		"/model":         p.model,
		"/state":         p.state,
		"/store":         p.store,
	} {
		mux.HandleFunc("GET "+path, p.get(show))
	}
	mux.HandleFunc("POST /subscription", p.actOnSubscription)
	mux.HandleFunc("POST /store", p.actOnStore)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { p.fail(w, r, noRoute(r)) })
	return nil
}

// frame is what every page has around what it shows.
type frame struct {
	Template string // of what is inside
	Tab      string // that it belongs to
	Title    string
	Store    string
	Access   accessView
	Done     string   // what an action before it did
	Problem  *problem // why an action before it did nothing
	Tried    tried    // that action
	Now      time.Time
	Body     any

	status int
}

// tried is a form as it was sent, so that a refused one can be corrected.
type tried struct {
	Verb, Key, Position, To, Reason, Confirm string
}

// For says whether a form is the one that was refused.
func (t tried) For(verb, key, position string) bool {
	return t.Verb == verb && t.Key == key && t.Position == position
}

func (p *pages) frame(tab, name, title string, body any) *frame {
	return &frame{
		Template: name, Tab: tab, Title: title, Body: body, status: http.StatusOK,
		Store: p.h.store.Options().Name, Access: p.h.access(), Now: time.Now(),
	}
}

// get makes a handler of a page.
func (p *pages) get(show pageHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := p.h.reads(r)
		defer cancel()
		r = r.WithContext(ctx)
		err := p.mayRead(r)
		if err != nil {
			p.fail(w, r, err)
			return
		}
		f, err := show(r)
		if err != nil {
			p.fail(w, r, err)
			return
		}
		p.render(w, r, f)
	}
}

// mayRead asks about what a page shows. It has to look at the query as the page does: what
// is asked about must be what is shown.
func (p *pages) mayRead(r *http.Request) error {
	q := dropEmpty(r).URL.Query()
	projection, key := q.Get("name"), q.Get("key")
	switch r.URL.Path {
	case "/subscription": // all of it, beside what was set aside of a key
		if err := p.h.mayRead(r, projection, ""); err != nil || key == "" {
			return err
		}
	case "/model", "/state":
	default: // here these are names of events and nothing
		projection, key = "", ""
	}
	return p.h.mayRead(r, projection, key)
}

// fail shows an error as a page.
func (p *pages) fail(w http.ResponseWriter, r *http.Request, err error) {
	problem := asProblem(err)
	if problem.private && !errors.Is(err, errPanic) {
		p.h.logger.ErrorContext(r.Context(), "admin: request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	if problem.allow != "" {
		w.Header().Set("Allow", problem.allow)
	}
	f := p.frame("", "problem", problem.Title, problem)
	f.status = problem.Status
	p.render(w, r, f)
}
