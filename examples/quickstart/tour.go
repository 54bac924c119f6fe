package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// tour shows a store step by step, on two accounts that no run before has used.
type tour struct {
	st       *store.Store
	out      io.Writer
	ann, bob event.Stream
}

func newTour(st *store.Store, out io.Writer) *tour {
	run := event.NewID().String()
	return &tour{st: st, out: out, ann: Accounts.Stream("ann-" + run), bob: Accounts.Stream("bob-" + run)}
}

func (t *tour) say(format string, args ...any) { fmt.Fprintf(t.out, format+"\n", args...) }

// appendEvents opens two accounts in one append: both are opened, or none. A batch that
// does not say what it expects wants its stream to be new.
func (t *tour) appendEvents(ctx context.Context) error {
	res, err := t.st.Append(ctx,
		store.Batch{Stream: t.ann, Events: event.Of(Opened{Owner: "Ann"}, Deposited{Cents: 100_00})},
		store.Batch{Stream: t.bob, Events: event.Of(Opened{Owner: "Bob"}), RoutingKey: "eu"},
	)
	if err != nil {
		return err
	}
	t.say("append:   two accounts, positions %d to %d", res.First, res.Position)

	// Any takes the stream as it is. Metadata travels with the events.
	_, err = t.st.Append(ctx, store.Batch{
		Stream: t.bob, Expect: store.Any, Events: event.Of(Deposited{Cents: 50_00}),
		Metadata: event.Metadata{}.With(event.RequestedBy, "clerk-7"),
	})
	return err
}

// load reads the events of one account and applies them.
func (t *tour) load(ctx context.Context, stream event.Stream) (Account, error) {
	var a Account
	for ev, err := range t.st.Events(ctx, store.Query{Match: store.MatchStreams(stream)}) {
		if err != nil {
			return a, err
		}
		if err := a.Apply(ev); err != nil {
			return a, err
		}
	}
	return a, nil
}

func (t *tour) readStream(ctx context.Context) error {
	a, err := t.load(ctx, t.ann)
	if err != nil {
		return err
	}
	t.say("read:     %s has %d cents at version %d", a.Owner, a.Cents, a.Version)
	return nil
}

// meetConflict decides on a state that is no longer the latest: the append is refused,
// and nothing of it is written. Load again, decide again.
func (t *tour) meetConflict(ctx context.Context) error {
	a, err := t.load(ctx, t.ann)
	if err != nil {
		return err
	}
	// Somebody is faster.
	if _, err := t.st.Append(ctx, store.Batch{Stream: t.ann, Expect: store.Exact(a.Version), Events: event.Of(Withdrawn{Cents: 80_00})}); err != nil {
		return err
	}
	_, err = t.st.Append(ctx, store.Batch{Stream: t.ann, Expect: store.Exact(a.Version), Events: event.Of(Withdrawn{Cents: 70_00})})
	conflict, ok := errors.AsType[*store.ConflictError](err)
	if !ok {
		return fmt.Errorf("two appends expected version %d and the second one got %w", a.Version, err)
	}
	if a, err = t.load(ctx, t.ann); err != nil {
		return err
	}
	t.say("conflict: expected version %d, it is %d: only %d cents are left", conflict.Actual-1, conflict.Actual, a.Cents)
	return nil
}

// retryAppend sends an append twice, as after an answer that got lost. Its events have
// their ids since event.Of, so the store knows it again.
func (t *tour) retryAppend(ctx context.Context) error {
	a, err := t.load(ctx, t.ann)
	if err != nil {
		return err
	}
	batch := store.Batch{Stream: t.ann, Expect: store.Exact(a.Version), Events: event.Of(Deposited{Cents: 5_00})}
	first, err := t.st.Append(ctx, batch)
	if err != nil {
		return err
	}
	again, err := t.st.Append(ctx, batch)
	if err != nil {
		return err
	}
	if !again.Replayed || again.Position != first.Position {
		return fmt.Errorf("the same append went to position %d and to %d", first.Position, again.Position)
	}
	t.say("retry:    the same append twice is one event at version %d", again.Version)
	return nil
}

// filter reads events of one type, whatever their streams, the newest first.
func (t *tour) filter(ctx context.Context) error {
	q := store.Query{Match: store.MatchTypes(Deposited{}.EventType()), Backward: true, Limit: 2}
	for ev, err := range t.st.Events(ctx, q) {
		if err != nil {
			return err
		}
		d, err := event.Decode[Deposited](ev)
		if err != nil {
			return err
		}
		t.say("filter:   %d cents deposited at position %d, requested by %q", d.Cents, ev.Position, ev.Metadata.Get(event.RequestedBy))
	}
	return nil
}

// page reads the account page by page. A cursor is text, safe in a URL; whoever has it
// can go on from there, also after a restart.
func (t *tour) page(ctx context.Context) error {
	q := store.Query{Match: store.MatchStreams(t.ann), Limit: 3}
	for n := 1; ; n++ {
		page, err := t.st.Read(ctx, q)
		if err != nil {
			return err
		}
		if len(page.Items) == 0 { // a page of a sparse filter may be empty and yet have a next one
			return fmt.Errorf("page %d of a single stream is empty", n)
		}
		t.say("page %d:   versions %d to %d, more: %t", n, page.Items[0].Version, page.Items[len(page.Items)-1].Version, page.HasNext)
		if !page.HasNext {
			return nil
		}
		q.After = page.End
	}
}

// wait sleeps until there is something new of an account, without polling.
func (t *tour) wait(ctx context.Context) error {
	head, err := t.st.Head(ctx)
	if err != nil {
		return err
	}
	appended := make(chan error, 1)
	go func() {
		_, err := t.st.Append(ctx, store.Batch{Stream: t.bob, Expect: store.Exists, Events: event.Of(Withdrawn{Cents: 10_00})})
		appended <- err
	}()
	for after := head.Position; ; {
		now, err := t.st.Wait(ctx, after, store.MatchStreams(t.bob)...)
		if err != nil {
			return err
		}
		// A wake-up is a hint: look what there is.
		q := store.Query{Match: store.MatchStreams(t.bob), From: store.AtPosition(after + 1)}
		for ev, err := range t.st.Events(ctx, q) {
			if err != nil {
				return err
			}
			t.say("wait:     %s was %s", ev.Stream.Aggregate, ev.Name)
			return <-appended
		}
		after = now
	}
}
