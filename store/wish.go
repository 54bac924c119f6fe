package store

import "context"

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
	return u.store.swap(ctx, func() (*Txn, error) {
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
}

// SetPaused pauses the subscriber for a reason, or lets it go on with "".
func (u *Subscriber) SetPaused(ctx context.Context, reason string) error {
	return u.SetWish(ctx, func(w *Wish) error {
		w.Paused = reason
		return nil
	})
}
