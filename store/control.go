package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/riffle-go/riffle/event"
)

// Control writes change what a worker works from. Each raises the term in the same step,
// so that the worker that holds the lease, or believes it does, can commit nothing more.

// ReleaseLease ends the lease, whoever holds it: the next claim succeeds at once, and the
// former holder's commits are refused.
func (u *Subscriber) ReleaseLease(ctx context.Context) error {
	if err := u.ready(ctx); err != nil {
		return err
	}
	return u.store.swap(ctx, func() (*Txn, error) {
		return &Txn{Fence: []string{u.term}}, nil
	})
}

// Rewind sets the checkpoint back: the event after checkpoint is the next to be handled.
// Rows above it are removed, skipped ones too, and the lease ends. A checkpoint beyond the
// present one is ErrInvalid.
//
// Many rows are removed in several steps, each of which sets the checkpoint back a part of
// the way, so that an error in between loses nothing: call it again.
func (u *Subscriber) Rewind(ctx context.Context, checkpoint event.Position) error {
	if err := u.ready(ctx); err != nil {
		return err
	}
	for {
		done, err := u.rewindStep(ctx, checkpoint)
		if err != nil || done {
			return err
		}
	}
}

// rewindStep removes the rows with the highest positions, as many as one commit may.
func (u *Subscriber) rewindStep(ctx context.Context, target event.Position) (done bool, err error) {
	err = u.store.swap(ctx, func() (*Txn, error) {
		value, at, err := u.readCheckpoint(ctx)
		if err != nil {
			return nil, err
		}
		if target > at {
			return nil, &InvalidError{Field: "checkpoint", Reason: fmt.Sprintf("is %d, beyond the present one %d; a rewind goes back", target, at)}
		}
		rows, to, err := u.rowsAbove(ctx, target)
		if err != nil {
			return nil, err
		}
		done = to == target
		to = min(to, at) // rows are never above the checkpoint; a damaged store must not move it forward
		value.inHand, value.updated = 0, now()
		if value.created.IsZero() {
			value.created = value.updated
		}
		value.term, value.serial = 0, 0 // no lease made this
		return &Txn{
			Guards:  []Guard{{u.checkpoint, uint64(at)}},
			Puts:    []Record{{Key: u.checkpoint, Value: value.encode(), Revision: uint64(to)}},
			Deletes: rows,
			Fence:   []string{u.term},
		}, nil
	})
	return done, err
}

// rowsAbove returns the keys of rows above a position, the highest first and at most one
// commit's worth, and the checkpoint below them: target if these are all.
func (u *Subscriber) rowsAbove(ctx context.Context, target event.Position) (keys []string, to event.Position, err error) {
	type row struct {
		key      string
		position event.Position
	}
	var rows []row
	for rec, err := range u.store.records(ctx, rowsPrefix(u.key), "", 0) {
		if err != nil {
			return nil, 0, err
		}
		_, k, ok := parseRowRecord(rec.Key)
		if !ok {
			return nil, 0, corruptRecord("row", rec.Key, errLength)
		}
		if k.Position > target {
			rows = append(rows, row{rec.Key, k.Position})
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(b.position, a.position) })
	most := u.store.limits.CommitItems
	to = target
	if len(rows) > most {
		// The rows of one event go together: the cut is above the first one that stays.
		to = rows[most].position
		rows = rows[:slices.IndexFunc(rows, func(r row) bool { return r.position == to })]
		if len(rows) == 0 {
			return nil, 0, checkLimit("rows of one event", most+1, most, "rows", "CommitItems")
		}
	}
	for _, r := range rows {
		keys = append(keys, r.key)
	}
	return keys, to, nil
}

// Delete forgets the subscriber: its lease ends, and its checkpoint, wish and rows are
// removed. Terms go on rising, so a worker that held the lease can commit nothing. States
// are deleted by [Store.DeleteStates]. After an error a part may be gone; what is left is
// consistent, and Delete may be called again. When a worker claims it at the same time, the
// claim wins and begins anew, and Delete answers ErrHeld or ErrGuard.
func (u *Subscriber) Delete(ctx context.Context) error {
	if err := u.Rewind(ctx, 0); err != nil {
		return err
	}
	return u.store.swap(ctx, func() (*Txn, error) {
		fenced, ok, err := u.store.get(ctx, u.term)
		if err != nil || !ok {
			return nil, err
		}
		if h, err := u.store.holder(ctx, u.term); err == nil && !h.Worker.IsZero() {
			return nil, &HeldError{Worker: h.Worker, Until: h.Until}
		} else if err != nil && !errors.Is(err, ErrUnsupported) {
			return nil, err
		}
		value, at, err := u.readCheckpoint(ctx)
		if err != nil {
			return nil, err
		}
		if at != 0 || value.term != 0 {
			return nil, &GuardError{Key: u.checkpoint, Expected: 0, Actual: uint64(at)}
		}
		return &Txn{
			Guards:  []Guard{{u.term, fenced.Revision}, {u.checkpoint, 0}},
			Deletes: []string{u.checkpoint, u.wish, u.term},
		}, nil
	})
}

// readCheckpoint returns the stored checkpoint; without one it is 0.
func (u *Subscriber) readCheckpoint(ctx context.Context) (checkpointValue, event.Position, error) {
	rec, ok, err := u.store.get(ctx, u.checkpoint)
	if err != nil || !ok {
		return checkpointValue{}, 0, err
	}
	value, err := decodeCheckpoint(rec.Key, rec.Value)
	return value, event.Position(rec.Revision), err
}
