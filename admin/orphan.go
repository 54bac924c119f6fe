package admin

import (
	"context"
	"errors"
	"slices"

	"github.com/riffle-go/riffle/store"
)

// runOrphaned acts on a projection that is stored but not of this program, as far as its
// records are enough for that: the program that has its code obeys when it runs.
func (h *Handler) runOrphaned(ctx context.Context, in actionInput) error {
	row, err := h.store.Projection(ctx, in.Projection)
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrInvalid), err == nil && row.Deleted:
		return unknown(in.Projection)
	case err != nil:
		return err
	}
	switch in.Verb {
	case VerbSkip, VerbRewind, VerbRebuild:
		return needsCode(in.Projection, in.Verb+" it")
	}
	for _, g := range row.Generations {
		if g.State == store.Retired {
			continue
		}
		if err := actOn(ctx, h.store.Subscriber(store.SubscriberKey{Projection: in.Projection, Generation: g.Number}), in); err != nil {
			return err
		}
	}
	return nil
}

func actOn(ctx context.Context, u *store.Subscriber, in actionInput) error {
	if in.Verb == VerbRelease {
		return u.ReleaseLease(ctx)
	}
	return u.SetWish(ctx, func(w *store.Wish) error {
		switch in.Verb {
		case VerbPause:
			w.Paused = in.Reason
		case VerbResume:
			w.Paused, w.Halted = "", ""
		case VerbRetry:
			if !slices.Contains(w.Retry, in.Key) {
				w.Retry = append(w.Retry, in.Key)
			}
		}
		return nil
	})
}
