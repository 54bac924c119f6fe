package worker

import (
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
