package main

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
)

// Activity is the state of all models: how much was done.
type Activity struct {
	Commits int `json:"commits"`
	Changes int `json:"changes"` // of files
	Added   int `json:"added"`   // lines
	Deleted int `json:"deleted"`
}

// Churn is how many lines were touched.
func (a Activity) Churn() int { return a.Added + a.Deleted }

func (a *Activity) committed(Committed, event.Event) error { a.Commits++; return nil }

func (a *Activity) changed(e FileChanged, _ event.Event) error {
	a.Changes++
	a.Added += e.Added
	a.Deleted += e.Deleted
	return nil
}

// models are the read models in one revision of their definition.
type models struct{ authors, files, weekdays *projection.Model[Activity] }

func newModels(revision int) models {
	o := projection.Options{Revision: revision}
	weekday := func(t time.Time) []string {
		if revision > 1 {
			t = t.UTC()
		}
		return []string{weekdays[(int(t.Weekday())+6)%7]}
	}
	return models{
		authors: projection.NewModel("authors",
			projection.FoldBy(func(e Committed, _ event.Event) []string { return []string{key(e.Author)} }, (*Activity).committed),
			projection.FoldBy(func(e FileChanged, _ event.Event) []string { return []string{key(e.Author)} }, (*Activity).changed),
		).With(o),
		files: projection.NewModel("files",
			projection.FoldBy(func(e FileChanged, _ event.Event) []string { return []string{key(e.Path)} },
				func(a *Activity, e FileChanged, ev event.Event) error {
					a.Commits++ // a commit names a file once
					return a.changed(e, ev)
				}),
		).With(o),
		weekdays: projection.NewModel("weekdays",
			projection.FoldBy(func(e Committed, _ event.Event) []string { return weekday(e.When) }, (*Activity).committed),
			projection.FoldBy(func(e FileChanged, _ event.Event) []string { return weekday(e.When) }, (*Activity).changed),
		).With(o),
	}
}

func (m models) all() []projection.Projection {
	return []projection.Projection{m.authors, m.files, m.weekdays}
}

// weekdays are the keys of the model, as a week goes.
var weekdays = [7]string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}

// longestKey is below what a key of a model may have.
const longestKey = 320

// key makes a key of any text: of a long one the end is kept, behind a hash that tells it
// from others with the same end.
func key(name string) string {
	switch {
	case name == "":
		return "(nobody)"
	case len(name) <= longestKey:
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:8]) + "…" + strings.ToValidUTF8(name[len(name)-longestKey+32:], "")
}
