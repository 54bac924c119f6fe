package worker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
	"github.com/riffle-go/riffle/worker"
)

// next lets the syncs go on that wait, and holds those that come.
func (h *holding) next() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.gate)
	h.gate = make(chan struct{})
}

// onDisk runs a test in fake time, on a disk that it may hold.
func onDisk(t *testing.T, f func(b *bed, disk *holding)) {
	t.Helper()
	bubble(t, func(b *bed) {
		disk := &holding{FS: vfs.NewMem()}
		f(setupWith(b.T, &pebblestore.Options{FS: disk, Store: store.Options{Logger: slog.New(slog.DiscardHandler)}}), disk)
	})
}

// Whoever is tried again sees what the ones before it emitted, too, and does not wait for it.
func TestARetriedEventSeesWhatTheOneBeforeEmitted(t *testing.T) {
	bubble(t, func(b *bed) {
		var broken switchable
		broken.set(projection.RetryAfter(time.Second, errBroken))
		var handled []string
		p := mailer(projection.Options{}, func(ctx context.Context, _ Deposited, ev event.Event) error {
			if err := broken.get(); err != nil {
				return err
			}
			info, err := b.store.Stream(ctx, echoes.Stream("all"))
			if err != nil {
				return err
			}
			handled = append(handled, fmt.Sprintf("at %s version %d", time.Now().Format("05.000"), info.Version))
			pass(10 * time.Millisecond) // the others are ready meanwhile
			return emit(ctx, "all", store.Any, ev.Position)
		})
		b.deposit(1, "a", "b", "c")
		w := b.start(b.config(p))
		w.waits(3)
		b.rowsAre(p, "a@1 waiting 1", "b@2 waiting 1", "c@3 waiting 1")
		broken.set(nil)
		b.until("all are handled", func() bool { return w.Status().BlockedKeys == 0 })
		if got := fmt.Sprint(handled); got != "[at 01.000 version 0 at 01.010 version 1 at 01.020 version 2]" {
			b.Errorf("handled %s", got)
		}
		w.drains()
	})
}

// A commit that ends does not let the next event start as long as another one that emitted is
// not committed.
func TestNoEventStartsBeforeAllEmitsAreCommitted(t *testing.T) {
	onDisk(t, func(b *bed, disk *holding) {
		var c calls
		p := mailer(projection.Options{Concurrency: 2}, func(ctx context.Context, _ Deposited, ev event.Event) error {
			c.add("%d", ev.Position)
			switch ev.Position {
			case 1:
				disk.hold()
			case 2:
				pass(10 * time.Millisecond) // until the commit of the first one is under way
			}
			return emit(ctx, "all", store.Any, ev.Position)
		})
		b.deposit(1, "a", "b", "c")
		w := b.start(b.config(p))
		pass(20 * time.Millisecond)
		disk.next() // the commit of 1
		pass(20 * time.Millisecond)
		if got := c.list(); len(got) != 2 {
			b.Errorf("handled %q, and the emits of 2 are not committed", got)
		}
		disk.release()
		w.waits(3)
		if got := fmt.Sprint(b.echoed()); got != "[1 2 3]" {
			b.Errorf("emitted %s", got)
		}
		w.drains()
	})
}

// Of events that are tried again at the same time, the first one in the log emits first,
// whichever is handled first.
func TestRetriedEventsEmitInTheOrderOfTheirPositions(t *testing.T) {
	onDisk(t, func(b *bed, disk *holding) {
		var broken switchable
		broken.set(projection.RetryAfter(time.Second, errBroken))
		p := mailer(projection.Options{Concurrency: 3}, func(ctx context.Context, _ Deposited, ev event.Event) error {
			if err := broken.get(); err != nil && ev.Position < 3 {
				return err
			}
			switch ev.Position {
			case 1:
				pass(20 * time.Millisecond)
			case 2:
				pass(10 * time.Millisecond)
			case 3:
				pass(5 * time.Millisecond)
				disk.hold() // so that its commit is under way when the others are done
			}
			return emit(ctx, "all", store.Any, ev.Position)
		})
		b.deposit(1, "a", "b")
		w := b.start(b.config(p))
		w.waits(2)
		broken.set(nil)
		pass(time.Second + time.Millisecond) // both are in hand
		b.deposit(1, "c")
		pass(100 * time.Millisecond)
		disk.release()
		b.until("all have emitted", func() bool { return len(b.echoed()) == 3 })
		if got := fmt.Sprint(b.echoed()); got != "[3 1 2]" {
			b.Errorf("emitted %s, want 3, and then the others in their order", got)
		}
		w.drains()
	})
}

// The culprit of a conflict runs again when what was emitted before it is committed, however
// long that takes.
func TestTheCulpritWaitsForThePrefix(t *testing.T) {
	onDisk(t, func(b *bed, disk *holding) {
		tries := make(chan event.Position, 10)
		p := mailer(projection.Options{BatchEmits: true}, func(ctx context.Context, _ Deposited, ev event.Event) error {
			switch ev.Position {
			case 1:
				disk.hold()
			case 2:
				pass(10 * time.Millisecond) // the commit of 1 is under way: 2 and 3 come to be in one
			case 3:
				sub, err := b.store.Subscriber(store.SubscriberKey{Projection: "mailer"}).Info(ctx)
				tries <- sub.Checkpoint
				if err != nil || len(tries) == 1 {
					return errors.Join(err, emit(ctx, "all", store.NoStream, ev.Position))
				}
			}
			return emit(ctx, "all", store.Any, ev.Position)
		})
		b.append(accounts.Stream("a"), Deposited{Cents: 1}, Deposited{Cents: 1}, Deposited{Cents: 1})
		w := b.start(b.config(p))
		pass(time.Second)
		disk.next() // the commit of 1
		pass(time.Second)
		if n := len(tries); n != 1 {
			b.Errorf("the culprit ran %d times, and the prefix is not committed", n)
		}
		disk.release()
		w.waits(3)
		<-tries
		if at := <-tries; at != 2 {
			b.Errorf("the culprit ran again at checkpoint %d, want 2", at)
		}
		if got := fmt.Sprint(b.echoed()); got != "[1 2 3]" {
			b.Errorf("emitted %s", got)
		}
		w.drains()
	})
}

// What comes later for the key of a culprit comes after it once more, also when it is being
// handled at that moment.
func TestAnEventBehindTheCulpritIsHandledAfterIt(t *testing.T) {
	bubble(t, func(b *bed) {
		var c calls
		p := mailer(projection.Options{BatchEmits: true}, func(ctx context.Context, _ Deposited, ev event.Event) error {
			c.add("%d", ev.Position)
			if ev.Position == 2 {
				pass(10 * time.Millisecond) // the conflict is known by then
				return emit(ctx, "all", store.Any, ev.Position)
			}
			if len(c.list()) == 1 {
				b.append(echoes.Stream("contended"), Echoed{})
				return emit(ctx, "contended", store.NoStream, ev.Position)
			}
			return emit(ctx, "all", store.Any, ev.Position)
		})
		b.append(accounts.Stream("a"), Deposited{Cents: 1}, Deposited{Cents: 1})
		w := b.start(b.config(p))
		w.becomes(worker.Live)
		w.waits(2)
		if got := fmt.Sprint(c.list(), b.echoed()); got != "[1 2 1 2] [0 1 2]" {
			b.Errorf("handled and emitted %s", got)
		}
		w.drains()
	})
}
