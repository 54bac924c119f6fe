package store_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

// newStore stands for pebblestore.Open.
func newStore() *store.Store {
	tick := int64(0)
	st, err := store.New(memdriver.New(memdriver.Options{Clock: func() time.Time {
		tick++
		return time.UnixMilli(tick)
	}}), nil)
	if err != nil {
		log.Fatal(err)
	}
	return st
}

func ExampleStore_Append() {
	ctx := context.Background()
	st := newStore()
	defer st.Close()

	ann := accounts.Stream("ann")
	res, err := st.Append(ctx, store.Batch{Stream: ann, Events: event.Of(opened{Owner: "Ann"}, deposited{Cents: 100})})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("version", res.Version, "at position", res.Position)

	_, err = st.Append(ctx, store.Batch{Stream: ann, Expect: store.Exact(1), Events: event.Of(deposited{Cents: 5})})
	if conflict, ok := errors.AsType[*store.ConflictError](err); ok {
		fmt.Println("somebody was faster: the stream is at version", conflict.Actual)
	}
	// Output:
	// version 2 at position 2
	// somebody was faster: the stream is at version 2
}

// An append whose answer was lost is sent again as it is.
func ExampleStore_Append_retry() {
	ctx := context.Background()
	st := newStore()
	defer st.Close()

	batch := store.Batch{Stream: accounts.Stream("ann"), Events: event.Of(opened{Owner: "Ann"})}
	for range 2 {
		res, err := st.Append(ctx, batch)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("position", res.Position, "replayed", res.Replayed)
	}
	// Output:
	// position 1 replayed false
	// position 1 replayed true
}

func ExampleStore_Read() {
	ctx := context.Background()
	st := newStore()
	defer st.Close()
	for i := range int64(5) {
		if _, err := st.Append(ctx, store.Batch{Stream: accounts.Stream("ann"), Expect: store.Any, Events: event.Of(deposited{i})}); err != nil {
			log.Fatal(err)
		}
	}

	q := store.Query{Match: store.MatchTypes(deposited{}.EventType()), Limit: 2, Backward: true}
	for {
		page, err := st.Read(ctx, q)
		if err != nil {
			log.Fatal(err)
		}
		for _, e := range page.Items {
			d, err := event.Decode[deposited](e)
			if err != nil {
				log.Fatal(err)
			}
			fmt.Print(d.Cents, " ")
		}
		if !page.HasNext {
			break
		}
		q.After = page.End
	}
	// Output: 4 3 2 1 0
}

func ExampleStore_Events() {
	ctx := context.Background()
	st := newStore()
	defer st.Close()
	batches := []store.Batch{
		{Stream: accounts.Stream("ann"), Events: event.Of(opened{Owner: "Ann"})},
		{Stream: orders.Stream("7"), Events: event.Of(placed{Item: "pen"})},
		{Stream: accounts.Stream("bob"), Events: event.Of(opened{Owner: "Bob"})},
	}
	if _, err := st.Append(ctx, batches...); err != nil {
		log.Fatal(err)
	}
	for e, err := range st.Events(ctx, store.Query{Match: []store.Match{{Aggregate: accounts}}}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.Position, e.Stream, e.Name)
	}
	// Output:
	// 1 bank/account/ann opened
	// 3 bank/account/bob opened
}

func ExampleMerge() {
	ctx := context.Background()
	eu, us := newStore(), newStore()
	defer eu.Close()
	defer us.Close()
	for _, st := range []*store.Store{eu, us, us, eu} {
		_, err := st.Append(ctx, store.Batch{Stream: orders.Stream("1"), Expect: store.Any, Events: event.Of(placed{})})
		if err != nil {
			log.Fatal(err)
		}
	}
	page, err := store.Merge(eu, us).Read(ctx, store.Query{Limit: 3})
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range page.Items {
		fmt.Println(e.Time.UnixMilli(), e.Position)
	}
	fmt.Println("more:", page.HasNext)
	// Output:
	// 1 1
	// 1 1
	// 2 2
	// more: true
}

func ExampleLease_Commit() {
	ctx := context.Background()
	st := newStore()
	defer st.Close()
	if _, err := st.Append(ctx, store.Batch{Stream: accounts.Stream("ann"), Events: event.Of(opened{}, deposited{})}); err != nil {
		log.Fatal(err)
	}
	sub := st.Subscriber(store.SubscriberKey{Projection: "balances"})
	lease, err := sub.Claim(ctx, event.NewID(), 10*time.Second)
	if err != nil {
		log.Fatal(err)
	}
	from := lease.Checkpoint()
	_, err = lease.Commit(ctx, store.Commit{
		From: from, To: 2,
		Save: []store.Snapshot{{Key: store.SnapshotKey{Key: "ann"}, State: []byte("100"), Position: 2}},
	})
	if err != nil {
		log.Fatal(err)
	}
	state, err := st.State(ctx, store.SnapshotKey{Projection: "balances", Key: "ann"})
	fmt.Println(string(state.State), err)

	_, err = lease.Commit(ctx, store.Commit{From: from, To: 2}) // a second time from the same place
	fmt.Println(errors.Is(err, store.ErrLeaseLost))
	// Output:
	// 100 <nil>
	// true
}
