package worker

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/store"
)

const (
	modelEvery  = 200 * time.Millisecond
	effectEvery = 100 * time.Millisecond
	// effectGather is how long a live effect waits for more before it commits: a commit says
	// no more than how far it is, and a commit for each event would slow down the appends that
	// it rides along with.
	effectGather = 5 * time.Millisecond
	// coverEvery is how often progress over events of others is written.
	coverEvery = 10 * time.Second
	// modelBytes is how many bytes of changed states a commit carries, about.
	modelBytes = 4 << 20
	// shortBytes is how many while appends wait.
	shortBytes = 1 << 20
	// askEvery is how often Activate is asked while it says not yet.
	askEvery = 50 * time.Millisecond
)

// committer decides when to commit. One commit is under way at most, while handling goes on.
type committer struct {
	*session
	checkpoint event.Position // stored
	every      time.Duration
	gather     time.Duration // when caught up
	batch      int           // units in a commit at most; 0 is any number. See errSmaller

	flying  *flight
	covered time.Time    // since when position is ahead of the checkpoint with nothing else to commit
	urgent  bool         // commit at once, synced
	answer  []chan error // of operators, who wait for the next commit
	retry   []string     // keys whose rows the next commit makes due, as was wished
}

// flight is a commit under way.
type flight struct {
	commit  store.Commit
	rows    []store.RowKey
	answer  []chan error
	retry   []string
	done    chan landing
	hurried bool
	bare    bool // it carries nothing of the executor
}

// landing is how a commit ended.
type landing struct {
	result store.Result
	err    error
}

// errSmaller begins the session again with smaller commits: what was handled since the last
// commit does not fit into one.
var errSmaller = errors.New("worker: the commit is too large")

func (c *committer) open(s *session) {
	c.session = s
	c.every = s.program.CommitEvery
	if c.every <= 0 {
		c.every = effectEvery
		if s.program.Kind == program.Model {
			c.every = modelEvery
		}
	}
	if s.program.Kind == program.Effect {
		c.gather = min(effectGather, c.every)
	}
}

// flight returns where the commit under way reports its end; nil blocks for ever.
func (c *committer) flight() <-chan landing {
	if c.flying == nil {
		return nil
	}
	return c.flying.done
}

// clean says that there is nothing to commit and nothing under way.
func (c *committer) clean() bool {
	return c.flying == nil && !c.urgent && !c.owing() && c.exec.position() <= c.checkpoint
}

// owing says that something was handled or set aside since the last commit.
func (c *committer) owing() bool {
	if c.exec.pending().units > 0 || len(c.answer) > 0 {
		return true
	}
	at := max(c.exec.position(), c.checkpoint)
	for k := range c.rows.changed {
		if k.Position <= at {
			return true
		}
	}
	return false
}

// turn collects a commit that has ended, and starts one when it is due.
func (c *committer) turn() error {
	if c.flying != nil {
		select {
		case out := <-c.flying.done:
			if err := c.landed(out); err != nil {
				return err
			}
		default:
			c.hurry()
			return nil
		}
	}
	if err := c.activate(); err != nil || c.flying != nil {
		return err
	}
	lazy, due := c.now()
	if !due {
		return nil
	}
	return c.start(lazy)
}

// hurry makes a lazy commit go at once when somebody waits for it.
func (c *committer) hurry() {
	f := c.flying
	want := c.wanted()
	if f.hurried || !f.commit.Lazy || !(c.leaving != nil || want > 0 && want <= f.commit.To) {
		return
	}
	f.hurried = true
	c.tasks.Go(func() {
		_ = c.store.Sync(c.ctx) // a driver that cannot makes it durable in its own time
	})
}

// now says whether to commit now, and whether that may be lazy.
func (c *committer) now() (lazy, due bool) {
	at := c.exec.position()
	p := c.exec.pending()
	want := c.wanted()
	switch {
	case c.urgent, p.sync, want > c.checkpoint && want <= at, len(c.answer) > 0:
		return false, true
	case c.leaving != nil:
		return false, c.exec.quiet() && (c.owing() || at > c.checkpoint)
	case p.full:
		return true, true
	case c.read.ended() && at >= c.config.Until && at > c.checkpoint:
		return false, true // Run ends with it
	case c.careful.on():
		return false, c.owing()
	case !c.owing():
		return true, c.coveredFor(at) >= coverEvery
	}
	return true, time.Since(p.since) >= c.interval()
}

// interval is how long to wait for more before a commit.
func (c *committer) interval() time.Duration {
	if c.caughtUp() {
		return c.gather
	}
	return c.every
}

