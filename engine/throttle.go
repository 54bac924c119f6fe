package engine

import (
	"context"
	"sync"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// A rebuild gives way to appends. Between its pages it rests for a multiple of the time
// that the page took; while it rests, the rate of appends tells what it is without the
// rebuild. When that is clearly higher than during a page, appends suffer and the rests
// grow; else they shrink. A store that nobody appends to is rebuilt without rests, and near
// the head there are none either: what is left to do there is what a live model does, and a
// rebuild that rests might never get to the switch.
const (
	restLeast   = 0.25 // of the time of a page, while there are appends
	restMost    = 4.0  // so that a rebuild takes at most 5 times as long
	restLongest = 500 * time.Millisecond
	suffering   = 0.8 // of the rate at rest
)

// throttle finds out how long to rest. It is safe for concurrent use.
type throttle struct {
	head func() (event.Position, bool)
	now  func() time.Time

	mu     sync.Mutex
	factor float64
	began  sample // of the page that runs
	rested sample // when the last rest began
	primed bool
}

type sample struct {
	head event.Position
	at   time.Time
}

func newThrottle(st *store.Store) *throttle {
	return &throttle{now: time.Now, factor: restLeast, head: func() (event.Position, bool) {
		ctx, cancel := context.WithTimeout(context.Background(), restLongest)
		defer cancel()
		h, err := st.Head(ctx)
		return h.Position, err == nil
	}}
}

// nearPages is how many pages before the head rests end.
const nearPages = 2

// pauseFor is called at the end of a page, with what is left and what a page holds.
func (t *throttle) pauseFor(backlog uint64, page int) time.Duration {
	if backlog <= nearPages*uint64(page) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.primed = false
		return 0
	}
	return t.pause()
}

func (t *throttle) pause() time.Duration {
	head, ok := t.head()
	if !ok {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := sample{head, t.now()}
	page, primed := t.began, t.primed
	t.began, t.primed = now, true
	if !primed || now.head == page.head {
		return 0
	}
	work := now.at.Sub(page.at)
	rest := min(time.Duration(float64(work)*t.factor), restLongest)
	t.rested = now
	time.AfterFunc(rest, func() { t.resume(rate(page, now)) })
	return rest
}

// resume is called at the end of a rest: now a page begins.
func (t *throttle) resume(working float64) {
	head, ok := t.head()
	if !ok {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := sample{head, t.now()}
	if resting := rate(t.rested, now); working < suffering*resting {
		t.factor = min(t.factor*2, restMost)
	} else {
		t.factor = max(t.factor/2, restLeast)
	}
	t.began = now
}

// rate is in events a second.
func rate(from, to sample) float64 {
	d := to.at.Sub(from.at).Seconds()
	if d <= 0 {
		return 0
	}
	return float64(to.head-from.head) / d
}
