package worker

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// A wish of another process reaches an idle worker by its look at the time of a renewal.
func TestAnIdleWorkerLooksForWishesOfOtherProcesses(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			st, err := pebblestore.OpenMem(&pebblestore.Options{Store: store.Options{Logger: slog.New(slog.DiscardHandler)}})
			if err != nil {
				t.Fatal(err)
			}
			key := store.SubscriberKey{Projection: "idle"}
			w, err := New(Config{Store: st, Key: key, Program: &program.Program{
				Name: "idle", Kind: program.Effect, PageSize: 10, Match: []store.Match{{Aggregate: "a", Name: "n"}}, Effect: &program.EffectProgram{},
			}})
			if err != nil {
				t.Fatal(err)
			}
			w.listen = func(func()) func() { return func() {} } // another process wishes
			w.shared = shared
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- w.Run(ctx) }()
			<-time.After(time.Hour)
			if err := st.Subscriber(key).SetPaused(t.Context(), "for the audit"); err != nil {
				t.Fatal(err)
			}
			<-time.After(w.config.LeaseTTL/3 + 50*time.Millisecond)
			synctest.Wait()
			if state := w.Status().State; (state == Paused) != shared {
				t.Errorf("a third of the TTL later it is %s; shared: %v", state, shared)
			}
			cancel()
			<-ended
			if err := st.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
