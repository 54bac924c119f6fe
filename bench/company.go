package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

const (
	readers = 2
	idlers  = 1000

	// wakeTimeout is how long all idlers have to notice the event that they wait for.
	wakeTimeout = 30 * time.Second
)

// appendsWithReaders compares the rate of appends while others read the whole store again
// and again with the rate while nobody does.
func appendsWithReaders(ctx context.Context, b *bench) (_ []pair, err error) {
	l, err := b.openLoad(ctx, 64, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.to.close()) }()
	r := l.to.(*riffle)
	if err := r.fill(ctx, l.versions, b.events/10, 2); err != nil {
		return nil, err
	}
	alone := func(ctx context.Context) (float64, error) { return l.run(ctx, b.time) }
	return b.pairs(ctx, func(ctx context.Context) (rate float64, err error) {
		reading, stop := context.WithCancel(ctx)
		group, reading := errgroup.WithContext(reading)
		var started sync.WaitGroup
		started.Add(readers)
		for range readers {
			group.Go(func() error { return readAgainAndAgain(reading, r.st, sync.OnceFunc(started.Done)) })
		}
		started.Wait()
		rate, err = alone(ctx)
		stop()
		return rate, errors.Join(err, group.Wait())
	}, alone)
}

// readAgainAndAgain catches up from the beginning until ctx ends. It calls started when it
// has the first event, or none will come.
func readAgainAndAgain(ctx context.Context, st *store.Store, started func()) error {
	defer started()
	for {
		for _, err := range st.Events(ctx, store.Query{}) {
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return fmt.Errorf("reader: %w", err)
			}
			started()
		}
	}
}

// appendsWithIdle compares the rate of appends while many subscriptions wait for events of
// other names with the rate while there are none.
func appendsWithIdle(ctx context.Context, b *bench) (_ []pair, err error) {
	l, err := b.openLoad(ctx, 8, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.to.close()) }()
	st := l.to.(*riffle).st
	alone := func(ctx context.Context) (float64, error) { return l.run(ctx, b.time) }
	return b.pairs(ctx, func(ctx context.Context) (float64, error) {
		idle, err := startIdlers(ctx, st)
		if err != nil {
			return 0, err
		}
		b.settle()
		rate, err := alone(ctx)
		return rate, errors.Join(err, idle.wake(ctx))
	}, alone)
}

// idleName is what the idlers wait for: each for a name of its own.
type idleName struct {
	number int
}

const idleAggregate = event.Aggregate("bench/idle")

func (n idleName) match() store.Match {
	return store.Match{Aggregate: idleAggregate, Name: fmt.Sprintf("idle-%04d", n.number)}
}

// idleEvent is the event of an idleName. Its name is data, which no program should do; it
// stands for the types of many programs.
type idleEvent struct{ idleName }

func (e idleEvent) EventType() event.Type { return idleAggregate.Event(e.match().Name) }

// idling are subscriptions that wait.
type idling struct {
	st    *store.Store
	group *errgroup.Group
	stop  context.CancelFunc
}

// startIdlers starts them.
func startIdlers(ctx context.Context, st *store.Store) (*idling, error) {
	head, err := st.Head(ctx)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	group, ctx := errgroup.WithContext(ctx)
	for i := range idlers {
		group.Go(func() error { return idleUntilSeen(ctx, st, head.Position, idleName{i}.match()) })
	}
	return &idling{st, group, stop}, nil
}

// idleUntilSeen waits as a subscription does: told that there may be something, it looks,
// and waits again.
func idleUntilSeen(ctx context.Context, st *store.Store, after event.Position, m store.Match) error {
	for {
		head, err := st.Wait(ctx, after, m)
		if err != nil {
			return fmt.Errorf("idle subscription: %w", err)
		}
		page, err := st.Read(ctx, store.Query{
			Match: []store.Match{m}, From: store.AtPosition(after + 1), To: store.AtPosition(head), Limit: 1,
		})
		if err != nil || len(page.Items) > 0 {
			return err
		}
		after = page.Scanned
	}
}

// wake appends what each of them waits for, and so sees that they did wait.
func (i *idling) wake(ctx context.Context) error {
	defer i.stop()
	payloads := make([]event.Payload, idlers)
	for n := range payloads {
		payloads[n] = idleEvent{idleName{n}}
	}
	if _, err := i.st.Append(ctx, store.Batch{Stream: idleAggregate.Stream("all"), Expect: store.Any, Events: event.Of(payloads...)}); err != nil {
		return errors.Join(err, i.abandon())
	}
	timer := time.AfterFunc(wakeTimeout, i.stop)
	defer timer.Stop()
	if err := i.group.Wait(); err != nil {
		return fmt.Errorf("the event that they wait for did not reach all of the idle subscriptions: %w", err)
	}
	return nil
}

func (i *idling) abandon() error {
	i.stop()
	return i.group.Wait()
}
