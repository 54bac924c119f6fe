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

// Backup copies the store, while it is in use, into a directory that does not exist or is
// empty. ErrUnsupported when the driver is no [Maintainer].
func (s *Store) Backup(ctx context.Context, dir string) error {
	return s.maintain(ctx, "backup", func(ctx context.Context, m Maintainer) error {
		return m.Backup(ctx, dir)
	})
}

// Verify checks the whole store while it is in use, and returns all damage that it
// found. progress may be nil; it is called now and then, from one goroutine. It must not
// close the Store. ErrUnsupported when the driver is no [Maintainer].
func (s *Store) Verify(ctx context.Context, progress func(done, total uint64)) error {
	if progress == nil {
		progress = func(uint64, uint64) {}
	}
	return s.maintain(ctx, "verify", func(ctx context.Context, m Maintainer) error {
		return m.Verify(ctx, progress)
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
