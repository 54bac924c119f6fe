package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// history is a closed store with events of one aggregate, whose types a program handles one
// by one: what projections catch up over.
type history struct {
	dir      string
	events   int
	streams  []stream
	versions []uint64
}

// historyStreams is how many streams, and so states of a model, a history of full size has.
const historyStreams = 10_000

// history has half as many events as -n says.
func (b *bench) history(ctx context.Context) (*history, error) {
	if h := b.shared.history; h != nil {
		return h, nil
	}
	events := b.events / 2
	h := &history{dir: filepath.Join(b.root, "history"), events: events, streams: accounts(11, min(historyStreams, events/50))}
	h.versions = make([]uint64, len(h.streams))
	st, err := openRiffle(h.dir, nil)
	if err != nil {
		return nil, err
	}
	r := &riffle{st: st, streams: h.streams}
	// One event in each stream first, so that there are as many states as streams.
	err = r.fill(ctx, h.versions, 0, 11)
	if err == nil {
		err = r.fill(ctx, h.versions, events-len(h.streams), 12)
	}
	if err := errors.Join(err, st.Close()); err != nil {
		return nil, fmt.Errorf("load the history: %w", err)
	}
	b.shared.history = h
	return h, nil
}

// accounts are streams of the one aggregate that the projections of this program handle.
func accounts(seed uint64, n int) []stream {
	streams := newStreams(seed, n, rareShare)
	for i := range streams {
		s := &streams[i]
		s.aggregate, s.routingKey = commonAggregate, ""
		s.key = accountAggregate.Stream(s.id)
	}
	return streams
}

// open opens a copy of the history, for who changes it.
func (h *history) open(ctx context.Context, b *bench) (_ *store.Store, err error) {
	from, err := openRiffle(h.dir, nil)
	if err != nil {
		return nil, err
	}
	dir := b.dir("history")
	if err := errors.Join(from.Backup(ctx, dir), from.Close()); err != nil {
		return nil, err
	}
	return openRiffle(dir, nil)
}

var accountAggregate = aggregateName(commonAggregate)

// account is the state of an account: what the model and the loop beside it make of events.
type account struct {
	Events    int
	Cents     int64
	Reference string
}

func (a *account) apply(b *body) {
	a.Events++
	a.Cents += b.Cents
	a.Reference = b.Reference
}

// accountModel folds each type of event by a fold of its own.
func accountModel(name string) *projection.Model[account] {
	return projection.NewModel(name,
		foldAccount[n0](), foldAccount[n1](), foldAccount[n2](), foldAccount[n3](),
		foldAccount[n4](), foldAccount[n5](), foldAccount[n6](), foldAccount[n7](),
	)
}

func foldAccount[N number]() projection.Folding[account] {
	return projection.Fold(func(a *account, p payload[n0, N], _ event.Event) error {
		a.apply(&p.body)
		return nil
	})
}

// accountEffect calls handled for each event, of whatever type.
func accountEffect(name string, start store.Point, handled func(event.Event)) *projection.Effect {
	return projection.NewEffect(name,
		onAccount[n0](handled), onAccount[n1](handled), onAccount[n2](handled), onAccount[n3](handled),
		onAccount[n4](handled), onAccount[n5](handled), onAccount[n6](handled), onAccount[n7](handled),
	).With(projection.Options{Start: start})
}

func onAccount[N number](handled func(event.Event)) projection.Handler {
	return projection.On(func(_ context.Context, _ payload[n0, N], ev event.Event) error {
		handled(ev)
		return nil
	})
}
