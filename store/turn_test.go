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

func TestATurnHoldsOthersBackForAMoment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, _ := setup(t, memdriver.Options{})
		deposit(t, st, "a", 1)
		deposit(t, st, "b", 1)
		took := func(ctx context.Context, id string) time.Duration {
			began := time.Now()
			_, err := st.Append(ctx, store.Batch{Stream: accounts.Stream(id), Expect: store.Any, Events: event.Of(deposited{1})})
			if err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			return time.Since(began)
		}
		end := st.Turn(20*time.Millisecond, accounts.Stream("a"))
		wantEqual(t, "of another stream", took(t.Context(), "b"), 0)
		time.AfterFunc(5*time.Millisecond, end)
		wantEqual(t, "until the end of the turn", took(t.Context(), "a"), 5*time.Millisecond)
		end()

		st.Turn(20*time.Millisecond, accounts.Stream("a"), accounts.Stream("b"))
		wantEqual(t, "of a turn that nobody ends", took(t.Context(), "a"), 20*time.Millisecond)
		wantEqual(t, "after it", took(t.Context(), "b"), 0)

		st.Turn(20*time.Millisecond, accounts.Stream("a"))
		time.AfterFunc(10*time.Millisecond, func() { st.Turn(20*time.Millisecond, accounts.Stream("a")) })
		wantEqual(t, "of one turn after the other", took(t.Context(), "a"), 20*time.Millisecond)
		time.Sleep(time.Second)

		st.Turn(20*time.Millisecond, accounts.Stream("a"))
		st.Turn(time.Hour, accounts.Stream("a"))
		wantEqual(t, "of a turn and a longer one", took(t.Context(), "a"), store.MaxTurn)
		time.Sleep(time.Second)

		end = st.Turn(20*time.Millisecond, accounts.Stream("a"))
		defer end()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		before, err := st.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "until its context ends", took(ctx, "a"), time.Millisecond)
		after, err := st.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "head", after.Position, before.Position)
	})
}
