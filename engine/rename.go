package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// moveRow takes over what the store has under the program's former name: checkpoint,
// states and rows of the active generation, then the projection's row, then it deletes the
// old. A crash in between begins the move again, since the new row is written when all it
// speaks of is there. mine is what is left of a deleted projection of the new name.
//
// found is false when there is nothing under the former name.
func (s *supervisor) moveRow(ctx context.Context, mine store.ProjectionRow) (row store.ProjectionRow, found bool, err error) {
	old, err := s.store.Projection(ctx, s.program.RenamedFrom)
	switch {
	case errors.Is(err, store.ErrNotFound) || err == nil && old.Deleted:
		return store.ProjectionRow{}, false, nil
	case err != nil:
		return store.ProjectionRow{}, false, err
	case old.Kind != s.program.Kind.String():
		return store.ProjectionRow{}, false, &store.InvalidError{
			Field:  fmt.Sprintf("Projections: RenamedFrom of %q", s.name),
			Reason: fmt.Sprintf("is %q, which the store knows as %s", old.Name, article(old.Kind)),
		}
	}
	row = store.ProjectionRow{
		Name: s.name, Kind: old.Kind, Active: mine.Next, Next: mine.Next + 1, Start: old.Start,
		Skips: old.Skips, CreatedAt: old.CreatedAt, SwitchedAt: old.SwitchedAt, Revision: mine.Revision,
	}
	for _, g := range old.Generations {
		if g.Number == old.Active {
			g.Number = row.Active
			row.Generations = []store.Generation{g}
		}
	}
	from, wanted := store.SubscriberKey{Projection: old.Name, Generation: old.Active}, row
	for range maxMoves {
		m := move{store: s.store, from: from, to: s.key(wanted.Active), most: s.store.Limits()}
		if row, err = m.run(ctx, s.engine.config, wanted); !errors.Is(err, store.ErrLeaseLost) {
			break // else an operator, or whoever deletes what has been moved, took one
		}
	}
	if err != nil {
		return store.ProjectionRow{}, false, fmt.Errorf("rename from %q: %w", old.Name, err)
	}
	s.logger.InfoContext(ctx, "moved the projection from its former name", "from", old.Name)
	if err := deleteProjection(ctx, s.store, old); err != nil {
		s.logger.WarnContext(ctx, "could not delete all of the projection's former name", "from", old.Name, "error", err)
	}
	return row, true, nil
}

// maxMoves is how often a move begins that loses a lease.
const maxMoves = 5

// lookForRow is how often who waits for another's move looks whether it is done.
const lookForRow = 100 * time.Millisecond

// move copies one subscriber with its states to another key.
type move struct {
	store    *store.Store
	from, to store.SubscriberKey
	most     store.Limits

	lease *store.Lease
	at    event.Position // the checkpoint of the new key
	goal  event.Position // that of the old one
	next  store.Commit
	size  int
}

// run copies, and then saves the row of the new name. It holds both leases, so that nobody
// works on either. That of the new key comes first, and is not taken by force: of several
// engines that move, one does, and the others wait for it, however long that takes.
func (m *move) run(ctx context.Context, c Config, row store.ProjectionRow) (_ store.ProjectionRow, err error) {
	there, found, err := m.first(ctx, c, row.Name)
	if err != nil || found {
		return there, err
	}
	defer func() { err = errors.Join(err, released(ctx, m.lease)) }()
	err = keeping(ctx, m.store, c.LeaseTTL, m.lease, func(ctx context.Context) (err error) {
		old, err := m.store.Subscriber(m.from).Takeover(ctx, event.NewID(), c.LeaseTTL, c.ShutdownTimeout)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, released(ctx, old)) }()
		return keeping(ctx, m.store, c.LeaseTTL, old, func(ctx context.Context) (err error) {
			if err := m.copy(ctx, old); err != nil {
				return err
			}
			row, err = m.store.SaveProjection(ctx, row)
			return err
		})
	})
	return row, err
}

