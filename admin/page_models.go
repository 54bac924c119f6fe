package admin

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/store"
)

func (p *pages) models(r *http.Request) (*frame, error) {
	list, err := p.h.models(r.Context())
	if err != nil {
		return nil, err
	}
	return p.frame("models", "models", "Models", list.Items), nil
}

// modelPage shows the states of a model.
type modelPage struct {
	modelView
	Prefix string
	First  bool // page
	States listView[stateView]
}

const statesShown = 50

func (p *pages) model(r *http.Request) (*frame, error) {
	q := parameters(dropEmpty(r), "name", "prefix", "after")
	rg := store.Range{Prefix: q.text("prefix"), After: q.after("states").Key, Limit: statesShown}
	if q.err != nil {
		return nil, q.err
	}
	st, err := p.h.modelStatus(r.Context(), q.text("name"))
	if err != nil {
		return nil, err
	}
	body := modelPage{modelView: p.h.modelOf(st), Prefix: rg.Prefix, First: rg.After == ""}
	if body.States, err = p.h.states(r.Context(), body.Name, rg); err != nil {
		return nil, err
	}
	return p.frame("models", "model", formatKey(body.Name), body), nil
}

// NextStates links to the next page.
func (v modelPage) NextStates() string {
	if v.States.Next == "" {
		return ""
	}
	return link("model", "name", v.Name, "prefix", v.Prefix, "after", v.States.Next)
}

// roomy gives a line room to break.
var roomy = strings.NewReplacer(",", ", ", ":", ": ")

// Summary is the beginning of a state on one line.
func (v payloadView) Summary() string {
	const most = 160 // characters
	if v.Shown == shownHidden || v.Shown == shownOmitted {
		return ""
	}
	var b strings.Builder
	for _, part := range splitJSON(string(v.Data[:min(len(v.Data), 8*most)])) { // the end is cut off anyway
		if part.Class == "code-mark" {
			part.Text = roomy.Replace(part.Text)
		}
		b.WriteString(part.Text)
	}
	runes := []rune(formatKey(b.String()))
	if len(runes) <= most {
		return string(runes)
	}
	return string(runes[:most]) + "…"
}

// statePage shows one state, as it is or as it was.
type statePage struct {
	stateDetail
	History bool        // earlier versions can be shown
	Latest  uint64      // version of the stream
	Chosen  uint64      // the version that is shown; 0 is the stored state
	Around  []eventView // of the stream, around the version that is shown
	Lines   []line      // of the state
	Changed []string    // by the last event
	Gone    bool        // there is no state at this version
}

func (p *pages) state(r *http.Request) (*frame, error) {
	q := parameters(dropEmpty(r), "name", "key", "version")
	name, key, version := q.text("name"), q.text("key"), q.text("version")
	err := q.err
	if err == nil {
		err = program.CheckKey(key)
	}
	if err != nil {
		return nil, err
	}
	var body statePage
	if version != "" {
		if body.Chosen, err = strconv.ParseUint(version, 10, 63); err != nil || body.Chosen == 0 {
			return nil, invalid("version", "is %.40q; versions are numbers from 1", version)
		}
	}
	st, err := p.h.modelStatus(r.Context(), name)
	if err != nil {
		return nil, err
	}
	body.History = p.h.modelOf(st).History
	if body.History {
		err = p.history(r, name, key, &body)
	} else if body.Chosen > 0 {
		_, _, err = p.h.loadable(r.Context(), name, key) // says why there is no history
	} else {
		body.stateDetail, err = p.h.state(r.Context(), name, key, "")
		body.Lines = linesOf(body.State.Data)
	}
	if err != nil {
		return nil, err
	}
	return p.frame("models", "state", formatKey(key), body), nil
}

// history fills in the state at the chosen version, what changed with it, and the events
// around it.
func (p *pages) history(r *http.Request, name, key string, body *statePage) error {
	ctx := r.Context()
	_, s, err := p.h.loadable(ctx, name, key)
	if err != nil {
		return err
	}
	info, err := p.h.stream(ctx, s)
	if err != nil {
		return err
	}
	body.Latest = info.Version
	if body.Chosen > body.Latest {
		return invalid("version", "is %d; the stream has %d", body.Chosen, body.Latest)
	}
	if body.stateDetail, err = p.stateOf(r, name, key, body.Chosen); err != nil {
		if !errors.Is(err, store.ErrNotFound) || body.Latest == 0 {
			return err
		}
		body.Gone = true
		body.Key, body.Model, body.Version = key, name, max(body.Chosen, 1)
	}
	body.Lines = linesOf(body.State.Data)
	if body.Version > 1 {
		before, err := p.h.state(ctx, name, key, "version:"+strconv.FormatUint(body.Version-1, 10))
		if err == nil { // else there was none, or it cannot be folded: then all of it is new
			body.Changed = compare(body.Lines, linesOf(before.State.Data))
		}
	}
	at, err := p.h.store.ResolveTo(ctx, store.AtVersion(s, max(body.Version, 1)))
	if err != nil {
		return err
	}
	around, err := p.h.around(ctx, at, aroundShown)
	body.Around = around.Items
	return err
}

// stateOf is the stored state, or the one that is folded at a version.
func (p *pages) stateOf(r *http.Request, name, key string, version uint64) (stateDetail, error) {
	at := ""
	if version > 0 {
		at = "version:" + strconv.FormatUint(version, 10)
	}
	return p.h.state(r.Context(), name, key, at)
}

// AtVersion links to the state at a version.
func (v statePage) AtVersion(version uint64) string {
	return link("state", "name", v.Model, "key", v.Key, "version", strconv.FormatUint(version, 10))
}

// Earlier is the version before the one that is shown; 0 is none.
func (v statePage) Earlier() uint64 { return max(v.Version, 1) - 1 }

// Later is the version after the one that is shown; 0 is none.
func (v statePage) Later() uint64 {
	if v.Version >= v.Latest {
		return 0
	}
	return v.Version + 1
}
