package store

import "context"

// Sync makes everything durable that was applied so far, also lazy commits. ErrUnsupported
// when the driver is no [Syncer].
func (s *Store) Sync(ctx context.Context) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	syncer, ok := s.driver.(Syncer)
	if !ok {
		return ErrUnsupported
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.gate.leave()
	return wrap("sync", syncer.Sync(ctx))
}

// Backup copies the store, while it is in use, into a directory that does not exist yet.
// ErrUnsupported when the driver is no [Maintainer].
func (s *Store) Backup(ctx context.Context, dir string) error {
	return s.maintain(ctx, "backup", func(ctx context.Context, m Maintainer) error {
		return m.Backup(ctx, dir)
	})
}

// maintain runs a long job, which Close ends.
func (c *core) maintain(ctx context.Context, op string, job func(context.Context, Maintainer) error) error {
	if err := c.ready(ctx); err != nil {
		return err
	}
	m, ok := c.driver.(Maintainer)
	if !ok {
		return ErrUnsupported
	}
	ctx, cancel := c.patient(ctx)
	defer cancel()
	if err := c.enter(ctx); err != nil {
		return c.ended(ctx, op, err)
	}
	defer c.gate.leave()
	return c.ended(ctx, op, job(ctx, m))
}
