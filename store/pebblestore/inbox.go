package pebblestore

import "sync"

// inbox is where callers leave their requests for the committer. A channel would wake the
// committer for each of them; the inbox wakes it when as many have come as it waits for.
type inbox struct {
	mu     sync.Mutex
	items  []*request
	spare  []*request // memory for items
	want   int        // wake the committer at so many; 0 is never
	closed bool
	wake   chan struct{} // of capacity 1; a stale signal is harmless
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

// push leaves a request. It returns false when nobody will take it any more.
func (b *inbox) push(r *request) bool {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return false
	}
	b.items = append(b.items, r)
	enough := b.want > 0 && len(b.items) >= b.want
	if enough {
		b.want = 0
	}
	b.mu.Unlock()
	if enough {
		select {
		case b.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// take hands what is there to f, in the order in which it came.
func (b *inbox) take(f func(*request)) {
	b.mu.Lock()
	items := b.items
	b.items, b.spare = b.spare[:0], nil
	b.want = 0
	b.mu.Unlock()
	for _, r := range items {
		f(r)
	}
	clear(items)
	b.mu.Lock()
	b.spare = items[:0]
	b.mu.Unlock()
}

// await asks to be woken when n requests are there. It returns true when they are already.
func (b *inbox) await(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.items) >= n {
		b.want = 0
		return true
	}
	b.want = n
	return false
}

func (b *inbox) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.items)
}

// close refuses what comes from now on.
func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
}
