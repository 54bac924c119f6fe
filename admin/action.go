package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
)

// actionInput is what a client sends with an action. Verb and Projection come from the path.
type actionInput struct {
	Verb       string `json:"-"`
	Projection string `json:"-"`

	Confirm  string         `json:"confirm"`  // the projection's name, for what destroys work
	Reason   string         `json:"reason"`   // of a pause
	Key      string         `json:"key"`      // of retry and skip
	Position event.Position `json:"position"` // of skip
	To       string         `json:"to"`       // of rewind: "head", a position or a time
}

// actionView is the answer to an action.
type actionView struct {
	Verb       string `json:"verb"`
	Projection string `json:"projection,omitempty"`
	// Subscription is how the projection is now, for those who may read it: workers may still
	// be about to obey.
	Subscription *subscriptionDetail `json:"subscription,omitempty"`
	Backup       *backupView         `json:"backup,omitempty"`
}

// destructive are the verbs that must repeat the projection's name.
var destructive = []string{VerbSkip, VerbRewind, VerbRebuild, VerbRelease}

// keyed are the verbs that concern a key.
var keyed = []string{VerbSkip, VerbRetry}

const (
	maxReason = 500 // bytes
	// afterFor bounds the look at a subscription after an action.
	afterFor = 2 * time.Second
)

// post makes the answer of an action's route.
func post(verb string) func(h *Handler, r *http.Request) (any, error) {
	return func(h *Handler, r *http.Request) (any, error) {
		in := actionInput{}
		faulty := decodeBody(r, &in)
		if p := parameters(r); p.err != nil {
			faulty = p.err
		}
		in.Verb, in.Projection = verb, r.PathValue("name")
		return h.perform(r, in, faulty)
	}
}

// decodeBody reads a JSON object and nothing else; no body at all is an empty one.
func decodeBody(r *http.Request, in *actionInput) error {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	err := dec.Decode(in)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil {
		if _, err = dec.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err == nil {
			err = errors.New("there is more behind the object")
		}
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return err
	}
	return problemOf(http.StatusBadRequest, "bad-json", "The body is no such JSON object", cut(err.Error(), 300))
}

// perform does what a request asks for, if it may, and leaves a line in the log. faulty is
// what is wrong with the input already; who may not act is not told.
func (h *Handler) perform(r *http.Request, in actionInput, faulty error) (view actionView, err error) {
	began := time.Now()
	defer func() {
		p := recover() // Options.Authorize and Actor are not ours; nor are targets of sinks
		if p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
		h.audit(r, in, err, time.Since(began))
		if p != nil {
			panic(p)
		}
	}()
	asked := Action{Verb: in.Verb, Projection: in.Projection}
	if slices.Contains(keyed, in.Verb) {
		asked.Key = in.Key // else who may act on this key alone would act on all of them
	}
	if err := h.mayAct(r, asked); err != nil {
		return actionView{}, err
	}
	if faulty != nil {
		return actionView{}, faulty
	}
	if err := in.check(); err != nil {
		return actionView{}, err
	}
	// A client that goes away does not leave an action half done.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 3*h.options.Timeout)
	defer cancel()
	view = actionView{Verb: in.Verb, Projection: in.Projection}
	if in.Verb == VerbBackup {
		view.Backup, err = h.makeBackup(ctx)
		return view, err
	}
	defer h.sample.stale.Store(true)
	if err := h.run(ctx, in); err != nil {
		return actionView{}, err
	}
	h.sample.stale.Store(true)
	if h.mayRead(r, in.Projection, "") != nil {
		return view, nil
	}
	look, done := context.WithTimeout(ctx, afterFor)
	defer done()
	if s, err := h.subscription(look, in.Projection); err == nil {
		view.Subscription = &s // else the action is done nevertheless
	}
	return view, nil
}

// mayAct asks Options.Authorize.
func (h *Handler) mayAct(r *http.Request, a Action) error {
	if h.options.Authorize == nil {
		return problemOf(http.StatusForbidden, "read-only", "Actions are switched off",
			"the program gave no admin.Options.Authorize, so this handler only reads")
	}
	if err := h.options.Authorize(r, a); err != nil {
		return &forbiddenError{verb: a.Verb, err: err}
	}
	return nil
}

// check looks at what needs no store.
func (in *actionInput) check() error {
	if slices.Contains(destructive, in.Verb) && in.Confirm != in.Projection {
		p := problemOf(http.StatusBadRequest, "confirm", "Not confirmed",
			fmt.Sprintf("to %s, repeat the name of the subscription in confirm", in.Verb))
		p.Field, p.Projection = "confirm", in.Projection
		return p
	}
	switch {
	case in.Key != "" && !slices.Contains(keyed, in.Verb):
		return invalid("key", "has no meaning here: to %s concerns all keys", in.Verb)
	case in.Verb == VerbPause && in.Reason == "":
		return invalid("reason", "is empty; say why, for whoever finds it paused")
	case len(in.Reason) > maxReason:
		return invalid("reason", "has %d bytes; at most %d are allowed", len(in.Reason), maxReason)
	case in.Verb == VerbSkip && in.Position == 0:
		return invalid("position", "is missing; name the event that was set aside")
	case in.Verb == VerbRewind && in.To == "":
		return invalid("to", `is missing; give "head", a position, or a time such as 2026-01-31T08:00:00Z`)
	case in.Verb == VerbSkip, in.Verb == VerbRetry && in.Key != "":
		return program.CheckKey(in.Key)
	}
	return nil
}

// run asks the engine, or, for a projection of another program, its records.
func (h *Handler) run(ctx context.Context, in actionInput) error {
	if _, own := h.programs[in.Projection]; !own {
		return h.runOrphaned(ctx, in)
	}
	switch in.Verb {
	case VerbPause:
		return h.engine.Pause(ctx, in.Projection, in.Reason)
	case VerbResume:
		return h.engine.Resume(ctx, in.Projection)
	case VerbRetry:
		return h.engine.Retry(ctx, in.Projection, in.Key)
	case VerbSkip:
		return h.engine.Skip(ctx, in.Projection, in.Key, in.Position)
	case VerbRewind:
		to, err := parsePoint("to", in.To, nil)
		if err != nil {
			return err
		}
		return h.engine.Rewind(ctx, in.Projection, to)
	case VerbRebuild:
		return h.engine.Rebuild(ctx, in.Projection)
	case VerbRelease:
		return h.engine.ReleaseLease(ctx, in.Projection)
	}
	return fmt.Errorf("admin: %q: %w", in.Verb, engine.ErrUnavailable)
}
