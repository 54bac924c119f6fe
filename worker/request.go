package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// request is an operator's wish to skip an event, in the hands of a session.
type request struct {
	row    store.RowKey
	answer chan error // of capacity 1
}

// Retry makes the parked and waiting events of a key due now; "" is all keys. The wish is
// stored, and the worker that holds the lease, this one or another, obeys it: no handler
// runs in the caller. What fails again is set aside as before.
func (w *Worker) Retry(ctx context.Context, key string) error {
	err := w.subscriber.SetWish(ctx, func(wish *store.Wish) error {
		if !slices.Contains(wish.Retry, key) && !slices.Contains(wish.Retry, "") {
			wish.Retry = append(wish.Retry, key)
		}
		return nil
	})
	w.Nudge()
	return err
}

// Skip leaves out an event for a key, for good: in this generation by a row that says so,
// and in every later one by the projection's row, when it has one. An event that is not set
// aside can be skipped too, if it is still to come: that is the way past an event that
// halted the projection. Skip returns when that is durable. Errors: ErrInvalid without a
// position, store.ErrNotFound when the event was handled already, *StateError when another
// worker holds the lease.
func (w *Worker) Skip(ctx context.Context, key string, position event.Position) error {
	if position == 0 {
		return &store.InvalidError{Field: "position", Reason: "is 0; name the event to skip"}
	}
	r := &request{row: store.RowKey{Key: key, Position: position}, answer: make(chan error, 1)}
	w.mu.Lock()
	serving := w.serving
	if serving {
		w.requests = append(w.requests, r)
	}
	w.mu.Unlock()
	if !serving {
		return w.skipIdle(ctx, r.row)
	}
	w.Nudge()
	select {
	case err := <-r.answer:
		if _, gone := errors.AsType[*StateError](err); gone {
			return w.skipIdle(ctx, r.row) // the session ended before it saw the request
		}
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// skipIdle skips while no session runs: the lease is taken for a moment.
func (w *Worker) skipIdle(ctx context.Context, k store.RowKey) (err error) {
	lease, err := w.subscriber.Claim(ctx, event.NewID(), w.config.LeaseTTL)
	if errors.Is(err, store.ErrHeld) {
		return &StateError{Key: w.config.Key, State: Standby, Err: err}
	}
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, lease.Release(context.WithoutCancel(ctx)))
	}()
	row, found, err := w.storedRow(ctx, k)
	if err != nil {
		return err
	}
	if !found && k.Position <= lease.Checkpoint() {
		return notSetAside(k)
	}
	if err := w.keepSkip(ctx, k); err != nil || !found || row.State == store.Skipped {
		return err
	}
	row.State, row.Due, row.Updated = store.Skipped, time.Time{}, time.Now()
	_, err = lease.Commit(ctx, store.Commit{From: lease.Checkpoint(), To: lease.Checkpoint(), Rows: []store.Row{row}, InHand: lease.InHand()})
	return err
}

func notSetAside(k store.RowKey) error {
	return fmt.Errorf("%w: position %d of key %q is not set aside; it was handled", store.ErrNotFound, k.Position, k.Key)
}

func (w *Worker) storedRow(ctx context.Context, k store.RowKey) (store.Row, bool, error) {
	for row, err := range w.subscriber.KeyRows(ctx, k.Key) {
		if err != nil || row.Position == k.Position {
			return row, err == nil, err
		}
	}
	return store.Row{}, false, nil
}

// decided returns what operators have skipped by now: some of it perhaps since this worker
// was made, while another one, or nobody, held the lease.
func (w *Worker) decided(ctx context.Context) ([]store.RowKey, error) {
	row, err := w.store.Projection(ctx, w.config.Key.Projection)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil // the worker runs on its own
	}
	keys := make([]store.RowKey, 0, len(row.Skips))
	for _, s := range row.Skips {
		keys = append(keys, store.RowKey(s))
	}
	return keys, err
}

// keepSkip makes the skip count in later generations, and in this worker.
func (w *Worker) keepSkip(ctx context.Context, k store.RowKey) error {
	for {
		row, err := w.store.Projection(ctx, w.config.Key.Projection)
		if errors.Is(err, store.ErrNotFound) {
			break // the worker runs on its own
		}
		if err != nil {
			return err
		}
		if slices.Contains(row.Skips, store.Skip(k)) {
			break
		}
		row.Skips = append(row.Skips, store.Skip(k))
		if _, err = w.store.SaveProjection(ctx, row); err == nil {
			break
		}
		if !errors.Is(err, store.ErrGuard) {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.skips.add(k)
	return nil
}

// takeRequests returns what operators asked since the last call.
func (w *Worker) takeRequests() []*request {
	w.mu.Lock()
	defer w.mu.Unlock()
	rs := w.requests
	w.requests = nil
	return rs
}

// serve opens and closes the ear for requests. Those that came too late are answered.
func (w *Worker) serve(on bool) {
	w.mu.Lock()
	w.serving = on
	w.mu.Unlock()
	if !on {
		w.failRequests(w.Status().State, nil)
	}
}

func (w *Worker) failRequests(st State, cause error) {
	for _, r := range w.takeRequests() {
		r.answer <- &StateError{Key: w.config.Key, State: st, Err: cause}
	}
}