// first claims the lease of the new key. Whoever holds it moves too, or has moved and is at
// work: then found says that the row is there.
func (m *move) first(ctx context.Context, c Config, name string) (row store.ProjectionRow, found bool, err error) {
	u := m.store.Subscriber(m.to)
	for {
		m.lease, err = u.Claim(ctx, event.NewID(), c.LeaseTTL)
		held := errors.Is(err, store.ErrHeld)
		if err != nil && !held {
			return row, false, err
		}
		row, err = m.store.Projection(ctx, name)
		found = err == nil && !row.Deleted
		if errors.Is(err, store.ErrNotFound) {
			err = nil
		}
		switch {
		case !held && (found || err != nil):
			return row, found, errors.Join(err, released(ctx, m.lease))
		case !held || found || err != nil:
			return row, found, err
		}
		// The lease may never be free: who has moved goes on to work under it.
		look, stop := context.WithTimeout(ctx, lookForRow)
		err = u.WaitFree(look)
		stop()
		if err != nil && (ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded)) {
			return row, false, err
		}
	}
}

func (m *move) copy(ctx context.Context, old *store.Lease) error {
	m.at, m.goal = m.lease.Checkpoint(), old.Checkpoint()
	if m.at > m.goal {
		return fmt.Errorf("the new name is at position %d already, beyond the old one at %d", m.at, m.goal)
	}
	wish, err := m.store.Subscriber(m.from).Wish(ctx)
	if err != nil {
		return err
	}
	if wish.Paused != "" || wish.Halted != "" {
		err := m.store.Subscriber(m.to).SetWish(ctx, func(w *store.Wish) error {
			w.Paused, w.Halted = wish.Paused, wish.Halted
			return nil
		})
		if err != nil {
			return err
		}
	}
	info, err := m.store.Subscriber(m.from).Info(ctx)
	if err != nil || info.CreatedAt.IsZero() {
		return err // nothing was ever committed: a checkpoint of 0 would not be the start
	}
	for sn, err := range m.store.States(ctx, m.from.Projection, m.from.Generation, store.Range{}) {
		if err != nil {
			return err
		}
		if err := m.room(ctx, old, len(sn.State)+len(sn.Key.Key)); err != nil {
			return err
		}
		sn.Key.Projection, sn.Key.Generation = m.to.Projection, m.to.Generation
		m.next.Save = append(m.next.Save, sn)
	}
	for row, err := range m.store.Subscriber(m.from).Rows(ctx, store.Range{}) {
		if err != nil {
			return err
		}
		if err := m.room(ctx, old, len(row.Key)+len(row.First)+len(row.Last)); err != nil {
			return err
		}
		m.next.Rows = append(m.next.Rows, row)
	}
	return m.commit(ctx, old)
}

// shortBytes bounds a commit, so that appends do not wait long for it.
const shortBytes = 1 << 20

// overhead is what a state or a row has besides its bytes, at most.
const overhead = 512

// room commits what has gathered when another item would exceed a limit.
func (m *move) room(ctx context.Context, old *store.Lease, bytes int) error {
	items := len(m.next.Save) + len(m.next.Rows)
	if items > 0 && (items+1 > m.most.CommitItems || m.size+bytes+overhead > min(m.most.CommitBytes, shortBytes)) {
		if err := m.commit(ctx, old); err != nil {
			return err
		}
	}
	m.size += bytes + overhead
	return nil
}

// commit also keeps the leases, which may run out while much is copied.
func (m *move) commit(ctx context.Context, old *store.Lease) error {
	m.next.From, m.next.To = m.at, m.goal
	if _, err := m.lease.Commit(ctx, m.next); err != nil {
		return err
	}
	m.at, m.next, m.size = m.goal, store.Commit{}, 0
	return errors.Join(m.store.Renew(ctx, []*store.Lease{old, m.lease})...)
}

// released takes a lease that was lost meanwhile for released.
func released(ctx context.Context, l *store.Lease) error {
	err := l.Release(context.WithoutCancel(ctx))
	if errors.Is(err, store.ErrLeaseLost) {
		return nil
	}
	return err
}
