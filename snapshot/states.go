package snapshot

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// States are the live states of one model under one lease. They belong to one goroutine.
type States struct {
	config  Config
	entries map[string]*entry
	changed []*entry // in the order of their first change
	flying  []*entry // in the commit under way
	cutting bool     // a commit is under way
	clean   *list.List

	bytes        int64 // of all entries
	cleanBytes   int64
	changedBytes int64 // estimated encodings of the changed ones
}

// NewStates makes States without any state.
func NewStates(c Config) (*States, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	if c.Limit == 0 {
		c.Limit = DefaultLimit
	}
	s := &States{config: c, clean: list.New()}
	s.Reset()
	return s, nil
}

// Reset forgets every state: after a failed commit, and under a new lease.
func (s *States) Reset() {
	s.entries = make(map[string]*entry)
	s.changed, s.flying, s.cutting = nil, nil, false
	s.clean.Init()
	s.bytes, s.cleanBytes, s.changedBytes = 0, 0, 0
}

// Len returns how many states are live, and the estimate of their memory in bytes.
func (s *States) Len() (states int, bytes int64) { return len(s.entries), s.bytes }

// Changed returns how many states the next Cut will hold, and an estimate of the bytes of
// their keys and encodings.
func (s *States) Changed() (states int, bytes int64) { return len(s.changed), s.changedBytes }

// ErrFoldedBefore says that an event was folded into a state that has it already. It is a
// mistake of the runtime, and going on would count something twice.
var ErrFoldedBefore = errors.New("snapshot: the state has this event already")

// Fold folds an event into the state of a key. An error of the fold is returned as it is;
// the state then is as if the event had never come. After a panic that the caller
// recovers, the same holds.
func (s *States) Fold(ctx context.Context, key string, ev event.Event) error {
	e, err := s.live(ctx, key)
	if err != nil {
		return err
	}
	if ev.Position <= e.position {
		return fmt.Errorf("%w: key %q is at position %d, the event at %d", ErrFoldedBefore, key, e.position, ev.Position)
	}
	if err := s.apply(e, ev); err != nil {
		return err
	}
	e.since = append(e.since, ev.Position)
	s.markChanged(e)
	e.encoded += len(ev.Data) // states grow by what is folded into them, at the most
	s.changedBytes += int64(len(ev.Data))
	s.weigh(e)
	return nil
}

// apply runs the fold. Whatever way it leaves, the entry is spoilt unless it returned nil.
func (s *States) apply(e *entry, ev event.Event) error {
	if e.state == nil {
		e.state = s.config.New()
	}
	e.spoilt = true
	deleted, err := s.config.Fold(e.state, e.key, ev)
	if err != nil {
		return err
	}
	e.spoilt = false
	if deleted {
		e.state, e.encoded = nil, 0
	}
	e.position = ev.Position
	if s.config.PerStream {
		e.version = ev.Version
	}
	return nil
}

// Unfold takes an event back from every state that it was folded into last. What a Cut holds of
// an event must be all of it: call Unfold when some of its keys have it, and others cannot have
// it now.
func (s *States) Unfold(at event.Position) {
	for _, e := range s.changed {
		if n := len(e.since) - 1; n >= 0 && e.since[n] == at {
			e.since, e.spoilt = e.since[:n], true
		}
	}
}

// View returns the state of a key, nil when there is none. The caller must not change it,
// nor use it after the next Fold.
func (s *States) View(ctx context.Context, key string) (any, error) {
	e, err := s.live(ctx, key)
	if err != nil {
		return nil, err
	}
	return e.state, nil
}

// live returns the entry of a key, loaded or built again if need be.
func (s *States) live(ctx context.Context, key string) (*entry, error) {
	e, ok := s.entries[key]
	if ok && !e.spoilt {
		if e.clean != nil {
			s.clean.MoveToFront(e.clean)
		}
		return e, nil
	}
	if ok {
		err := s.rebuild(ctx, e)
		return e, err
	}
	e = &entry{key: strings.Clone(key)} // it may be a part of something large, such as a page
	if err := s.toBase(ctx, e); err != nil {
		return nil, err
	}
	s.entries[e.key] = e
	e.weight = e.estimate(s.config.Size)
	s.bytes += e.weight
	s.pushClean(e)
	s.evict(e)
	return e, nil
}

// toBase makes the entry what its base is.
func (s *States) toBase(ctx context.Context, e *entry) error {
	var sn store.Snapshot
	switch {
	case e.base == nil:
		var err error
		sn, err = s.config.Load(ctx, e.key)
		if errors.Is(err, store.ErrNotFound) {
			e.empty(0, 0)
			return nil
		}
		if err != nil {
			return err
		}
	case e.base.removed:
		e.empty(e.base.snapshot.Position, e.base.snapshot.Version)
		return nil
	default:
		sn = e.base.snapshot
	}
	state, err := s.config.Decode(sn)
	if err != nil {
		return err
	}
	e.state, e.position, e.version, e.encoded = state, sn.Position, sn.Version, len(sn.State)
	return nil
}

func (e *entry) empty(at event.Position, version uint64) {
	e.state, e.position, e.version, e.encoded = nil, at, version, 0
}

// rebuild undoes a fold that failed.
func (s *States) rebuild(ctx context.Context, e *entry) error {
	err := s.refold(ctx, e)
	e.spoilt = err != nil // a panic leaves it spoilt: apply saw to that
	s.weigh(e)
	return err
}

func (s *States) refold(ctx context.Context, e *entry) error {
	if err := s.toBase(ctx, e); err != nil {
		return err
	}
	for _, at := range e.since {
		if err := s.again(ctx, e, at); err != nil {
			return err
		}
	}
	return nil
}

// again folds an event that was folded before.
func (s *States) again(ctx context.Context, e *entry, at event.Position) error {
	ev, err := s.config.Event(ctx, at)
	if err != nil {
		return err
	}
	if err := s.apply(e, ev); err != nil {
		return fmt.Errorf("snapshot: the fold of position %d into key %q succeeded before, now it fails; folds must depend on state and event alone: %w", at, e.key, err)
	}
	e.encoded += len(ev.Data)
	return nil
}

// weigh brings the sums up to date.
func (s *States) weigh(e *entry) {
	w := e.estimate(s.config.Size)
	s.bytes += w - e.weight
	if e.clean != nil {
		s.cleanBytes += w - e.weight
	}
	e.weight = w
}

func (s *States) markChanged(e *entry) {
	if e.changed {
		return
	}
	e.changed = true
	s.changed = append(s.changed, e)
	s.changedBytes += int64(len(e.key) + e.encoded)
	s.popClean(e)
}

func (s *States) pushClean(e *entry) {
	e.clean = s.clean.PushFront(e)
	s.cleanBytes += e.weight
}

func (s *States) popClean(e *entry) {
	if e.clean == nil {
		return
	}
	s.clean.Remove(e.clean)
	e.clean = nil
	s.cleanBytes -= e.weight
}

// evict drops the clean states that were not used for longest, but not the one in use.
func (s *States) evict(inUse *entry) {
	for s.cleanBytes > s.config.Limit && s.clean.Len() > 0 {
		oldest := s.clean.Back().Value.(*entry)
		if oldest == inUse {
			return
		}
		s.popClean(oldest)
		delete(s.entries, oldest.key)
		s.bytes -= oldest.weight
	}
}
