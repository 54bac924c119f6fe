package pebblestore

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

const (
	maxGroupEvents = 4096
	maxGroupBytes  = 1 << 20
	maxQueueBytes  = 16 << 20

	// cohortPatience is the time granted to each caller that is expected back.
	cohortPatience = 20 * time.Microsecond
	// maxMisses is after how many cohorts that did not come they are no longer waited for, but
	// for one in probeEvery.
	maxMisses  = 4
	probeEvery = 16
	// maxYields is how often the committer lets others run, without syncs, before it writes less
	// than a quarter of the callers that the last group released.
	maxYields = 16

	// lazyDelay is how long a lazy commit waits for a group to ride in.
	lazyDelay = 5 * time.Millisecond
	// syncDelay bounds how long anything applied stays unsynced.
	syncDelay = 100 * time.Millisecond
)

// commitLoop is the one goroutine that writes. It gathers requests into a group, stages
// them into one batch, makes it durable, publishes it and answers. It ends when the
// store closes, or stays in Pebble for ever when the disk fails.
func (d *driver) commitLoop() {
	defer close(d.committed)
	defer func() {
		if p := recover(); p != nil {
			// a half-staged group must never be followed by another
			d.fuse.Trip(fmt.Errorf("committer: panic: %v\n%s", p, debug.Stack()))
		}
	}()
	c := &committer{d: d, lazy: time.NewTimer(time.Hour), sync: time.NewTimer(time.Hour), cohort: time.NewTimer(time.Hour)}
	c.lazy.Stop()
	c.sync.Stop()
	c.cohort.Stop()
	for c.step() {
	}
}

// committer is what only the committing goroutine touches.
type committer struct {
	d       *driver
	pending []*request // gathered, not yet staged
	lazies  []*request // waiting for a group to ride in
	last    group      // its memory serves the next one

	lazy, sync *time.Timer
	unsynced   bool

	// what yield goes by
	cohort   *time.Timer
	expected int           // requests that the last group released or left behind
	took     time.Duration // by the last group, until it was durable
	misses   int           // cohorts in a row that did not come
	groups   int
}

// step waits for work and does one group. It returns false when the store closes.
func (c *committer) step() bool {
	if !c.d.inbox.await(1) {
		select {
		case <-c.d.inbox.wake:
		case <-c.lazy.C:
			c.commit(true)
			return true
		case <-c.sync.C:
			if c.d.opts.Sync != SyncOff {
				c.syncNow()
			}
			return true
		case done := <-c.d.syncs:
			c.gather() // what came first, and may be what this one waits for
			c.commit(true)
			c.syncNow()
			done <- nil
			return true
		case <-c.d.closing:
			c.d.inbox.close()
			c.gather()
			c.commit(true)
			c.syncNow()
			return false
		}
	}
	c.gather()
	if len(c.pending) == 0 { // lazy commits only: they wait for company
		return true
	}
	c.yield()
	c.commit(false)
	return true
}

// add takes a request, unless its caller went away.
func (c *committer) add(r *request) {
	if !r.state.CompareAndSwap(requestQueued, requestTaken) {
		return
	}
	if r.txn.NoSync && len(r.appends) == 0 {
		if len(c.lazies) == 0 {
			c.lazy.Reset(lazyDelay)
		}
		c.lazies = append(c.lazies, r)
		return
	}
	c.pending = append(c.pending, r)
}

func (c *committer) gather() { c.d.inbox.take(c.add) }

