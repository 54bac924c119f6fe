package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// modelCatchUp compares a model, which folds the whole history into states that it commits,
// with a loop that makes the same states in a map and keeps them there.
func modelCatchUp(ctx context.Context, b *bench) ([]pair, error) {
	var last *projection.Model[account]
	states := map[string]*account{}
	return b.catchUps(ctx, catchUp{
		project: func(run int) projection.Projection {
			last = accountModel(fmt.Sprintf("accounts-%d", run))
			return last
		},
		loop: func(ctx context.Context, st *store.Store) (int, error) {
			clear(states)
			return readAccounts(ctx, st, func(ev *event.Event, p *body) {
				s := states[ev.Stream.ID]
				if s == nil {
					s = new(account)
					states[ev.Stream.ID] = s
				}
				s.apply(p)
			})
		},
		check: func(ctx context.Context, st *store.Store) error {
			for id, want := range states {
				got, err := last.Get(ctx, st, id)
				if err != nil {
					return err
				}
				if got.Value != *want {
					return fmt.Errorf("the model has %+v of %s, the loop %+v", got.Value, id, *want)
				}
			}
			return nil
		},
	})
}

// effectCatchUp compares an effect that does nothing with the events that it gets with a
// loop that does nothing with them.
func effectCatchUp(ctx context.Context, b *bench) ([]pair, error) {
	return b.catchUps(ctx, catchUp{
		project: func(run int) projection.Projection {
			return accountEffect(fmt.Sprintf("nothing-%d", run), store.AtPosition(1), func(event.Event) {})
		},
		loop: func(ctx context.Context, st *store.Store) (int, error) {
			return readAccounts(ctx, st, func(*event.Event, *body) {})
		},
		check: func(context.Context, *store.Store) error { return nil },
	})
}

// catchUp is a projection and the loop that a program without Riffle's runtime would have.
type catchUp struct {
	project func(run int) projection.Projection // a new name for each run: it begins with nothing
	loop    func(context.Context, *store.Store) (events int, err error)
	check   func(context.Context, *store.Store) error // that both did the same in the end
}

// catchUps measures in events per second how fast a projection and a loop get through the
// history. The projection's time is that of Engine.CatchUp: claims, commits and the release
// are part of it.
func (b *bench) catchUps(ctx context.Context, c catchUp) (_ []pair, err error) {
	h, err := b.history(ctx)
	if err != nil {
		return nil, err
	}
	st, err := h.open(ctx, b)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	run := 0
	ours := b.again(h.events, func(ctx context.Context) (int, error) {
		run++
		e, err := engine.New(engine.Config{Store: st, Projections: []projection.Projection{c.project(run)}})
		if err != nil {
			return 0, err
		}
		return h.events, e.CatchUp(ctx)
	})
	theirs := b.again(h.events, func(ctx context.Context) (int, error) {
		n, err := c.loop(ctx, st)
		if err == nil && n != h.events {
			err = fmt.Errorf("the loop saw %d events of %d", n, h.events)
		}
		return n, err
	})
	for _, warm := range []side{theirs, ours} {
		if _, err := warm(ctx); err != nil {
			return nil, err
		}
	}
	pairs, err := b.pairs(ctx, ours, theirs)
	if err != nil {
		return nil, err
	}
	return pairs, c.check(ctx, st)
}

// readAccounts is the loop that the runtime is measured against: it reads pages, and
// unmarshals each payload.
func readAccounts(ctx context.Context, st *store.Store, see func(*event.Event, *body)) (events int, err error) {
	q := store.Query{Match: []store.Match{{Aggregate: accountAggregate}}}
	for {
		page, err := st.Read(ctx, q)
		if err != nil {
			return 0, err
		}
		for i := range page.Items {
			var p body
			if err := json.Unmarshal(page.Items[i].Data, &p); err != nil {
				return 0, err
			}
			see(&page.Items[i], &p)
		}
		events += len(page.Items)
		if !page.HasNext {
			return events, nil
		}
		q.After = page.End
	}
}
