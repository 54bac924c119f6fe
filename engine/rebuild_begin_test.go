package engine_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

func TestARebuildOfAPausedModelIsPausedToo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := tally(projection.Options{})
	b.append("a", Added{1})
	e := b.engine(m)
	b.must(e.CatchUp(t.Context()))
	b.must(e.Pause(t.Context(), "tally", "for now"))
	b.must(e.Rebuild(t.Context(), "tally"))
	wantState(t, e.CatchUp(t.Context()), "paused")
	if st := b.status(e, "tally"); st.Rebuild == nil || st.Rebuild.State != "paused" || st.Rebuild.Position != 0 {
		t.Errorf("the rebuild is %+v", st.Rebuild)
	}
	b.must(e.Resume(t.Context(), "tally"))
	b.must(e.CatchUp(t.Context()))
	if st := b.status(e, "tally"); st.Row.Active != 1 {
		t.Errorf("the active generation is %d", st.Row.Active)
	}
}

// Whoever deploys a changed projection must see what that does.
func TestAChangedProjectionSaysSoInTheLog(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	b := setupWith(t, store.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	var f effect
	b.append("a", Added{1})
	b.must(b.engine(tally(projection.Options{}), f.projection(projection.Options{})).CatchUp(t.Context()))
	log.Reset() // nothing runs now
	more := projection.NewEffect("effect", projection.On(f.handle), projection.On(
		func(context.Context, Noted, event.Event) error { return nil },
	)).With(projection.Options{Start: store.AtPosition(1)})
	b.must(b.engine(tally(projection.Options{Revision: 1}), more).CatchUp(t.Context()))
	for name, want := range map[string]string{"tally": "its revision is 1, stored is 0", "effect": "goes on from its checkpoint"} {
		found := false
		for line := range strings.Lines(log.String()) {
			found = found || strings.Contains(line, "level=WARN") && strings.Contains(line, want) && strings.Contains(line, "projection="+name)
		}
		if !found {
			t.Errorf("the log does not say %q of %s:\n%s", want, name, &log)
		}
	}
}
