package admin

import (
	"errors"
	"net/http"
	"net/url"
)

// doneText is what the page says after an action; the address of the page has the short
// name alone, so that nobody can put words into the page by a link.
var doneText = map[string]string{
	VerbPause:   "Paused. The worker finishes the event in hand first.",
	VerbResume:  "Resumed.",
	VerbRetry:   "The events set aside are due now, in order.",
	VerbSkip:    "Skipped. Events behind it go on.",
	VerbRewind:  "Rewound. What follows is handled again.",
	VerbRebuild: "The rebuild was decided, and begins as soon as the engine runs.",
	VerbRelease: "The lease was released. The next worker gets in at once.",
	VerbBackup:  "The backup is complete.",
}

// actOnSubscription does what a form asks for, and goes back to the page. When it is
// refused, the page comes with the reason and the form as it was sent.
func (p *pages) actOnSubscription(w http.ResponseWriter, r *http.Request) {
	form, err := formOf(r)
	in := actionInput{
		Verb: form.Verb, Projection: r.PostForm.Get("name"), Confirm: form.Confirm,
		Reason: form.Reason, Key: form.Key, To: form.To,
	}
	if err == nil && form.Position != "" {
		err = in.Position.UnmarshalText([]byte(form.Position))
	}
	if _, known := doneText[in.Verb]; (!known || in.Verb == VerbBackup) && err == nil {
		p.fail(w, r, invalid("verb", "is %.40q, which is no action", in.Verb))
		return
	}
	if _, err = p.h.perform(r, in, err); err == nil {
		seeOther(w, link("subscription", "name", in.Projection, "done", in.Verb))
		return
	}
	if p.h.mayRead(r, in.Projection, "") != nil {
		p.fail(w, r, err)
		return
	}
	rows := rowsQuery{limit: rowsShown}
	if in.Verb == VerbSkip { // so that the form is on the page
		rows.key = in.Key
	}
	ctx, cancel := p.h.reads(r)
	defer cancel()
	f, shown := p.subscriptionFrame(r.WithContext(ctx), in.Projection, rows)
	if shown != nil {
		p.fail(w, r, err)
		return
	}
	p.refused(w, r, f, form, err)
}

// actOnStore makes a backup.
func (p *pages) actOnStore(w http.ResponseWriter, r *http.Request) {
	form, err := formOf(r)
	if err == nil && form.Verb != VerbBackup {
		p.fail(w, r, invalid("verb", "is %.40q, which is no action", form.Verb))
		return
	}
	if _, err = p.h.perform(r, actionInput{Verb: VerbBackup}, err); err == nil {
		seeOther(w, link("store", "done", VerbBackup))
		return
	}
	if p.h.mayRead(r, "", "") != nil {
		p.fail(w, r, err)
		return
	}
	ctx, cancel := p.h.reads(r)
	defer cancel()
	f, shown := p.storeFrame(r.WithContext(ctx))
	if shown != nil {
		p.fail(w, r, err)
		return
	}
	p.refused(w, r, f, form, err)
}

func (p *pages) refused(w http.ResponseWriter, r *http.Request, f *frame, form tried, err error) {
	f.Problem, f.Tried = asProblem(err), form
	if f.status = f.Problem.Status; f.Problem.private {
		p.h.logger.ErrorContext(r.Context(), "admin: action failed", "verb", form.Verb, "error", err)
	}
	p.render(w, r, f)
}

// formOf reads the fields of a form. A key that stands in the page is escaped there: fields
// of HTML cannot hold a NUL, and browsers change the ends of lines.
func formOf(r *http.Request) (tried, error) {
	err := r.ParseForm()
	if _, large := errors.AsType[*http.MaxBytesError](err); err != nil && !large {
		err = invalid("form", "is not well-formed: %.100v", err)
	}
	get := r.PostForm.Get
	key := get("key")
	if escaped := get("escaped_key"); escaped != "" {
		var bad error
		if key, bad = url.QueryUnescape(escaped); bad != nil && err == nil {
			err = invalid("escaped_key", "is not well-formed: %.100v", bad)
		}
	}
	return tried{
		Verb: get("verb"), Key: key, Position: get("position"),
		To: get("to"), Reason: get("reason"), Confirm: get("confirm"),
	}, err
}

// seeOther goes on to a page beside this one. http.Redirect would make the link absolute,
// and does not know the prefix.
func seeOther(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}
