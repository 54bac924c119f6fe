package handling_test

import (
	"context"
	"testing"

	"github.com/riffle-go/riffle/internal/handling"
)

func TestAMarkTravelsWithDerivedContexts(t *testing.T) {
	t.Parallel()
	mark := &handling.Scope{Projection: "mailer", Appends: true}
	ctx, cancel := context.WithCancel(handling.With(t.Context(), mark))
	defer cancel()
	if got := handling.From(ctx); got != mark {
		t.Fatalf("From = %v, want the mark", got)
	}
}

func TestTheInnermostHandlerCounts(t *testing.T) {
	t.Parallel()
	ctx := handling.With(t.Context(), &handling.Scope{Projection: "outer"})
	ctx = handling.With(ctx, &handling.Scope{Projection: "inner"})
	if got := handling.From(ctx); got == nil || got.Projection != "inner" {
		t.Fatalf("From = %v, want inner", got)
	}
}

func TestOutsideOfHandlersThereIsNoMark(t *testing.T) { // not parallel: it counts allocations
	if got := handling.From(t.Context()); got != nil {
		t.Fatalf("From = %v, want nil", got)
	}
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() { handling.From(ctx) }); n != 0 {
		t.Fatalf("From allocates %v times", n)
	}
}
