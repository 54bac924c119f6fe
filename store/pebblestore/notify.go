package pebblestore

import (
	"context"
	"sync"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// notifier wakes those who wait for events, by name: a commit group costs a look-up per
// distinct event type in it, not a wake-up per subscription.
type notifier struct {
	d      *driver
	mu     sync.Mutex
	all    map[*waiter]struct{}
	types  map[event.Type]map[*waiter]struct{} // Name "" is the whole aggregate
	closed chan struct{}
}

// waiter is one call of Wait.
type waiter struct {
	keys []event.Type
	ch   chan struct{}
}

func newNotifier(d *driver) *notifier {
	return &notifier{
		d:      d,
		all:    map[*waiter]struct{}{},
		types:  map[event.Type]map[*waiter]struct{}{},
		closed: make(chan struct{}),
	}
}

// Wait implements store.Driver.
func (d *driver) Wait(ctx context.Context, after event.Position, match []store.Match) error {
	if d.head.Load().position > uint64(after) {
		return context.Cause(ctx)
	}
	w := &waiter{ch: make(chan struct{}, 1)}
	for _, m := range match {
		w.keys = append(w.keys, event.Type{Aggregate: m.Aggregate, Name: m.Name})
	}
	d.notifier.register(w)
	defer d.notifier.unregister(w)
	// The head is stored before waiters are woken, so what came before the registration is
	// seen here and what comes after it is signalled.
	if d.head.Load().position > uint64(after) {
		return context.Cause(ctx)
	}
	select {
	case <-w.ch:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-d.notifier.closed:
		return store.ErrClosed
	case <-d.fuse.Failed():
		return d.failure()
	}
}

func (n *notifier) register(w *waiter) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(w.keys) == 0 {
		n.all[w] = struct{}{}
	}
	for _, k := range w.keys {
		if n.types[k] == nil {
			n.types[k] = map[*waiter]struct{}{}
		}
		n.types[k][w] = struct{}{}
	}
}

func (n *notifier) unregister(w *waiter) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.all, w)
	for _, k := range w.keys {
		delete(n.types[k], w)
		if len(n.types[k]) == 0 {
			delete(n.types, k)
		}
	}
}

// publish wakes those who wait for one of the types of a group.
func (n *notifier) publish(types []event.Type) {
	n.mu.Lock()
	defer n.mu.Unlock()
	wake(n.all)
	for _, t := range types {
		wake(n.types[t])
		wake(n.types[event.Type{Aggregate: t.Aggregate}])
	}
}

func wake(waiters map[*waiter]struct{}) {
	for w := range waiters {
		select {
		case w.ch <- struct{}{}:
		default: // woken already
		}
	}
}

func (n *notifier) close() { close(n.closed) }
