package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/riffle-go/riffle/event"
)

// Subscriber is a handle for what the store keeps of one subscriber key: who works on it,
// how far it is, what operators wish, and the events set aside. It is safe for concurrent
// use; making one costs nothing and writes nothing.
type Subscriber struct {
	store *Store
	key   SubscriberKey
	// keys of its records
	term, checkpoint, wish string
	fault                  error // what is wrong with the key
}

// Subscriber returns the handle of a key. A key that cannot be stored is reported by the
// handle's methods as ErrInvalid.
func (s *Store) Subscriber(key SubscriberKey) *Subscriber {
	u := &Subscriber{
		store: s, key: key,
		term:       subscriberRecord(key, partTerm),
		checkpoint: subscriberRecord(key, partCheckpoint),
		wish:       subscriberRecord(key, partWish),
		fault:      checkName("SubscriberKey.Projection", key.Projection),
	}
	if u.fault == nil {
		u.fault = s.checkKey("SubscriberKey", u.term)
	}
	return u
}

// Key returns the subscriber key.
func (u *Subscriber) Key() SubscriberKey { return u.key }

func (u *Subscriber) ready(ctx context.Context) error {
	if err := u.store.ready(ctx); err != nil {
		return err
	}
	return u.fault
}

// Info returns all of it. A key that nobody ever claimed, committed or wished for gives an
// Info with nothing but the Key. Its records are read one after the other: during a claim
// or a commit they may be of different moments.
func (u *Subscriber) Info(ctx context.Context) (SubscriberInfo, error) {
	if err := u.ready(ctx); err != nil {
		return SubscriberInfo{}, err
	}
	info := infoReader{core: u.store.core, info: SubscriberInfo{Key: u.key}}
	for _, key := range [...]string{u.term, u.checkpoint, u.wish} {
		rec, ok, err := u.store.get(ctx, key)
		if err == nil && ok {
			err = info.add(rec)
		}
		if err != nil {
			return SubscriberInfo{}, err
		}
	}
	return info.finish(ctx)
}

// Running says whether a worker holds the lease now.
func (u *Subscriber) Running(ctx context.Context, worker event.ID) (bool, error) {
	if err := u.ready(ctx); err != nil {
		return false, err
	}
	h, err := u.store.holder(ctx, u.term)
	return err == nil && !worker.IsZero() && h.Worker == worker, err
}

// Subscribers yields what the store keeps of every subscriber key, by projection,
// generation and segment. The first error is yielded last.
func (s *Store) Subscribers(ctx context.Context) iter.Seq2[SubscriberInfo, error] {
	return func(yield func(SubscriberInfo, error) bool) {
		if err := s.eachSubscriber(ctx, yield); err != nil {
			yield(SubscriberInfo{}, err)
		}
	}
}

func (s *Store) eachSubscriber(ctx context.Context, yield func(SubscriberInfo, error) bool) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	var current *infoReader
	finish := func() (goOn bool, err error) {
		if current == nil {
			return true, nil
		}
		info, err := current.finish(ctx)
		return err == nil && yield(info, nil), err
	}
	for rec, err := range s.records(ctx, string(rune(spaceSubscriber)), "", 0) {
		if err != nil {
			return err
		}
		key, _, ok := parseSubscriberRecord(rec.Key)
		if !ok {
			return corruptRecord("subscriber", rec.Key, errLength)
		}
		if current == nil || current.info.Key != key {
			if goOn, err := finish(); !goOn {
				return err
			}
			current = &infoReader{core: s.core, info: SubscriberInfo{Key: key}}
		}
		if err := current.add(rec); err != nil {
			return err
		}
	}
	_, err := finish()
	return err
}

// infoReader puts the records of one subscriber together.
type infoReader struct {
	*core
	info SubscriberInfo
}

func (r *infoReader) add(rec Record) error {
	_, part, ok := parseSubscriberRecord(rec.Key)
	if !ok {
		return corruptRecord("subscriber", rec.Key, errLength)
	}
	switch part {
	case partTerm:
		r.info.Term = rec.Revision
	case partCheckpoint:
		c, err := decodeCheckpoint(rec.Key, rec.Value)
		r.info.Checkpoint, r.info.Head, r.info.InHand = event.Position(rec.Revision), c.head, c.inHand
		r.info.CreatedAt, r.info.UpdatedAt = c.created, c.updated
		return err
	case partWish:
		w, err := decodeWish(rec.Key, rec.Value)
		r.info.Wish, r.info.Paused = w, w.Paused
		return err
	}
	return nil
}

// finish adds who holds the lease.
func (r *infoReader) finish(ctx context.Context) (SubscriberInfo, error) {
	h, err := r.holder(ctx, subscriberRecord(r.info.Key, partTerm))
	if err != nil && !errors.Is(err, ErrUnsupported) {
		return SubscriberInfo{}, err
	}
	if !h.Worker.IsZero() {
		r.info.Worker, r.info.Until = h.Worker, h.Until
	}
	return r.info, nil
}

// holder asks the driver who holds a lease.
func (c *core) holder(ctx context.Context, term string) (Holder, error) {
	if c.leaser == nil {
		return Holder{}, ErrUnsupported
	}
	if err := c.enter(ctx); err != nil {
		return Holder{}, err
	}
	defer c.gate.leave()
	h, err := c.leaser.Holder(ctx, term)
	return h, wrap("holder", err)
}

// LeaseLostError says why a commit was refused: the record that is no longer as the lease
// knows it. It matches [ErrLeaseLost].
type LeaseLostError struct {
	Key      SubscriberKey
	What     string // "term" or "checkpoint"
	Expected uint64
	Actual   uint64
}

func (e *LeaseLostError) Error() string {
	return fmt.Sprintf("store: lease of %s lost: its %s is %d, expected %d; stop and claim again", e.Key, e.What, e.Actual, e.Expected)
}

// ErrorType is the error.type attribute of telemetry.
func (*LeaseLostError) ErrorType() string { return "lease_lost" }

// Is matches ErrLeaseLost.
func (*LeaseLostError) Is(target error) bool { return target == ErrLeaseLost }

// now is a time as records keep it.
func now() time.Time { return wholeMillis(time.Now()) }
