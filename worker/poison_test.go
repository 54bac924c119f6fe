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

// life is one process on a disk: it ends by dying.
type life struct {
	*bed
	disk *vfs.MemFS
}

func begin(t *testing.T, disk *vfs.MemFS) *life {
	t.Helper()
	st, err := pebblestore.Open("db", &pebblestore.Options{FS: disk, CacheSize: 8 << 20, FreeSpace: pebblestore.NoFreeSpaceCheck,
		Store: store.Options{Logger: slog.New(slog.DiscardHandler)}})
	if err != nil {
		t.Fatal(err)
	}
	l := &life{bed: &bed{T: t, store: st}, disk: disk}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return l
}

// dies returns the disk as it is when the process dies now: what was applied is there,
// nothing that the process would still have done.
func (l *life) dies() *vfs.MemFS {
	return l.disk.CrashClone(vfs.CrashCloneCfg{})
}

func TestAnEventThatKillsTheProcessIsFoundAndParked(t *testing.T) {
	t.Parallel()
	disk := vfs.NewCrashableMem()
	const killer = 7
	lives, parked := 0, false
	for !parked {
		if lives++; lives > 8 {
			t.Fatalf("not found in %d lives", lives)
		}
		l := begin(t, disk)
		if lives == 1 {
			for i := range 12 {
				l.deposit(1, fmt.Sprint("k", i))
			}
		}
		dead := make(chan *vfs.MemFS, 1)
		p := mailer(projection.Options{CommitEvery: time.Hour}, func(ctx context.Context, _ Deposited, ev event.Event) error {
			if ev.Position == killer {
				dead <- l.dies()
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		w := l.start(l.config(p))
		done := make(chan error, 1)
		go func() { done <- w.Wait(context.Background(), 12) }()
		select {
		case disk = <-dead:
		case err := <-done:
			if err != nil {
				<-w.done
				t.Fatalf("life %d: %v: %v", lives, err, w.err)
			}
			parked = true
			l.rowsAre(p, fmt.Sprintf("k6@%d parked 1", killer))
		case <-time.After(time.Minute):
			t.Fatalf("life %d hangs: %+v", lives, w.Status())
		}
		w.cancel()
		<-w.done
	}
	if lives != 5 {
		t.Fatalf("found in life %d, want: three deaths, one more with the event in hand, and then it is parked", lives)
	}
}

func TestDeathsBetweenProgressDoNotMakeAWorkerCareful(t *testing.T) {
	t.Parallel()
	disk := vfs.NewCrashableMem()
	for range 6 {
		l := begin(t, disk)
		p := mailer(projection.Options{}, func(context.Context, Deposited, event.Event) error { return nil })
		pos := l.deposit(1, "a")
		w := l.start(l.config(p))
		w.waits(pos)
		if info := l.info(p); info.InHand != 0 {
			t.Fatalf("goes one by one: %+v", info)
		}
		disk = l.dies()
		w.cancel()
		<-w.done
	}
}

func TestACarefulWorkerHandlesEverythingInOrder(t *testing.T) {
	t.Parallel()
	disk := vfs.NewCrashableMem()
	m := balances(projection.Options{CommitEvery: time.Hour})
	for life := range 4 {
		l := begin(t, disk)
		if life == 0 {
			l.deposit(1, "a", "b", "a", "c", "a")
			l.note()
		}
		if life < 3 { // claims, and dies before it commits anything
			if _, err := l.store.Subscriber(l.config(m).Key).Claim(t.Context(), event.NewID(), time.Minute); err != nil {
				t.Fatal(err)
			}
			disk = l.dies()
			continue
		}
		w := l.start(l.config(m))
		w.waits(6)
		if got := l.balance(m, "a"); fmt.Sprint(got.Seen) != "[1 3 5]" {
			t.Fatalf("state %+v", got)
		}
		w.becomes(worker.Live)
		w.drains()
		if info := l.info(m); info.InHand != 0 {
			t.Fatalf("still in hand: %+v", info)
		}
	}
}

// A worker that goes event by event, since processes died, loses its lease with an event in
// hand: that event has killed nobody.
func TestALostLeaseDoesNotMakeAnEventAKiller(t *testing.T) {
	t.Parallel()
	disk := vfs.NewCrashableMem()
	var l *life
	for n := range 4 {
		if l = begin(t, disk); n == 0 {
			l.deposit(1, "a", "b", "c")
		}
		if n == 3 {
			break
		}
		if _, err := l.store.Subscriber(store.SubscriberKey{Projection: "mailer"}).Claim(t.Context(), event.NewID(), time.Minute); err != nil {
			t.Fatal(err)
		}
		disk = l.dies()
	}
	entered := make(chan struct{}, 1)
	var handled calls
	p := mailer(projection.Options{}, func(ctx context.Context, _ Deposited, ev event.Event) error {
		if ev.Position == 2 && len(handled.list()) == 1 {
			handled.add("frozen")
			entered <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}
		handled.add("%d", ev.Position)
		return nil
	})
	c := l.config(p)
	c.LeaseTTL = 300 * time.Millisecond // it notices at a third of that
	first := l.start(c)
	select {
	case <-entered:
	case <-time.After(time.Minute):
		t.Fatalf("hangs: %+v", first.Status())
	}
	if info := l.info(p); info.InHand != 2 {
		t.Fatalf("it does not go event by event: %+v", info)
	}
	if err := l.store.Subscriber(l.config(p).Key).ReleaseLease(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := first.ends(); !errors.Is(err, store.ErrLeaseLost) {
		t.Fatalf("Run: %v", err)
	}
	second := l.start(l.config(p))
	second.waits(3)
	l.rowsAre(p)
	if got := fmt.Sprint(handled.list()); got != "[1 frozen 2 3]" {
		t.Fatalf("handled %s", got)
	}
	second.drains()
}
