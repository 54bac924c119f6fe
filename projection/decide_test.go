package projection_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/handling"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

func TestDecideAppendsWhatWasDecided(t *testing.T) {
	t.Parallel()
	st, m := setup(t), balances()
	ann := Accounts.Stream("ann")
	res, err := m.Decide(t.Context(), st, ann, func(s projection.State[Balance]) ([]event.Payload, error) {
		if s.Version != 0 {
			t.Errorf("%+v", s)
		}
		return event.Of(Deposited{10}, Deposited{20}), nil
	})
	if err != nil || res.Version != 2 || res.Position != 2 {
		t.Fatalf("%+v, %v", res, err)
	}
	res, err = m.Decide(t.Context(), st, ann, func(s projection.State[Balance]) ([]event.Payload, error) {
		if s.Value.Cents != 30 {
			t.Errorf("%+v", s)
		}
		return nil, nil
	})
	if err != nil || res.Version != 2 || res.Position != 2 || head(t, st) != 2 {
		t.Fatalf("deciding nothing: %+v, %v", res, err)
	}
	asked := 0
	_, err = m.Decide(t.Context(), st, ann, func(projection.State[Balance]) ([]event.Payload, error) {
		asked++
		return nil, errOverdrawn
	})
	if err != errOverdrawn || asked != 1 {
		t.Fatalf("the error of decide, asked %d times: %#v", asked, err)
	}
	asked = 0
	_, err = m.Decide(t.Context(), st, ann, func(projection.State[Balance]) ([]event.Payload, error) {
		asked++
		return event.Of(Renamed{"of another aggregate"}), nil
	})
	if !errors.Is(err, store.ErrInvalid) || asked != 1 {
		t.Fatalf("an append that cannot be, decided %d times: %v", asked, err)
	}
}

func TestConcurrentDecisionsAreOneAfterTheOther(t *testing.T) {
	t.Parallel()
	st, m := setup(t), balances()
	ann := Accounts.Stream("ann")
	appendTo(t, st, ann, Deposited{10})
	var wg sync.WaitGroup
	var mu sync.Mutex
	drawn, refused := 0, 0
	for range 4 {
		wg.Go(func() {
			for range 5 {
				_, err := m.Decide(t.Context(), st, ann, func(s projection.State[Balance]) ([]event.Payload, error) {
					if s.Value.Cents < 1 {
						return nil, errOverdrawn
					}
					return event.Of(Withdrawn{1}), nil
				})
				mu.Lock()
				switch {
				case err == nil:
					drawn++
				case errors.Is(err, errOverdrawn):
					refused++
				default:
					t.Error(err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	got, err := m.Load(t.Context(), st, ann)
	if drawn != 10 || refused != 10 || err != nil || got.Value.Cents != 0 {
		t.Fatalf("%d drawn, %d refused, %+v, %v", drawn, refused, got, err)
	}
}

func TestDecideGivesUpWithTheConflict(t *testing.T) {
	t.Parallel()
	st, m := setup(t), balances()
	ann := Accounts.Stream("ann")
	tries := 0
	_, err := m.Decide(t.Context(), st, ann, func(projection.State[Balance]) ([]event.Payload, error) {
		tries++
		appendTo(t, st, ann, Deposited{1}) // always somebody else first
		return event.Of(Deposited{1}), nil
	})
	if _, ok := errors.AsType[*store.ConflictError](err); !ok || tries != 16 {
		t.Fatalf("%d tries, %v", tries, err)
	}
}

func TestDecideEndsWithItsContext(t *testing.T) {
	t.Parallel()
	st, m := setup(t), balances()
	ctx, cancel := context.WithCancel(t.Context())
	ann := Accounts.Stream("ann")
	_, err := m.Decide(ctx, st, ann, func(projection.State[Balance]) ([]event.Payload, error) {
		appendTo(t, st, ann, Deposited{1})
		cancel()
		return event.Of(Deposited{1}), nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestDecideIsRefusedInHandlers(t *testing.T) {
	t.Parallel()
	st, m := setup(t), balances()
	ctx := handling.With(t.Context(), &handling.Scope{Projection: "transfers", Appends: true})
	_, err := m.Decide(ctx, st, Accounts.Stream("ann"), func(projection.State[Balance]) ([]event.Payload, error) {
		t.Error("decide was called")
		return nil, nil
	})
	if !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "Load") || !strings.Contains(err.Error(), "Emit") {
		t.Fatal(err)
	}
	if _, err := m.Decide(t.Context(), st, Accounts.Stream("ann"), nil); !errors.Is(err, store.ErrInvalid) {
		t.Fatal(err)
	}
}

func TestDecideOnAStreamThatCannotBeFolded(t *testing.T) {
	t.Parallel()
	st, folded := setup(t), 0
	m := projection.NewModel("balances", projection.Fold(func(b *Balance, e Withdrawn, ev event.Event) error {
		folded++
		return withdraw(b, e, ev)
	}))
	ann := Accounts.Stream("ann")
	appendTo(t, st, ann, Withdrawn{1})
	_, err := m.Decide(t.Context(), st, ann, func(projection.State[Balance]) ([]event.Payload, error) { return nil, nil })
	if _, ok := errors.AsType[*projection.FoldError](err); !ok || folded != 1 {
		t.Fatalf("after %d tries: %v", folded, err)
	}
}

func TestTheBatchOfAStateWithoutStreamIsRefused(t *testing.T) {
	t.Parallel()
	st, m := setup(t), balances()
	appendTo(t, st, Accounts.Stream("ann"), Deposited{1})
	build(t, st, m, 0, 1)
	got, err := m.Get(t.Context(), st, "ann")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Append(t.Context(), got.Batch(Deposited{1})); !errors.Is(err, store.ErrInvalid) {
		t.Fatalf("append: %v", err)
	}
	p := projection.NewEffect("e", projection.On(func(context.Context, Deposited, event.Event) error { return nil })).Program()
	ctx := program.NewContext(t.Context(), p, nil, event.Event{}, program.Delivery{})
	if err := projection.Emit(ctx, got.Batch(Deposited{1})); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "load the stream to append") {
		t.Fatalf("emit: %v", err)
	}
}
