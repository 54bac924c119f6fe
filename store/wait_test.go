package store_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

func TestWaitReturnsTheHeadBeyondAPosition(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, _ := setup(t, memdriver.Options{})
		deposit(t, st, "a", 2)
		head, err := st.Wait(t.Context(), 1)
		if err != nil || head != 2 {
			t.Fatal(head, err)
		}
		got := make(chan event.Position)
		wait := func(match ...store.Match) {
			head, err := st.Wait(t.Context(), 2, match...)
			if err != nil {
				t.Error(err)
			}
			got <- head
		}
		go wait()
		go wait(store.MatchTypes(placed{}.EventType())...)
		synctest.Wait()
		deposit(t, st, "a", 1)
		wantEqual(t, "head", <-got, 3)
		synctest.Wait()
		select {
		case <-got:
			t.Fatal("woken by another name")
		default:
		}
		if _, err := st.Append(t.Context(), store.Batch{Stream: orders.Stream("1"), Events: event.Of(placed{})}); err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "head", <-got, 4)
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, _ := setup(t, memdriver.Options{})
		for _, match := range [][]store.Match{nil, {}, {{Aggregate: accounts}}} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			_, err := st.Wait(ctx, 0, match...)
			wantError(t, err, context.DeadlineExceeded)
			cancel()
		}
		_, err := st.Wait(t.Context(), 0, store.Match{})
		wantInvalid(t, err, "Match[0].Aggregate")
	})
}

// deaf never wakes anybody.
type deaf struct{ store.Driver }

func (deaf) Wait(ctx context.Context, _ event.Position, _ []store.Match) error {
	<-ctx.Done()
	return ctx.Err()
}

// hasty wakes at once, whatever happened.
type hasty struct{ store.Driver }

func (hasty) Wait(ctx context.Context, _ event.Position, _ []store.Match) error {
	select {
	case <-time.After(time.Second):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestWaitLooksItselfWhenADriverMayLoseWakeUps(t *testing.T) {
	t.Parallel()
	for name, wrap := range map[string]func(store.Driver) store.Driver{
		"deaf":  func(d store.Driver) store.Driver { return deaf{d} },
		"hasty": func(d store.Driver) store.Driver { return plain{hasty{d}, store.Traits{ReliableWake: true}} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				st := open(t, wrap(memdriver.New(memdriver.Options{})))
				got := make(chan event.Position)
				go func() {
					head, err := st.Wait(t.Context(), 0)
					if err != nil {
						t.Error(err)
					}
					got <- head
				}()
				time.Sleep(10 * time.Second) // of the bubble
				select {
				case <-got:
					t.Fatal("nothing happened yet")
				default:
				}
				deposit(t, st, "a", 1)
				start := time.Now()
				wantEqual(t, "head", <-got, 1)
				if d := time.Since(start); d > time.Second {
					t.Fatalf("noticed after %v", d)
				}
			})
		})
	}
}

// TestTheCauseOfAContextIsTheErrorOfACall, whether the context ended before it or during it.
func TestTheCauseOfAContextIsTheErrorOfACall(t *testing.T) {
	t.Parallel()
	errMine := errors.New("mine")
	st, _ := setup(t, memdriver.Options{})
	deposit(t, st, "a", 1)
	ended := func() context.Context {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errMine)
		return ctx
	}
	late := func() context.Context {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, errMine)
		t.Cleanup(cancel)
		return ctx
	}
	for name, call := range map[string]func() error{
		"head":             func() error { _, err := st.Head(ended()); return err },
		"read":             func() error { _, err := st.Read(ended(), store.Query{}); return err },
		"append":           func() error { _, err := st.Append(ended(), store.Batch{}); return err },
		"wait":             func() error { _, err := st.Wait(ended(), 1); return err },
		"wait for events":  func() error { _, err := st.Wait(late(), 1); return err },
		"wait for nothing": func() error { _, err := st.Wait(late(), 1, []store.Match{}...); return err },
	} {
		if err := call(); !errors.Is(err, errMine) {
			t.Errorf("%s: %v, want the cause", name, err)
		}
	}
}
