package snapshot

import (
	"context"
	"errors"
	"slices"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// Cut is what changed since the last one: for store.Commit.
type Cut struct {
	Save   []store.Snapshot
	Remove []string
	Bytes  int // of keys and encodings
	_      struct{}
}

// Items is how many states the Cut holds.
func (c Cut) Items() int { return len(c.Save) + len(c.Remove) }

var errUnderWay = errors.New("snapshot: Cut while a commit is under way; call Committed or Reset first")

// Cut encodes what changed since the last Cut. Folding may go on while the Cut is being
// committed; call Committed when that succeeded, Reset when it failed.
//
// The first state that cannot be encoded is an [*EncodeError]; then nothing was cut. Settle
// that key, and cut again.
func (s *States) Cut(ctx context.Context) (Cut, error) {
	if s.cutting {
		return Cut{}, errUnderWay
	}
	var out Cut
	cuts := make([]*cut, len(s.changed))
	for i, e := range s.changed {
		if e.spoilt { // the last fold failed, earlier ones count
			if err := s.rebuild(ctx, e); err != nil {
				return Cut{}, err
			}
		}
		c, err := s.encode(e)
		if err != nil {
			return Cut{}, err
		}
		cuts[i] = c
		out.Bytes += len(e.key) + len(c.snapshot.State)
		if c.removed {
			out.Remove = append(out.Remove, e.key)
		} else {
			out.Save = append(out.Save, c.snapshot)
		}
	}
	for i, e := range s.changed {
		e.base, e.since, e.changed = cuts[i], nil, false
		e.encoded = len(cuts[i].snapshot.State)
		s.weigh(e)
	}
	s.flying, s.changed, s.changedBytes, s.cutting = s.changed, nil, 0, true
	return out, nil
}

func (s *States) encode(e *entry) (*cut, error) {
	c := &cut{snapshot: store.Snapshot{
		Key:      store.SnapshotKey{Projection: s.config.Projection, Generation: s.config.Generation, Key: e.key},
		Revision: s.config.Revision, Version: e.version, Position: e.position,
	}}
	if e.state == nil {
		c.removed = true
		return c, nil
	}
	var err error
	c.snapshot.State, c.snapshot.ContentType, err = s.config.Encode(e.state)
	if err != nil {
		if _, ok := errors.AsType[*EncodeError](err); !ok {
			err = &EncodeError{Key: e.key, Err: err}
		}
		return nil, err
	}
	return c, nil
}

// Committed says that the last Cut is in the store.
func (s *States) Committed() {
	for _, e := range s.flying {
		e.base = nil
		s.weigh(e)
		if !e.changed {
			s.pushClean(e)
		}
	}
	s.flying, s.cutting = nil, false
	s.evict(nil)
}

// Settled is what Settle found.
type Settled struct {
	Culprit event.Position   // after which the state could not be encoded
	Err     error            // why
	Behind  []event.Position // folded after the culprit, and now no more
	_       struct{}
}

// Settle finds the event that made the state of a key impossible to encode: it folds the
// events since the last Cut once more, one by one, with an encoding after each. The state
// stays as it was before the culprit; the culprit and what is behind it are undone.
func (s *States) Settle(ctx context.Context, key string) (Settled, error) {
	e, ok := s.entries[key]
	if !ok {
		return Settled{}, nil
	}
	found, err := s.encodeEach(ctx, e)
	e.spoilt = true // whatever was found, what comes next is built from the base
	if err != nil || found.Culprit == 0 {
		return Settled{}, errors.Join(err, s.rebuild(ctx, e))
	}
	e.since = slices.DeleteFunc(e.since, func(at event.Position) bool { return at >= found.Culprit })
	return found, s.rebuild(ctx, e)
}

func (s *States) encodeEach(ctx context.Context, e *entry) (Settled, error) {
	if err := s.toBase(ctx, e); err != nil {
		return Settled{}, err
	}
	for i, at := range e.since {
		if err := s.again(ctx, e, at); err != nil {
			return Settled{}, err
		}
		if _, err := s.encode(e); err != nil {
			return Settled{Culprit: at, Err: err, Behind: slices.Clone(e.since[i+1:])}, nil
		}
	}
	return Settled{}, nil
}
