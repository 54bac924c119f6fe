package store

import (
	"context"
	"fmt"
	"iter"
)

// State returns the committed state of a model's key, or ErrNotFound. It reads the
// primary.
func (s *Store) State(ctx context.Context, k SnapshotKey) (Snapshot, error) {
	return s.snapshotAt(ctx, spaceState, k)
}

// States yields the states of a generation of a model by key, in byte order, as they are
// when their page is read: a commit during the loop may be seen in part. The first error is
// yielded last.
func (s *Store) States(ctx context.Context, projection string, generation uint32, r Range) iter.Seq2[Snapshot, error] {
	return func(yield func(Snapshot, error) bool) {
		if err := s.eachState(ctx, projection, generation, r, yield); err != nil {
			yield(Snapshot{}, err)
		}
	}
}

func (s *Store) eachState(ctx context.Context, projection string, generation uint32, r Range, yield func(Snapshot, error) bool) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	if err := checkName("Projection", projection); err != nil {
		return err
	}
	if err := checkRange(r); err != nil {
		return err
	}
	prefix, after := narrow(statesPrefix(projection, generation), r, "")
	for rec, err := range s.records(ctx, prefix, after, r.Limit) {
		if err != nil {
			return err
		}
		sn, err := decodeSnapshot(rec)
		if err != nil {
			return err
		}
		if !yield(sn, nil) {
			return nil
		}
	}
	return nil
}

// DeleteStates deletes all states of a generation, a part at a time: after an error some
// are left, and it may be called again. The active generation of a projection that is not
// deleted is refused with ErrInvalid; if it becomes active meanwhile, with ErrGuard.
func (s *Store) DeleteStates(ctx context.Context, projection string, generation uint32) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	if err := checkName("Projection", projection); err != nil {
		return err
	}
	row, found, err := s.projection(ctx, projection)
	if err != nil {
		return err
	}
	if found && !row.Deleted && row.Active == generation {
		return &InvalidError{
			Field:  "Generation",
			Reason: fmt.Sprintf("%d is the active one of projection %q; delete the projection or activate another first", generation, projection),
		}
	}
	guard := Guard{Key: projectionKey(projection), Revision: row.Revision}
	return s.deleteAll(ctx, statesPrefix(projection, generation), guard)
}

// Snapshot returns a snapshot of a fold on demand, or ErrNotFound.
func (s *Store) Snapshot(ctx context.Context, k SnapshotKey) (Snapshot, error) {
	return s.snapshotAt(ctx, spaceSnapshot, k)
}

// SaveSnapshot keeps a snapshot of a fold on demand, unless a newer one, of a higher
// Position, is kept already: then it does nothing. Snapshots are a cache: they become
// durable a little later.
func (s *Store) SaveSnapshot(ctx context.Context, sn Snapshot) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	put, err := s.snapshotRecord(spaceSnapshot, &sn)
	if err != nil {
		return err
	}
	head, err := s.head(ctx, s.driver)
	if err != nil {
		return err
	}
	if sn.Position > head.Position {
		return &InvalidError{Field: "Snapshot.Position", Reason: fmt.Sprintf("is %d, beyond the head %d", sn.Position, head.Position)}
	}
	return s.swap(ctx, func() (*Txn, error) {
		old, _, err := s.get(ctx, put.Key)
		if err != nil || old.Revision > put.Revision {
			return nil, err
		}
		return &Txn{Guards: []Guard{{put.Key, old.Revision}}, Puts: []Record{put}, NoSync: true}, nil
	})
}

// DeleteSnapshots deletes all snapshots of folds on demand of a projection.
func (s *Store) DeleteSnapshots(ctx context.Context, projection string) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	if err := checkName("Projection", projection); err != nil {
		return err
	}
	return s.deleteAll(ctx, snapshotsPrefix(projection))
}

func (s *Store) snapshotAt(ctx context.Context, space byte, k SnapshotKey) (Snapshot, error) {
	if err := s.ready(ctx); err != nil {
		return Snapshot{}, err
	}
	if err := checkSnapshotKey(k); err != nil {
		return Snapshot{}, err
	}
	rec, ok, err := s.get(ctx, stateRecord(space, k))
	switch {
	case err != nil:
		return Snapshot{}, err
	case !ok:
		return Snapshot{}, fmt.Errorf("%w: state %q of %s, generation %d", ErrNotFound, k.Key, k.Projection, k.Generation)
	}
	return decodeSnapshot(rec)
}

// snapshotRecord checks and encodes a state; the revision of its record is its position.
func (c *core) snapshotRecord(space byte, sn *Snapshot) (Record, error) {
	if err := checkSnapshotKey(sn.Key); err != nil {
		return Record{}, err
	}
	if sn.Revision < 0 {
		return Record{}, &InvalidError{Field: "Snapshot.Revision", Reason: "is negative"}
	}
	if err := checkName("Snapshot.ContentType", sn.ContentType); sn.ContentType != "" && err != nil {
		return Record{}, err
	}
	if err := checkLimit("Snapshot.State", len(sn.State), c.limits.StateBytes, "bytes", "StateBytes"); err != nil {
		return Record{}, err
	}
	r := Record{Key: stateRecord(space, sn.Key), Value: encodeSnapshot(sn), Revision: uint64(sn.Position)}
	return r, c.checkKey("Snapshot.Key", r.Key)
}

func checkSnapshotKey(k SnapshotKey) error {
	if err := checkName("Projection", k.Projection); err != nil {
		return err
	}
	return checkKeyText("Key", k.Key)
}
