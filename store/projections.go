package store

import (
	"context"
	"fmt"
	"iter"
)

// Projection returns the row of a projection, or ErrNotFound. The row of a deleted
// projection is still there, with Deleted set, because of its Next. It reads the primary.
func (s *Store) Projection(ctx context.Context, name string) (ProjectionRow, error) {
	if err := s.ready(ctx); err != nil {
		return ProjectionRow{}, err
	}
	if err := checkName("ProjectionRow.Name", name); err != nil {
		return ProjectionRow{}, err
	}
	row, found, err := s.projection(ctx, name)
	if err == nil && !found {
		err = fmt.Errorf("%w: projection %q", ErrNotFound, name)
	}
	return row, err
}

// projection returns a row, or the zero one with found false.
func (c *core) projection(ctx context.Context, name string) (row ProjectionRow, found bool, err error) {
	rec, found, err := c.get(ctx, projectionKey(name))
	if err != nil || !found {
		return ProjectionRow{}, false, err
	}
	row, err = decodeProjection(rec)
	return row, true, err
}

// Projections yields the rows of all projections by name, also of deleted ones. The first
// error is yielded last.
func (s *Store) Projections(ctx context.Context) iter.Seq2[ProjectionRow, error] {
	return func(yield func(ProjectionRow, error) bool) {
		if err := s.ready(ctx); err != nil {
			yield(ProjectionRow{}, err)
			return
		}
		for rec, err := range s.records(ctx, string(rune(spaceProjection)), "", 0) {
			var row ProjectionRow
			if err == nil {
				row, err = decodeProjection(rec)
			}
			if err != nil {
				yield(ProjectionRow{}, err)
				return
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// SaveProjection writes a projection's row if the stored one has row.Revision, 0 for none,
// and returns it with its new revision; else it returns ErrGuard: read it again. It is
// durable.
func (s *Store) SaveProjection(ctx context.Context, row ProjectionRow) (ProjectionRow, error) {
	if err := s.ready(ctx); err != nil {
		return ProjectionRow{}, err
	}
	put, err := s.projectionRecord(&row)
	if err != nil {
		return ProjectionRow{}, err
	}
	if err := s.replace(ctx, put, row.Revision); err != nil {
		return ProjectionRow{}, err
	}
	row.Revision = put.Revision
	return row, nil
}

// DeleteProjection deletes what is known of a projection, but for the number of its next
// generation, so that no number comes twice. It leaves alone states and subscribers: see
// [Store.DeleteStates] and [Subscriber.Delete]. ErrNotFound when there is no such row.
func (s *Store) DeleteProjection(ctx context.Context, name string) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	return s.swap(ctx, func() (*Txn, error) {
		row, err := s.Projection(ctx, name)
		if err != nil || row.Deleted {
			return nil, err
		}
		put, err := s.projectionRecord(&ProjectionRow{Name: name, Next: row.Next, Deleted: true, Revision: row.Revision})
		return &Txn{Guards: []Guard{{put.Key, row.Revision}}, Puts: []Record{put}}, err
	})
}

// projectionRecord checks and encodes a row as the successor of its revision.
func (c *core) projectionRecord(row *ProjectionRow) (Record, error) {
	if err := checkName("ProjectionRow.Name", row.Name); err != nil {
		return Record{}, err
	}
	for i, g := range row.Generations {
		if g.Number >= row.Next {
			return Record{}, &InvalidError{
				Field:  "ProjectionRow.Next",
				Reason: fmt.Sprintf("is %d, but generation %d exists; it must be above all numbers ever used", row.Next, g.Number),
			}
		}
		if g.Revision < 0 {
			return Record{}, &InvalidError{Field: fmt.Sprintf("ProjectionRow.Generations[%d].Revision", i), Reason: "is negative"}
		}
	}
	r := Record{Key: projectionKey(row.Name), Value: encodeProjection(row), Revision: row.Revision + 1}
	if err := checkLimit("ProjectionRow", len(r.Value), c.limits.CommitBytes, "bytes", "CommitBytes"); err != nil {
		return Record{}, err
	}
	return r, c.checkKey("ProjectionRow.Name", r.Key)
}
