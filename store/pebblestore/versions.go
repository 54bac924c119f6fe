package pebblestore

import (
	"container/list"
	"sync"

	"github.com/riffle-go/riffle/event"
)

// streamState is what an append needs to know of a stream.
type streamState struct {
	version    uint64 // 0: no events
	last       uint64 // position of its last event
	routingKey string // "" is none
}

// versionCache keeps the streams appended to last. Every append enters it, so a stream
// that is absent has not changed since the highest last position that was ever evicted;
// that is what lets the committer trust a caller who looked at a later head.
//
// The committer alone writes; callers peek, to learn whether a look-up is needed. They see,
// under mu, what stays the same for as long as an entry is that of one stream, so that the
// committer needs mu only when entries come and go.
type versionCache struct {
	size    int
	order   *list.List // most recent first; the committer's
	evicted uint64     // highest last position of any entry evicted, or of all before Open

	mu      sync.Mutex
	entries map[string]*list.Element
}

type versionEntry struct {
	version, last uint64 // the committer's

	key        string
	routingKey string
}

func (v *versionEntry) state() streamState {
	return streamState{version: v.version, last: v.last, routingKey: v.routingKey}
}

func newVersionCache(size int, head uint64) *versionCache {
	// What was appended before Open counts as evicted at head: a caller's look-up at the
	// present head is as good as an entry.
	return &versionCache{size: size, entries: make(map[string]*list.Element), order: list.New(), evicted: head}
}

// streamKey is the cache's key: aggregate names hold no control characters, so the NUL
// cannot be imitated.
func streamKey(s event.Stream) string { return string(s.Aggregate) + "\x00" + s.ID }

// get returns the entry of a stream that has events, and the stream's routing key; nil
// without an entry.
func (c *versionCache) get(key string) (routingKey string, e *list.Element) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[key]
	if !ok {
		return "", nil
	}
	return e.Value.(*versionEntry).routingKey, e
}

// own is get for the committer. What only it writes it reads without the lock, and the
// element that the caller found saves it the look-up, if it is still that stream's.
func (c *versionCache) own(p *prepared) (streamState, bool) {
	e := p.cached
	if e == nil || e.Value.(*versionEntry).key != p.key {
		var ok bool
		if e, ok = c.entries[p.key]; !ok {
			p.cached = nil
			return streamState{}, false
		}
		p.cached = e
	}
	return e.Value.(*versionEntry).state(), true
}

// trusts says, to the committer, whether a look-up that was made under head stands for
// an absent entry.
func (c *versionCache) trusts(head uint64) bool { return head >= c.evicted }

// put stores the state of a stream; e is what own has just found for it, or nil. In a
// group that appends to one stream twice, e may be absent although put has been called.
func (c *versionCache) put(key string, e *list.Element, s streamState) {
	if e == nil || e.Value.(*versionEntry).key != key {
		e = c.entries[key]
	}
	if e != nil {
		v := e.Value.(*versionEntry)
		v.version, v.last = s.version, s.last
		c.order.MoveToFront(e)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) < c.size {
		c.entries[key] = c.order.PushFront(&versionEntry{s.version, s.last, key, s.routingKey})
		return
	}
	// reuse the oldest element: a full cache allocates nothing
	e = c.order.Back()
	v := e.Value.(*versionEntry)
	delete(c.entries, v.key)
	c.evicted = max(c.evicted, v.last)
	*v = versionEntry{s.version, s.last, key, s.routingKey}
	c.entries[key] = e
	c.order.MoveToFront(e)
}
