package projection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/handling"
	"github.com/riffle-go/riffle/store"
)

// maxDecisions bounds how often Decide tries against other writers of the stream.
const maxDecisions = 16

// Decide loads the state of a stream, lets decide say what happens, and appends that, on
// condition that the stream has not changed meanwhile; if it has, all of it is done again,
// at most 16 times, after short random pauses. decide must therefore do nothing but
// decide. It may return no events: then nothing is appended, and the Result has the
// position and version that were decided on.
//
// Errors: what decide returned, as it is; [*FoldError]; the last store.ConflictError when
// other writers always came first; and what Load and Append return. In a handler Decide is
// refused: there Load, and Emit what the State's Batch makes, so that it happens once.
func (m *Model[S]) Decide(ctx context.Context, st *store.Store, s event.Stream, decide func(State[S]) ([]event.Payload, error)) (store.Result, error) {
	if h := handling.From(ctx); h != nil {
		return store.Result{}, &store.InvalidError{Field: "Decide", Reason: fmt.Sprintf("does not work in a handler (of %s): it would append again when the handler is repeated; use Load, and projection.Emit with the State's Batch", h.Projection)}
	}
	if decide == nil {
		return store.Result{}, &store.InvalidError{Field: "Decide", Reason: "has no function"}
	}
	pauses := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(time.Millisecond),
		backoff.WithMaxInterval(100*time.Millisecond),
		backoff.WithMaxElapsedTime(0))
	return backoff.RetryWithData(func() (store.Result, error) {
		return m.decideOnce(ctx, st, s, decide)
	}, backoff.WithContext(backoff.WithMaxRetries(pauses, maxDecisions-1), ctx))
}

// decideOnce wraps every error but a conflict of its own append as permanent.
func (m *Model[S]) decideOnce(ctx context.Context, st *store.Store, s event.Stream, decide func(State[S]) ([]event.Payload, error)) (store.Result, error) {
	state, err := m.Load(ctx, st, s)
	if err != nil {
		return store.Result{}, backoff.Permanent(err)
	}
	events, err := decide(state)
	if err != nil {
		return store.Result{}, backoff.Permanent(err)
	}
	if len(events) == 0 {
		return store.Result{Position: state.Position, Version: state.Version}, nil
	}
	res, err := st.Append(ctx, state.Batch(events...))
	if err != nil && !errors.Is(err, store.ErrConflict) {
		err = backoff.Permanent(err)
	}
	return res, err
}
