package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

// visible is what an import must keep.
func visible(e event.Event) string {
	return fmt.Sprint(e.ID, e.Position, e.Stream, e.Version, e.Name, e.SchemaVersion, e.RoutingKey, e.Time, e.ContentType,
		string(e.Data), e.Metadata.Get("k"))
}

func TestImportCopiesAStore(t *testing.T) {
	t.Parallel()
	source, _ := setup(t, memdriver.Options{Clock: ticking(10, 20, 20, 30, 30, 30, 40)})
	library(t, source, 30)
	_, err := source.Append(t.Context(), store.Batch{
		Stream: accounts.Stream("md"), Events: event.Of(opened{}), Metadata: event.NewMetadata(map[string]string{"k": "v"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	all := collect(t, source.Events(t.Context(), store.Query{}))
	target, _ := setup(t, memdriver.Options{})
	for chunk := range slices.Chunk(all, 7) {
		first, err := target.Import(t.Context(), chunk...)
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "First", first.First, chunk[0].Position)
		again, err := target.Import(t.Context(), chunk...)
		if err != nil {
			t.Fatal(err)
		}
		first.Replayed, first.Version = true, again.Version
		wantEqual(t, "repeated", again, first)
	}
	got := collect(t, target.Events(t.Context(), store.Query{}))
	wantEqual(t, "events", len(got), len(all))
	for i := range got {
		wantEqual(t, "event", visible(got[i]), visible(all[i]))
	}
	// A part of a log is numbered anew.
	part, _ := setup(t, memdriver.Options{})
	own := collect(t, source.Events(t.Context(), store.Query{Match: []store.Match{{Aggregate: orders}}}))
	for i := range own {
		own[i].Position = 0
	}
	res, err := part.Import(t.Context(), own...)
	if err != nil || res.First != 1 || int(res.Position) != len(own) {
		t.Fatal(res, err)
	}
}

func TestImportRefusesWhatDoesNotContinueTheLog(t *testing.T) {
	t.Parallel()
	good := func() []event.Event {
		var out []event.Event
		for i := range 3 {
			out = append(out, event.Event{
				ID: event.NewID(), Position: event.Position(i + 3), Stream: accounts.Stream("new"), Version: uint64(i + 1),
				Name: "opened", Time: time.Now().Add(time.Hour), Data: []byte("{}"),
			})
		}
		return out
	}
	for name, c := range map[string]struct {
		field  string
		change func([]event.Event) []event.Event
	}{
		"nothing":            {"events", func([]event.Event) []event.Event { return nil }},
		"a gap before":       {"events[0].Position", func(e []event.Event) []event.Event { return e[1:] }},
		"a gap":              {"events[1].Position", func(e []event.Event) []event.Event { return append(e[:1], e[2]) }},
		"some numbered":      {"events[1].Position", func(e []event.Event) []event.Event { e[0].Position = 0; return e }},
		"before the head":    {"events[0].Time", func(e []event.Event) []event.Event { e[0].Time = time.UnixMilli(1); return e }},
		"falling time":       {"events[2].Time", func(e []event.Event) []event.Event { e[2].Time = time.UnixMilli(1); return e }},
		"no time":            {"events[0].Time", func(e []event.Event) []event.Event { e[0].Time = time.Time{}; return e }},
		"no id":              {"events[1].ID", func(e []event.Event) []event.Event { e[1].ID = event.ID{}; return e }},
		"one id twice":       {"events[2].ID", func(e []event.Event) []event.Event { e[2].ID = e[1].ID; return e }},
		"no version":         {"events[0].Version", func(e []event.Event) []event.Event { e[0].Version = 0; return e }},
		"a version left out": {"events[2].Version", func(e []event.Event) []event.Event { e[2].Version = 4; return e }},
		"no name":            {"events[1].Name", func(e []event.Event) []event.Event { e[1].Name = ""; return e }},
		"no stream":          {"events[1].Stream.ID", func(e []event.Event) []event.Event { e[1].Stream.ID = ""; return e }},
		"bad routing key":    {"events[1].RoutingKey", func(e []event.Event) []event.Event { e[1].RoutingKey = "\xff"; return e }},
		"another key":        {"events[1].RoutingKey", func(e []event.Event) []event.Event { e[1].RoutingKey = "eu"; return e }},
		"bad content type":   {"events[1].ContentType", func(e []event.Event) []event.Event { e[1].ContentType = "\n"; return e }},
		"schema version":     {"events[1].SchemaVersion", func(e []event.Event) []event.Event { e[1].SchemaVersion = -1; return e }},
		"bad metadata":       {"events[1].Metadata", func(e []event.Event) []event.Event { e[1].Metadata = event.RawMetadata([]byte{1}); return e }},
		"too large":          {"events[1].Data", func(e []event.Event) []event.Event { e[1].Data = make([]byte, 2<<20); return e }},
		"too many":           {"events", func(e []event.Event) []event.Event { return make([]event.Event, 1001) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, _ := setup(t, memdriver.Options{})
			deposit(t, st, "a", 2)
			_, err := st.Import(t.Context(), c.change(good())...)
			wantInvalid(t, err, c.field)
			head, err := st.Head(t.Context())
			if err != nil || head.Position != 2 {
				t.Fatal("something was written", head, err)
			}
		})
	}
	st, _ := setup(t, memdriver.Options{})
	deposit(t, st, "new", 2)
	_, err := st.Import(t.Context(), good()...)
	wantError(t, err, store.ErrConflict)
}