// due returns when now will say yes if nothing happens.
func (c *committer) due() time.Time {
	switch {
	case c.flying != nil || c.leaving != nil:
		return time.Time{}
	case c.owing():
		return c.exec.pending().since.Add(c.interval())
	case c.exec.position() > c.checkpoint:
		c.coveredFor(c.exec.position())
		return c.covered.Add(coverEvery)
	}
	return time.Time{}
}

// coveredFor returns for how long there has been progress over events of others that is
// not written.
func (c *committer) coveredFor(at event.Position) time.Duration {
	if at <= c.checkpoint {
		c.covered = time.Time{}
		return 0
	}
	if c.covered.IsZero() {
		c.covered = time.Now()
	}
	return time.Since(c.covered)
}

// start begins a commit of what is handled.
func (c *committer) start(lazy bool) error {
	commit := store.Commit{From: c.checkpoint, To: max(c.exec.position(), c.checkpoint), Lazy: lazy}
	if err := c.exec.fill(&commit); err != nil {
		return err
	}
	c.launch(commit)
	return nil
}

func (c *committer) launch(commit store.Commit) *flight {
	f := &flight{commit: commit, answer: c.answer, retry: c.retry, done: make(chan landing, 1)}
	f.rows = c.rows.take(&f.commit)
	c.flying, c.answer, c.retry, c.urgent, c.covered = f, nil, nil, false, time.Time{}
	c.tasks.Go(func() {
		began := time.Now()
		res, err := c.lease.Commit(c.ctx, f.commit)
		c.rec.checkpoint(time.Since(began), err)
		f.done <- landing{res, err}
	})
	return f
}

// landed brings everything up to date after a commit.
func (c *committer) landed(out landing) error {
	f := c.flying
	c.flying = nil
	if out.err != nil {
		c.answer = append(f.answer, c.answer...) // the next commit answers, or the end
	}
	switch {
	case out.err == nil:
		c.checkpoint = f.commit.To
		c.careful.inHand = f.commit.InHand != 0
		c.rows.committed(f.rows)
		if !f.bare {
			c.exec.committed(&f.commit, out.result)
		}
		for _, a := range f.answer {
			a <- nil
		}
		if f.commit.Activate != nil {
			c.switched()
		}
		return c.retried(f.retry)
	case c.ctx.Err() != nil:
		return context.Cause(c.ctx)
	case f.commit.Activate != nil && errors.Is(out.err, store.ErrGuard):
		c.rows.refused(f.rows)
		c.askAt = time.Now().Add(askEvery)
		return nil
	case f.bare || errors.Is(out.err, store.ErrLeaseLost):
		return out.err
	}
	c.rows.refused(f.rows)
	c.retry = append(f.retry, c.retry...)
	c.urgent = c.urgent || len(c.retry) > 0
	return c.exec.refused(&f.commit, out.err)
}

// retries says whether a wish for a retry is in a commit, or will be in the next one.
func (c *committer) retries(key string) bool {
	return slices.Contains(c.retry, key) || c.flying != nil && slices.Contains(c.flying.retry, key)
}

// await waits for the end of the commit under way.
func (c *committer) await() error {
	if c.flying == nil {
		return nil
	}
	return c.landed(<-c.flying.done)
}

// force commits what must be durable before the next step, and waits for it.
func (c *committer) force(commit store.Commit) error {
	if err := c.await(); err != nil {
		return err
	}
	commit.From = c.checkpoint
	commit.To = max(commit.To, c.checkpoint)
	c.launch(commit).bare = true
	return c.await()
}

// activate asks for the switch of a rebuild when it has nearly reached the head.
func (c *committer) activate() error {
	if !c.mayAsk() || time.Now().Before(c.askAt) {
		return nil
	}
	at := max(c.exec.position(), c.checkpoint)
	act, err := c.config.Activate(c.ctx, at)
	c.askAt = time.Now().Add(askEvery)
	if err != nil {
		return err
	}
	if act == nil {
		// The old generation may be ahead over events of others alone, which wake nobody here.
		c.read.rescan()
		return nil
	}
	c.launch(store.Commit{From: c.checkpoint, To: at, Activate: act}).bare = true
	return nil
}

// mayAsk says whether a rebuild is so far that it could be switched to.
func (c *committer) mayAsk() bool {
	return c.rebuilding && c.leaving == nil && c.flying == nil && c.caughtUp() && !c.owing()
}

// switched makes the worker that of the active generation.
func (c *committer) switched() {
	c.rebuilding, c.activated = false, true
	c.rec.use(c.config.ActiveTelemetry)
	c.log.Info("rebuild became active", "position", uint64(c.checkpoint))
}
