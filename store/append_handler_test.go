package store_test

import (
	"errors"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/handling"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

func TestAppendIsRefusedInHandlersThatAreRepeated(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	batch := store.Batch{Stream: accounts.Stream("a"), Expect: store.Any, Events: event.Of(deposited{Cents: 1})}
	sink := handling.With(t.Context(), &handling.Scope{Projection: "rows"})
	if _, err := st.Append(sink, batch); !errors.Is(err, store.ErrInvalid) {
		t.Fatalf("in a sink: %v, want ErrInvalid", err)
	}
	if head, err := st.Head(t.Context()); err != nil || head.Position != 0 {
		t.Fatalf("the head is %d after a refused append: %v", head.Position, err)
	}
	effect := handling.With(t.Context(), &handling.Scope{Projection: "mailer", Appends: true})
	if _, err := st.Append(effect, batch); err != nil {
		t.Fatalf("in an effect: %v", err)
	}
}
