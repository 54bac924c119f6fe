package worker

import (
	"errors"
	"maps"
	"sync/atomic"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// skips are the events that nobody handles again, per key. Handlers read it while an
// operator adds to it.
type skips struct {
	set atomic.Pointer[map[store.RowKey]struct{}]
}

func newSkips(list []store.Skip) *skips {
	set := make(map[store.RowKey]struct{}, len(list))
	for _, s := range list {
		set[store.RowKey(s)] = struct{}{}
	}
	s := &skips{}
	s.set.Store(&set)
	return s
}

func (s *skips) has(key string, at event.Position) bool {
	set := *s.set.Load()
	if len(set) == 0 {
		return false
	}
	_, found := set[store.RowKey{Key: key, Position: at}]
	return found
}

// skippedBefore returns the rows of what the active generation skipped, by whatever decision: a
// rebuild leaves that out too, and says so by rows of its own.
func (s *session) skippedBefore() (map[store.RowKey]store.Row, error) {
	p, err := s.store.Projection(s.ctx, s.config.Key.Projection)
	if err != nil {
		if errors.Is(err, store.ErrNotFound) {
			err = nil // the worker runs on its own
		}
		return nil, err
	}
	active := store.SubscriberKey{Projection: p.Name, Generation: p.Active}
	rows := make(map[store.RowKey]store.Row)
	for r, err := range s.store.Subscriber(active).Rows(s.ctx, store.Range{}) {
		if err != nil {
			return nil, err
		}
		if r.State == store.Skipped {
			rows[store.RowKey{Key: r.Key, Position: r.Position}] = r
		}
	}
	return rows, nil
}

// passOver leaves out an event that is skipped.
func (s *session) passOver(key string, at event.Position) {
	s.rec.skipped(1)
	if r, ok := s.inherited[store.RowKey{Key: key, Position: at}]; ok {
		s.rows.skip(r, r.Updated)
	}
}

// add is called by one goroutine at a time.
func (s *skips) add(keys ...store.RowKey) {
	if len(keys) == 0 {
		return
	}
	set := maps.Clone(*s.set.Load())
	for _, k := range keys {
		set[k] = struct{}{}
	}
	s.set.Store(&set)
}
