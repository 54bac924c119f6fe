package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
)

const (
	testAccounts = 4
	opening      = 1_000_00
)

// town is what clients know of the bank: what they have been told was done.
type town struct {
	url     atomic.Pointer[string] // of the process that runs now
	mu      sync.Mutex
	paid    int64 // in less out, in cents
	answers atomic.Int64
	settle  []event.ID // transfers
	retried atomic.Int64
	known   atomic.Int64 // answers to a request that an earlier try had done
}

// insist sends a request until it is answered, through any number of kills.
func (w *town) insist(ctx context.Context, key event.ID, path string, in ask) error {
	for try := 0; ; try++ {
		res, err := (client{*w.url.Load()}).do(ctx, key, path, in)
		var refusal *statusError
		switch {
		case err == nil:
			w.answers.Add(1)
			if res.Replayed {
				w.known.Add(1)
			}
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &refusal) && refusal.status != http.StatusServiceUnavailable && refusal.status != http.StatusInternalServerError:
			return err
		}
		w.retried.Add(1)
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// live is one client: it pays in and out and transfers until time is up.
func (w *town) live(ctx, until context.Context) error {
	for until.Err() == nil {
		key, acc := event.NewID(), fmt.Sprintf("a-%d", rand.IntN(testAccounts))
		cents := 1 + rand.Int64N(50_00)
		path, in, sign := "/accounts/"+acc+"/deposits", ask{Cents: cents}, int64(1)
		switch rand.IntN(3) {
		case 0:
			path, sign = "/accounts/"+acc+"/withdrawals", -1
		case 1:
			path, in, sign = "/transfers", ask{From: acc, To: fmt.Sprintf("a-%d", rand.IntN(testAccounts)), Cents: cents}, 0
			if in.To == in.From {
				continue
			}
		}
		err := w.insist(ctx, key, path, in)
		if e, ok := errors.AsType[*statusError](err); ok && e.status == http.StatusConflict {
			continue // not enough money, or too much competition: nothing was done
		}
		if err != nil {
			return err
		}
		w.mu.Lock()
		w.paid += sign * cents
		if sign == 0 {
			w.settle = append(w.settle, key)
		}
		w.mu.Unlock()
	}
	return nil
}

func TestTheBooksBalanceAfterKillsAndStops(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "bank.db")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	w := &town{}
	p := launch(t, dir)
	w.url.Store(&p.url)
	if err := w.insist(ctx, event.NewID(), "/owners", ask{ID: "o", Name: "Ann", Address: "ann@example.org"}); err != nil {
		t.Fatal(err)
	}
	for i := range testAccounts {
		if err := w.insist(ctx, event.NewID(), "/accounts", ask{ID: fmt.Sprintf("a-%d", i), Owner: "o", Cents: opening}); err != nil {
			t.Fatal(err)
		}
	}
	until, enough := context.WithCancel(ctx)
	errs := make(chan error, 4)
	for range cap(errs) {
		go func() { errs <- w.live(ctx, until) }()
	}
	for round := range 6 {
		for before := w.answers.Load(); w.answers.Load() < before+60; {
			select {
			case <-ctx.Done():
				t.Fatalf("requests are not answered any more: %s", p.stderr)
			case <-time.After(time.Millisecond):
			}
		}
		if round%2 == 0 {
			p.kill(t)
		} else {
			p.stop(t)
		}
		p = launch(t, dir)
		w.url.Store(&p.url)
	}
	enough()
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d answers, %d tries without one, %d of requests that an earlier try had done; %d transfers", w.answers.Load(), w.retried.Load(), w.known.Load(), len(w.settle))
	audit(t, ctx, w, p)
	p.stop(t)
	http.DefaultClient.CloseIdleConnections()
}

// audit compares what the bank has with what its clients were told.
func audit(t *testing.T, ctx context.Context, w *town, p *process) {
	t.Helper()
	for _, id := range w.settle {
		if _, err := p.settled(ctx, id); err != nil {
			t.Fatalf("transfer %s: %v", id, err)
		}
	}
	// Every transfer has ended; a last command tells the position behind all of it.
	last, err := p.do(ctx, event.NewID(), "/accounts/a-0/deposits", ask{Cents: 1})
	if err != nil {
		t.Fatal(err)
	}
	var all []account
	if err := p.get(ctx, "/accounts?after="+last.Position.String(), &all); err != nil {
		t.Fatal(err)
	}
	var sum int64
	for _, acc := range all {
		sum += acc.Cents
		if acc.Cents < 0 {
			t.Errorf("account %s has %d cents", acc.ID, acc.Cents)
		}
	}
	if want := testAccounts*opening + w.paid + 1; len(all) != testAccounts || sum != want {
		t.Errorf("%d accounts have %d cents, want %d: off by %d", len(all), sum, want, sum-want)
	}
	for _, acc := range all {
		var months []month
		if err := p.get(ctx, "/accounts/"+acc.ID+"/statements?after="+last.Position.String(), &months); err != nil {
			t.Fatal(err)
		}
		var booked int64
		for _, m := range months {
			booked += m.In - m.Out
		}
		if booked != acc.Cents {
			t.Errorf("account %s has %d cents, its statements %d", acc.ID, acc.Cents, booked)
		}
	}
}
