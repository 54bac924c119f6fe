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
// rebuild. When that is clearly higher than during pages, appends suffer and the rests
// grow; else they shrink. Pages and rests take milliseconds, in which only a few appends
// come, so that some of them are counted before anything is decided. A store that nobody appends to is rebuilt without rests, and near
// the head there are none either: what is left to do there is what a live model does, and a
// rebuild that rests might never get to the switch.
const (
	restLeast   = 0.25 // of the time of a page, while there are appends
	restMost    = 4.0  // so that a rebuild takes at most 5 times as long
	restFirst   = 1.0  // until something is known
	restLongest = 500 * time.Millisecond
	suffering   = 0.8 // of the rate at rest
	// restEnough is how much rest must be measured before a decision.
	restEnough = 40 * time.Millisecond
)

// throttle finds out how long to rest. It is safe for concurrent use.
type throttle struct {
	head func() (event.Position, bool)
	now  func() time.Time

	mu     sync.Mutex
	factor float64
	began  sample // of the page that runs
	primed bool   // began is known
	rests  int    // so many began
	// since the last decision
	worked, rested measured
}

// measured is what was appended in some time.
type measured struct {
	events event.Position
	time   time.Duration
}

func (m *measured) add(from, to sample) {
	m.events += to.head - from.head
	m.time += to.at.Sub(from.at)
}

// rate is in events a second.
func (m measured) rate() float64 {
	if m.time <= 0 {
		return 0
	}
	return float64(m.events) / m.time.Seconds()
}

type sample struct {
	head event.Position
	at   time.Time
}

func newThrottle(st *store.Store) *throttle {
	return &throttle{now: time.Now, factor: restFirst, head: func() (event.Position, bool) {
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
	t.worked.add(page, now)
	rest := min(time.Duration(float64(now.at.Sub(page.at))*t.factor), restLongest)
	t.rests++
	n := t.rests
	t.primed = false // until the end of the rest
	time.AfterFunc(rest, func() { t.resume(n, now) })
	return rest
}

// resume is called at the end of the n-th rest: now a page begins.
func (t *throttle) resume(n int, rested sample) {
	head, ok := t.head()
	if !ok {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if n != t.rests || t.primed {
		return // too late: the page is over already
	}
	t.began, t.primed = sample{head, t.now()}, true
	t.rested.add(rested, t.began)
	t.decide()
}

func (t *throttle) decide() {
	if t.rested.time < restEnough {
		return
	}
	if t.worked.rate() < suffering*t.rested.rate() {
		t.factor = min(t.factor*2, restMost)
	} else {
		t.factor = max(t.factor/2, restLeast)
	}
	t.worked, t.rested = measured{}, measured{}
}
