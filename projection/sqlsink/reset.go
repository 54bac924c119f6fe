package sqlsink

import (
	"context"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
)

// resetter is a target that can go back.
type resetter struct{ *target }

// Reset implements [projection.Resetter]. A target that is not as far as to does not move: a
// reset never skips events.
func (r resetter) Reset(ctx context.Context, s projection.Session, to event.Position) error {
	p := page{target: r.target, session: s}
	tx, err := r.db.BeginTx(ctx, nil)
	if err != nil {
		return r.failed("begin", err)
	}
	defer func() { _ = tx.Rollback() }()
	if p.from, _, err = p.row(ctx, tx); err != nil {
		return err
	}
	p.to = min(p.from, to)
	if err := r.reset(ctx, tx, to); err != nil {
		return r.ended(ctx, err, "go back")
	}
	if _, err := r.exec(ctx, tx, dropLate, s.History.String(), s.Key.Projection, int64(to)); err != nil {
		return r.ended(ctx, err, "go back")
	}
	return p.finish(ctx, tx)
}
