package store_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

// waking is a driver whose waiters are told at the same time.
type waking struct{ *memdriver.Driver }

func (w waking) WaitFree(ctx context.Context, key string) error {
	err := w.Driver.WaitFree(ctx, key)
	time.Sleep(time.Millisecond)
	return err
}

// Of several that wait for a lease, one gets it; the others go on waiting for it to drain.
func TestTakeoversAtTheSameTimeDoNotFenceEachOtherAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := open(t, waking{memdriver.New(memdriver.Options{})})
		u := st.Subscriber(balances)
		first := claim(t, u)
		const others = 4
		taken := make(chan *store.Lease, others)
		for range others {
			go func() {
				l, err := u.Takeover(t.Context(), event.NewID(), time.Minute, 20*time.Second)
				if err != nil {
					t.Error(err)
				}
				taken <- l
			}()
		}
		synctest.Wait()
		if err := first.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range others {
			l := <-taken
			time.Sleep(time.Second) // it finishes what it has at hand
			if err := l.Release(t.Context()); err != nil {
				t.Errorf("a lease was lost while it was in use: %v", err)
			}
		}
	})
}
