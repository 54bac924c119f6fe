package worker_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/crashfs"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/worker"
)

// An event that went into the target at last must not go in once more because the store has
// forgotten, in a crash, that it did.
func TestWhatWentInAfterARetryIsDurableAtOnce(t *testing.T) {
	bubble(t, func(b *bed) {
		l := begin(b.T, crashfs.New())
		tab := &table{bad: map[event.Position]error{2: errBroken}}
		p := sinkOf(tab, projection.Options{})
		w := l.start(l.config(p))
		w.waits(l.deposit(1, "a", "b", "c"))
		l.rowsAre(p, "b@2 waiting 3")
		tab.do(func() { tab.bad = nil })
		l.until("the store knows of it", func() bool { return len(l.rows(p)) == 0 })
		synctest.Wait() // readers see a commit a moment before its sync ends
		next := begin(b.T, l.dies())
		w = next.start(next.config(p))
		w.waits(next.deposit(1, "a"))
		w.drains()
		if got := fmt.Sprint(tab.rows()); got != "[1 3 2 4]" {
			b.Errorf("wrote %s", got)
		}
	})
}

// A row must be stored at once while a commit is under way.
func TestAPoisonEventDuringACommitIsSetAside(t *testing.T) {
	bubble(t, func(b *bed) {
		tab := &table{bad: map[event.Position]error{2: projection.Park(errBroken)}}
		p := sinkOf(tab, projection.Options{})
		w := b.start(b.config(p))
		w.becomes(worker.Live)
		b.deposit(1, "a")
		b.until("written", func() bool { return len(tab.rows()) == 1 })
		w.waits(b.deposit(1, "b", "c"))
		b.rowsAre(p, "b@2 parked 3")
		w.drains()
		if got := fmt.Sprint(tab.rows()); got != "[1 3]" {
			b.Errorf("wrote %s", got)
		}
	})
}
