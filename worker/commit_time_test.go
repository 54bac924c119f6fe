package worker_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/worker"
)

// both runs a test with a model and with an effect, whose commits wait for company.
func both(t *testing.T, f func(b *bed, p projection.Projection)) {
	t.Parallel()
	for _, p := range []projection.Projection{
		balances(projection.Options{}),
		mailer(projection.Options{}, func(context.Context, Deposited, event.Event) error { return nil }),
	} {
		t.Run(p.Name(), func(t *testing.T) {
			bubble(t, func(b *bed) { f(b, p) })
		})
	}
}

// A commit that nobody waits for takes its time, and is hurried by whoever comes to wait for
// it, at whatever moment.
func TestAWaiterHurriesTheCommit(t *testing.T) {
	both(t, func(b *bed, p projection.Projection) {
		w := b.start(b.config(p))
		w.becomes(worker.Live)
		for late := range 12 { // it is in the store by then
			pass(time.Second)
			pos := b.deposit(1, "a")
			synctest.Wait()
			if info := b.info(p); info.Checkpoint >= pos {
				b.Fatalf("checkpoint %d at once, although nobody waits", info.Checkpoint)
			}
			pass(time.Duration(late) * time.Millisecond)
			at := time.Now()
			w.waits(pos)
			if took := time.Since(at); took != 0 {
				b.Errorf("Wait %d ms after the event took %v, want no time", late, took)
			}
		}
		w.drains()
	})
}

func TestADrainHurriesTheCommit(t *testing.T) {
	both(t, func(b *bed, p projection.Projection) {
		for late := range 12 {
			w := b.start(b.config(p))
			w.becomes(worker.Live)
			pos := b.deposit(1, "a")
			synctest.Wait()
			// between the milliseconds: a lazy commit that begins in the very instant of the drain
			// may miss it, and goes 5 ms later
			pass(time.Duration(late)*time.Millisecond + time.Millisecond/2)
			w.Drain()
			synctest.Wait()
			if info := b.info(p); info.Checkpoint != pos {
				b.Errorf("a drain %d.5 ms after the event: checkpoint %d, want %d at once", late, info.Checkpoint, pos)
			}
			w.drains()
		}
	})
}

func TestAParkedEventIsCommittedAtOnce(t *testing.T) {
	bubble(t, func(b *bed) {
		p := mailer(projection.Options{}, func(context.Context, Deposited, event.Event) error { return projection.Park(errBroken) })
		w := b.start(b.config(p))
		w.becomes(worker.Live)
		b.deposit(1, "a")
		synctest.Wait() // no time passes
		b.rowsAre(p, "a@1 parked 1")
		w.drains()
	})
}

func TestAModelThatCatchesUpCommitsEvery200ms(t *testing.T) {
	bubble(t, func(b *bed) {
		m := projection.NewModel("balances", projection.Fold(func(s *Balance, e Deposited, ev event.Event) error {
			pass(10 * time.Millisecond)
			return s.deposit(e, ev)
		}))
		for i := range 100 {
			b.deposit(1, fmt.Sprint(i))
		}
		w := b.start(b.config(m))
		var commits []event.Position
		for range 10 {
			pass(100 * time.Millisecond)
			if at := b.info(m).Checkpoint; len(commits) == 0 || at != commits[len(commits)-1] {
				commits = append(commits, at)
			}
		}
		// Nothing at first, then a commit every 200 ms or a slice of folding later.
		if n := len(commits); n < 4 || n > 6 || commits[0] != 0 {
			b.Errorf("in 1 s the checkpoint was at %v", commits)
		}
		w.waits(100)
		w.drains()
	})
}

// What was read and concerns others is not read again by the next one who works.
func TestProgressOverEventsOfOthersIsWrittenAtARelease(t *testing.T) {
	both(t, func(b *bed, p projection.Projection) {
		var last event.Position
		for range 5 {
			last = b.note()
		}
		w := b.start(b.config(p))
		w.becomes(worker.Live)
		pass(time.Second)
		if info := b.info(p); info.Checkpoint != 0 {
			b.Fatalf("checkpoint %d: the test shows nothing", info.Checkpoint)
		}
		w.drains()
		if info := b.info(p); info.Checkpoint != last {
			b.Errorf("checkpoint %d after the release, want %d", info.Checkpoint, last)
		}
	})
}

// An event that was set aside ahead of the checkpoint is written with the commit that gets
// there. Until then there is nothing to write.
func TestWhatIsSetAsideAheadWaitsForItsCommit(t *testing.T) {
	bubble(t, func(b *bed) {
		p := mailer(projection.Options{Concurrency: 2}, func(_ context.Context, _ Deposited, ev event.Event) error {
			if ev.Position == 1 {
				pass(10 * time.Second)
				return nil
			}
			return projection.RetryAfter(time.Hour, errBroken)
		})
		b.deposit(1, "slow", "bad")
		w := b.start(b.config(p))
		pass(time.Second)
		before := b.info(p).UpdatedAt
		pass(8 * time.Second)
		if after := b.info(p).UpdatedAt; !after.Equal(before) {
			b.Errorf("something was committed at %v", after)
		}
		b.rowsAre(p)
		w.waits(2)
		b.rowsAre(p, "bad@2 waiting 1")
		w.drains()
	})
}
