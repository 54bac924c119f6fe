package engine_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// runChild is what this test binary does as another process.
func runChild(role, dir string) error {
	if role != "work" {
		return fmt.Errorf("unknown role %q", role)
	}
	return workUntilKilled(dir)
}

// keepBooks opens a directory with the books.
func keepBooks(dir string) (*store.Store, *engine.Engine, error) {
	st, err := pebblestore.Open(dir, &pebblestore.Options{CacheSize: 8 << 20, Store: store.Options{Logger: slog.New(slog.DiscardHandler)}})
	if err != nil {
		return nil, nil, err
	}
	e, err := engine.New(engine.Config{Store: st, Projections: books(func(string) error { return nil }), LeaseTTL: ordealTTL})
	return st, e, err
}

// workUntilKilled appends while an engine runs, and reports every answer in a line: what a
// line tells was promised before the process died. Meanwhile leases are stolen and models
// rebuilt.
func workUntilKilled(dir string) error {
	st, e, err := keepBooks(dir)
	if err != nil {
		return err
	}
	ctx := context.Background()
	errs := make(chan error)
	go func() { errs <- e.Run(ctx) }()
	var mu sync.Mutex
	for i := range 3 {
		go func() {
			for {
				res, err := st.Append(ctx, store.Batch{
					Stream: Counters.Stream(fmt.Sprint("s", i)), Expect: store.Any, Events: event.Of(Added{1 + rand.IntN(9)}, Added{1}),
				})
				if err == nil {
					mu.Lock()
					_, err = fmt.Fprintf(os.Stdout, "acked %d\n", res.Position) // unbuffered
					mu.Unlock()
				}
				if err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	go func() {
		for {
			<-time.After(time.Duration(rand.IntN(20)) * time.Millisecond)
			var err error
			switch name := []string{"tally", "echo"}[rand.IntN(2)]; rand.IntN(4) {
			case 0:
				_ = e.Rebuild(ctx, "tally") // one may be under way
			default:
				err = e.ReleaseLease(ctx, name)
			}
			if err != nil {
				errs <- err
				return
			}
		}
	}()
	return <-errs
}
