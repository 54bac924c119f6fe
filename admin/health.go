package admin

import (
	"errors"
	"net/http"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/store"
)

// healthView is the engine's health without texts of errors: probes are often public.
type healthView struct {
	Live     bool                `json:"live"`
	Ready    bool                `json:"ready"`
	Problems []healthProblemView `json:"problems,omitempty"`
}

// healthProblemView is a reason not to be ready.
type healthProblemView struct {
	Type       string `json:"type"` // as error.type in telemetry
	Projection string `json:"projection,omitempty"`
	State      string `json:"state,omitempty"`
}

// Live answers 200 unless the process must be restarted, then 503, with a short JSON
// object. It asks nobody for permission and tells no texts of errors.
func Live(eng *engine.Engine) http.Handler {
	return probe(eng, func(v healthView) bool { return v.Live })
}

// Ready answers 200 when the engine runs and keeps up, see engine.Config.Ready, else 503, in
// the same way as Live.
func Ready(eng *engine.Engine) http.Handler {
	return probe(eng, func(v healthView) bool { return v.Ready })
}

func probe(eng *engine.Engine, good func(healthView) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		v, status := healthOf(eng.Health()), http.StatusOK
		if !good(v) {
			status = http.StatusServiceUnavailable
		}
		writeJSON(w, "application/json", status, v)
	})
}

func healthOf(h engine.Health) healthView {
	v := healthView{Live: h.Live == nil, Ready: h.Ready == nil}
	for _, err := range apart(h.Ready) {
		v.Problems = append(v.Problems, healthProblemOf(err))
	}
	return v
}

// apart takes joined errors apart.
func apart(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

func healthProblemOf(err error) healthProblemView {
	p := healthProblemView{Type: errorType(err)}
	if e, ok := errors.AsType[*engine.StuckError](err); ok {
		p.Projection, p.State = e.Projection, string(e.State)
	}
	if e, ok := errors.AsType[*engine.StateError](err); ok {
		p.Projection, p.State = e.Projection, string(e.State)
	}
	return p
}

// errorType is the short name of an error.
func errorType(err error) string {
	if t, ok := errors.AsType[interface {
		error
		ErrorType() string
	}](err); ok {
		return t.ErrorType()
	}
	switch {
	case errors.Is(err, store.ErrFailed):
		return "store_failed"
	case errors.Is(err, store.ErrClosed):
		return "store_closed"
	case errors.Is(err, engine.ErrUnavailable):
		return "engine_stopped"
	default:
		return "_OTHER"
	}
}