// yield lets callers that the last group released come back before the group closes.
// Without it a closed set of callers splits into two halves that take turns at the
// disk; one caller alone is never waited for. Waiting costs no more than the time that a
// group takes, and where callers do not come back, as in a server, it soon stops. Without
// syncs there is no disk to share: callers had better encode while the committer writes,
// and only a group of few is waited for, since one costs as much as several requests.
func (c *committer) yield() {
	if c.d.opts.Sync == SyncOff {
		c.yieldFor(c.expected/4 - len(c.pending))
		return
	}
	missing := c.expected - len(c.pending)
	if missing <= 0 {
		c.misses = 0
		return
	}
	if c.misses >= maxMisses && c.groups%probeEvery != 0 {
		return
	}
	if !c.d.inbox.await(missing) {
		c.cohort.Reset(min(c.took, time.Duration(missing)*cohortPatience+cohortPatience))
		select {
		case <-c.d.inbox.wake:
		case <-c.cohort.C:
		case <-c.d.closing:
		}
		c.cohort.Stop()
	}
	c.gather()
	if len(c.pending) < c.expected {
		c.misses++
	} else {
		c.misses = 0
	}
}

// yieldFor lets others run until so many requests have come, for a short while.
func (c *committer) yieldFor(missing int) {
	if missing <= 0 {
		return
	}
	for range maxYields {
		if c.d.inbox.len() >= missing {
			break
		}
		runtime.Gosched()
	}
	c.gather()
}

// commit stages and applies everything gathered, in as many groups as it needs.
// Lazy commits ride in the first one; alone they go only when their time has come.
func (c *committer) commit(lazyToo bool) {
	if len(c.pending) == 0 && (!lazyToo || len(c.lazies) == 0) {
		return
	}
	c.lazy.Stop()
	work := append(c.lazies, c.pending...)
	c.lazies, c.pending = nil, nil
	for len(work) > 0 {
		work = c.group(work)
	}
}

// group stages requests from the front of work until the group is full, applies it and
// returns what is left.
func (c *committer) group(work []*request) []*request {
	g := c.newGroup()
	defer g.batch.Close()
	n := 0
	for n < len(work) {
		r := work[n]
		if g.staged > 0 && (g.events+r.events > maxGroupEvents || g.size()+r.size() > maxGroupBytes || r.resolve) {
			break
		}
		g.stage(r)
		n++
	}
	if g.staged > 0 {
		g.writeEvents()
		c.apply(g)
	}
	c.groups++
	c.expected = c.d.inbox.len()
	for _, r := range work[:n] {
		if len(r.appends) > 0 {
			c.expected++
		}
		r.done <- struct{}{}
	}
	if g.events > 0 {
		c.d.notifier.publish(g.types)
	}
	return work[n:]
}

// apply writes a group, waits until it is durable, and publishes it: dictionary, head,
// and after that the callers and subscriptions.
func (c *committer) apply(g *group) {
	d := c.d
	began, size := time.Now(), g.batch.Len() // Pebble empties a large batch
	opts := pebble.NoSync
	if g.sync && d.opts.Sync != SyncOff {
		opts = pebble.Sync
	}
	if err := d.db.Apply(g.batch, opts); err != nil {
		// The fuse keeps disk errors from Pebble, so this is a misuse of a batch: nothing was
		// written, and nothing may follow.
		d.fuse.Trip(fmt.Errorf("commit: %w", err))
		d.fuse.Block()
	}
	c.took = time.Since(began)
	if opts == pebble.Sync {
		c.unsynced = false
		c.sync.Stop()
		d.telemetry.Sync(g.batch.CommitStats().CommitWaitDuration)
	} else if !c.unsynced {
		c.unsynced = true
		c.sync.Reset(syncDelay)
	}
	if g.dict != nil {
		d.dict.Store(g.dict)
	}
	if g.events > 0 {
		d.head.Store(&headState{position: g.position, millis: g.millis})
		d.telemetry.Group(g.events, size)
	}
	d.term = g.term
}

// syncNow makes everything applied durable.
func (c *committer) syncNow() {
	if !c.unsynced {
		return
	}
	if err := c.d.db.LogData(nil, pebble.Sync); err != nil {
		c.d.fuse.Trip(fmt.Errorf("sync: %w", err))
		c.d.fuse.Block()
	}
	c.unsynced = false
	c.sync.Stop()
}
