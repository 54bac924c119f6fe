package admin

import (
	"context"
	"log/slog"
	"testing"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

type noted struct{}

func (noted) EventType() event.Type { return event.Aggregate("note").Event("noted") }

// bare is a Handler over an empty store, without projections.
func bare(t *testing.T) (*store.Store, *Handler) {
	t.Helper()
	st, err := pebblestore.OpenMem(&pebblestore.Options{Store: store.Options{Logger: slog.New(slog.DiscardHandler)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	eng, err := engine.New(engine.Config{Store: st})
	if err != nil {
		t.Fatal(err)
	}
	h, err := New(eng, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return st, h
}

// The rest of an event is worth showing, however long the search for its causes takes.
func TestASearchForCausesThatTakesTooLongIsIncomplete(t *testing.T) {
	t.Parallel()
	st, h := bare(t)
	cause := event.NewID().String()
	batch := store.Batch{Stream: event.Aggregate("note").Stream("a"), Expect: store.Any, Events: event.Of(noted{})}
	for _, ctx := range []context.Context{t.Context(), event.WithMetadata(t.Context(), event.Metadata{}.With(event.CausationID, cause))} {
		if _, err := st.Append(ctx, batch); err != nil {
			t.Fatal(err)
		}
	}
	if v, err := h.causation(t.Context(), 2); err != nil || v.Missing != cause || v.Incomplete || v.Examined == 0 {
		t.Errorf("with time: %+v, %v", v, err)
	}
	h.options.Timeout = 1
	if v, err := h.causation(t.Context(), 2); err != nil || v.Missing != cause || !v.Incomplete {
		t.Errorf("without time: %+v, %v", v, err)
	}
}
