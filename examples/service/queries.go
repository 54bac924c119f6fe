package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	bank "github.com/riffle-go/riffle/examples/bank/domain"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// patience is how long a read waits for a model to have what its client has written.
const patience = 2 * time.Second

// errNotYet is the answer to a read that comes before the model is there.
var errNotYet = errors.New("service: what you wrote cannot be read yet, ask again")

// account is an account as clients see it.
type account struct {
	ID       string         `json:"id"`
	Owner    string         `json:"owner"`
	Cents    int64          `json:"cents"`
	Frozen   bool           `json:"frozen,omitempty"`
	Closed   bool           `json:"closed,omitempty"`
	Position event.Position `json:"position"` // everything up to here is in it
}

func newAccount(s projection.State[bank.Account]) account {
	return account{s.Key, s.Value.Owner, s.Value.Cents, s.Value.Frozen, s.Value.Closed, s.Position}
}

func (a *api) account(ctx context.Context, r *http.Request) (any, error) {
	if err := a.await(ctx, r, bank.State); err != nil {
		return nil, err
	}
	s, err := bank.State.Get(ctx, a.store, r.PathValue("id"))
	return newAccount(s), err
}

func (a *api) accounts(ctx context.Context, r *http.Request) (any, error) {
	if err := a.await(ctx, r, bank.State); err != nil {
		return nil, err
	}
	all := []account{}
	for s, err := range bank.State.All(ctx, a.store, store.Range{After: r.FormValue("behind"), Limit: 100}) {
		if err != nil {
			return nil, err
		}
		all = append(all, newAccount(s))
	}
	return all, nil
}

// month is one month of an account.
type month struct {
	Month    string `json:"month"`
	In       int64  `json:"in_cents"`
	Out      int64  `json:"out_cents"`
	Bookings int    `json:"bookings"`
}

func (a *api) statements(ctx context.Context, r *http.Request) (any, error) {
	if err := a.await(ctx, r, bank.Statements); err != nil {
		return nil, err
	}
	all := []month{}
	for s, err := range bank.Statements.All(ctx, a.store, store.Range{Prefix: event.KeyPrefix(r.PathValue("id")), Limit: 120}) {
		if err != nil {
			return nil, err
		}
		parts, err := event.SplitKey(s.Key)
		if err != nil {
			return nil, err
		}
		all = append(all, month{parts[1], s.Value.In, s.Value.Out, s.Value.Bookings})
	}
	return all, nil
}

func (a *api) transferred(ctx context.Context, r *http.Request) (any, error) {
	if err := a.await(ctx, r, transfers); err != nil {
		return nil, err
	}
	s, err := transfers.Get(ctx, a.store, r.PathValue("id"))
	return s.Value, err
}

// await makes a read wait for the position that its client names, the one that came with
// the answer to a command. Without one it takes what there is.
func (a *api) await(ctx context.Context, r *http.Request, p projection.Projection) error {
	text := r.FormValue("after")
	if text == "" {
		return nil
	}
	var pos event.Position
	if err := pos.UnmarshalText([]byte(text)); err != nil {
		return invalid("after is no position")
	}
	limit, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	switch err := a.engine.Wait(limit, p, pos); {
	case err == nil:
		return nil
	case ctx.Err() != nil: // the client is gone
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, engine.ErrUnavailable):
		return errors.Join(errNotYet, err)
	default:
		return err
	}
}
