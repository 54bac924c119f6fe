package store

import (
	"context"
	"sync"
)

// Wish returns what operators asked of the subscriber; the zero Wish is nothing.
func (u *Subscriber) Wish(ctx context.Context) (Wish, error) {
	if err := u.ready(ctx); err != nil {
		return Wish{}, err
	}
	w, _, err := u.readWish(ctx)
	return w, err
}

func (u *Subscriber) readWish(ctx context.Context) (Wish, uint64, error) {
	rec, ok, err := u.store.get(ctx, u.wish)
	if err != nil || !ok {
		return Wish{}, 0, err
	}
	w, err := decodeWish(rec.Key, rec.Value)
	return w, rec.Revision, err
}

// SetWish changes the wish and makes it durable. change gets the present wish and may be
// called several times, when others change it at the same time; an error of it is returned
// and nothing is written. At is set for it.
func (u *Subscriber) SetWish(ctx context.Context, change func(*Wish) error) error {
	if err := u.ready(ctx); err != nil {
		return err
	}
	err := u.store.swap(ctx, func() (*Txn, error) {
		w, revision, err := u.readWish(ctx)
		if err != nil {
			return nil, err
		}
		if err := change(&w); err != nil {
			return nil, err
		}
		w.At = now()
		value := encodeWish(w)
		if err := checkLimit("Wish", len(value), u.store.limits.CommitBytes, "bytes", "CommitBytes"); err != nil {
			return nil, err
		}
		return &Txn{
			Guards: []Guard{{u.wish, revision}},
			Puts:   []Record{{Key: u.wish, Value: value, Revision: revision + 1}},
		}, nil
	})
	if err == nil {
		u.store.wishes.changed(u.wish)
	}
	return err
}

// OnWish calls f after every change of the wish that is made through this Store, until stop
// is called. f may be called by several goroutines at the same time, and once more while stop
// is; it must not block. Where other processes may have wishes too, unless Traits.Sole, read
// the wish from time to time as well.
func (u *Subscriber) OnWish(f func()) (stop func()) { return u.store.wishes.add(u.wish, f) }

// wishes are those who listen to changes of wishes, by the key of the record.
type wishes struct {
	mu        sync.Mutex
	listeners map[string]map[*func()]struct{}
}

func (l *wishes) add(key string, f func()) (stop func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listeners == nil {
		l.listeners = map[string]map[*func()]struct{}{}
	}
	if l.listeners[key] == nil {
		l.listeners[key] = map[*func()]struct{}{}
	}
	l.listeners[key][&f] = struct{}{}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if delete(l.listeners[key], &f); len(l.listeners[key]) == 0 {
			delete(l.listeners, key)
		}
	}
}

func (l *wishes) changed(key string) {
	l.mu.Lock()
	all := make([]func(), 0, len(l.listeners[key]))
	for f := range l.listeners[key] {
		all = append(all, *f)
	}
	l.mu.Unlock()
	for _, f := range all {
		f()
	}
}

// SetPaused pauses the subscriber for a reason, or lets it go on with "".
func (u *Subscriber) SetPaused(ctx context.Context, reason string) error {
	return u.SetWish(ctx, func(w *Wish) error {
		w.Paused = reason
		return nil
	})
}
