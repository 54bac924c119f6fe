package store

import (
	"context"
	"errors"

	"github.com/riffle-go/riffle/internal/handling"
)

// Append appends the events of every batch, to different streams, all or nothing. When it
// returns nil they are durable and readable.
//
// It may be repeated: an append whose events were made with event.Of and that expects
// NoStream or Exact, or says Once, returns the first Result again with Replayed set, also
// after a restart. Where a driver cannot tell what became of an append, Append finds out
// that way before it answers.
//
// Errors: ErrInvalid (nothing was tried), *ConflictError (errors.Is ErrConflict) when a
// stream is not at the expected version, *IDReusedError when some but not all of its ids
// are stored, ErrDiskFull, ErrFailed and ErrUnknown. After the last two, and when ctx ends
// while events are written, the outcome may be either: repeat the same append.
func (s *Store) Append(ctx context.Context, batches ...Batch) (Result, error) {
	if err := s.ready(ctx); err != nil {
		return Result{}, err
	}
	if h := handling.From(ctx); h != nil && !h.Appends {
		return Result{}, &InvalidError{Field: "ctx", Reason: "belongs to a handler of projection " + h.Projection + ", whose work is repeated after a crash and in a rebuild; append from an effect"}
	}
	aggregate, events := "", 0
	if len(batches) > 0 {
		aggregate = string(batches[0].Stream.Aggregate)
	}
	for i := range batches {
		events += len(batches[i].Events)
	}
	ctx, span := s.meter.StartAppend(ctx, aggregate, len(batches), events)
	res, err := s.append(ctx, batches, events, span.Traceparent())
	span.End(err)
	return res, err
}

func (s *Store) append(ctx context.Context, batches []Batch, events int, traceparent string) (Result, error) {
	enc := encoder{core: s.core, ctx: ctx, traceparent: traceparent, path: "Batch"}
	w, err := enc.encode(batches, events)
	if err != nil {
		return Result{}, err
	}
	if err := s.turns.wait(ctx, w.txn.Appends); err != nil {
		return Result{}, err
	}
	return s.write(ctx, &w.txn)
}

// write commits appends, and finds out what a refusal or an unknown outcome means.
func (s *Store) write(ctx context.Context, txn *Txn) (Result, error) {
	s.appending.Add(1)
	res, err := s.commit(ctx, txn)
	s.appending.Add(-1)
	switch {
	case err == nil:
		return res, nil
	case errors.Is(err, ErrUnknown):
		return s.settle(ctx, txn, err)
	}
	return s.refused(ctx, txn, err)
}

// Appending says whether an Append through this Store waits for its commit right now. Who has
// much to commit makes shorter commits of it then, since they share the way to the disk.
func (s *Store) Appending() bool { return s.appending.Load() > 0 }
