package bank_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	bank "github.com/riffle-go/riffle/examples/bank/domain"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// The second transfer is decided on what the first one has left, although both are read in
// one page.
func TestTwoTransfersOfOneAccountInOnePage(t *testing.T) {
	t.Parallel()
	w := setup(t)
	first, second := event.NewID(), event.NewID()
	w.ok(w.Transfer(t.Context(), first, "ann", "ben", 60))
	w.ok(w.Transfer(t.Context(), second, "ann", "ben", 60))
	w.has(40, 160)
	w.ends(first, "requested", "completed")
	w.ends(second, "requested", "rejected")
}

// Every transfer is made once, while 8 others write to the same accounts as fast as the disk
// lets them.
func TestTransfersRaceWithDeposits(t *testing.T) {
	t.Parallel()
	w := setupOn(t, func(o *pebblestore.Options) (*store.Store, error) { return pebblestore.Open(t.TempDir(), o) })
	const transfers, appenders = 100, 8
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- w.eng.Run(ctx) }()
	var deposits [appenders]int64
	done := make(chan struct{})
	var traffic sync.WaitGroup
	for i := range appenders {
		traffic.Go(func() {
			account := []string{"ann", "ben"}[i%2]
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := w.Store.Append(ctx, store.Batch{
					Stream: bank.Accounts.Stream(account), Expect: store.Exists, Events: event.Of(bank.Deposited{Cents: 1}),
				}); err != nil {
					t.Error(err)
					return
				}
				deposits[i]++
			}
		})
	}
	ids := make([]event.ID, transfers)
	for i := range ids {
		ids[i] = event.NewID()
		w.ok(w.Transfer(ctx, ids[i], "ann", "ben", 1))
	}
	patience, cancel := context.WithTimeout(ctx, time.Minute)
	completed := store.Match{Aggregate: bank.Transfers, Name: "completed"}
	for n, at := 0, event.Position(0); n < transfers; { // while the traffic goes on
		head, err := w.Store.Wait(patience, at, completed)
		if err != nil {
			t.Errorf("%d of %d transfers are made: %v", n, transfers, err)
			break
		}
		for range w.Store.Events(ctx, store.Query{Match: []store.Match{completed}, From: store.AtPosition(at + 1), To: store.AtPosition(head)}) {
			n++
		}
		at = head
	}
	cancel()
	close(done)
	traffic.Wait()
	ann, ben := int64(100-transfers), int64(100+transfers)
	for i, n := range deposits {
		if i%2 == 0 {
			ann += n
		} else {
			ben += n
		}
	}
	w.has(ann, ben)
	for _, id := range ids {
		w.ends(id, "requested", "completed")
	}
	stop()
	w.must(<-ran)
}
