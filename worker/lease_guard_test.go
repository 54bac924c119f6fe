package worker

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/store"
)

var errNetwork = errors.New("network down")

func newGuard(ctx context.Context, extend func(context.Context) error) (*guard, context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	return &guard{
		extend: extend, ttl: 9 * time.Second, cancel: cancel, trouble: make(chan struct{}, 1),
		remove: func() {}, stop: func() {}, ended: make(chan struct{}),
	}, ctx
}

func TestTheWorkStopsAtItsOwnDeadlineWhenRenewalsFail(t *testing.T) {
	t.Parallel()
	for name, renew := range map[string]func(*guard, context.Context){
		"own renewals": func(g *guard, ctx context.Context) { g.renew(ctx, time.Now().Add(g.ttl)) },
		"those of others": func(g *guard, ctx context.Context) {
			<-time.After(2 * g.ttl / 3) // a third to the next renewal, and a third that its call hung
			g.failed(errNetwork)
			g.standIn(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g, handling := newGuard(t.Context(), func(context.Context) error { return errNetwork })
				began := time.Now()
				go renew(g, t.Context())
				<-handling.Done()
				if !errors.Is(context.Cause(handling), store.ErrLeaseLost) {
					t.Errorf("cause %v", context.Cause(handling))
				}
				if d := time.Since(began); d > g.ttl {
					t.Errorf("handlers could start until %v, the lease may have ended after %v", d, g.ttl)
				}
				<-g.ended
			})
		})
	}
}

// A renewal that takes long has extended the lease at some moment of it: at its beginning, for
// all that the worker knows.
func TestALeaseRunsFromTheBeginningOfItsRenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var renewed time.Time
		g, handling := newGuard(t.Context(), func(context.Context) error {
			if !renewed.IsZero() {
				return errNetwork
			}
			renewed = time.Now()
			<-time.After(2 * time.Second)
			return nil
		})
		go g.renew(t.Context(), time.Now().Add(g.ttl))
		<-handling.Done()
		if d := time.Since(renewed); d > g.ttl {
			t.Errorf("handlers could start until %v after the renewal, the lease may have ended after %v", d, g.ttl)
		}
		<-g.ended
	})
}

func TestAFewFailedRenewalsDoNotStopTheWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		g, handling := newGuard(t.Context(), func(context.Context) error {
			if n++; n%3 != 0 {
				return errNetwork
			}
			return nil
		})
		ctx, stop := context.WithCancel(t.Context())
		go g.renew(ctx, time.Now().Add(g.ttl))
		<-time.After(10 * time.Minute)
		if handling.Err() != nil {
			t.Errorf("stopped: %v", context.Cause(handling))
		}
		stop()
		<-g.ended
	})
}
