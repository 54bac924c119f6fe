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
	"github.com/riffle-go/riffle/internal/crashfs"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
	"github.com/riffle-go/riffle/worker"
)

// life is one process on a disk: it ends by dying.
type life struct {
	*bed
	disk *crashfs.FS
}

func begin(t *testing.T, disk *crashfs.FS) *life {
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
func (l *life) dies() *crashfs.FS {
	return l.disk.CrashClone(vfs.CrashCloneCfg{})
}

// hooked is a target that a test looks into before each event.
type hooked struct {
	*table
	before func(event.Event) error
}

func (d *hooked) Write(ctx context.Context, s projection.Session, from, to event.Position, events []event.Event) error {
	for _, ev := range events {
		if err := d.before(ev); err != nil {
			return err
		}
	}
	return d.table.Write(ctx, s, from, to, events)
}

func TestAnEventThatKillsTheProcessIsFoundAndParked(t *testing.T) {
	for _, kind := range []string{"model", "effect", "sink"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			disk := crashfs.New()
			const killer = 7
			rows := &table{}
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
				dead, over := make(chan *crashfs.FS, 1), make(chan struct{})
				meets := func(at event.Position) error {
					if at == killer {
						dead <- l.dies()
						<-over
						return errBroken
					}
					return nil
				}
				var p projection.Projection
				switch o := (projection.Options{CommitEvery: time.Hour}); kind {
				case "model":
					p = projection.NewModel("balances", projection.Fold(func(s *Balance, e Deposited, ev event.Event) error {
						return errors.Join(meets(ev.Position), s.deposit(e, ev))
					})).With(o)
				case "effect":
					p = mailer(o, func(_ context.Context, _ Deposited, ev event.Event) error { return meets(ev.Position) })
				default:
					p = sinkOf(&hooked{rows, func(ev event.Event) error { return meets(ev.Position) }}, projection.Options{})
				}
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
				close(over)
				<-w.done
			}
			if lives != 5 {
				t.Fatalf("found in life %d, want: three deaths, one more with the event in hand, and then it is parked", lives)
			}
		})
	}
}

// An event that was set aside, and kills the process when it is tried again.
func TestARetryThatKillsTheProcessIsFoundAndParked(t *testing.T) {
	for _, kind := range []string{"model", "effect", "sink"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			disk := crashfs.New()
			rows := &table{}
			for lives := 1; ; lives++ {
				if lives > 8 {
					t.Fatalf("not found in %d lives", lives)
				}
				l := begin(t, disk)
				if lives == 1 {
					l.deposit(1, "k", "other")
				}
				dead, over := make(chan *crashfs.FS, 1), make(chan struct{})
				var p projection.Projection
				meets := func(ev event.Event) error {
					switch {
					case ev.Stream.ID != "k":
						return nil
					case l.info(p).Checkpoint < 2: // the row is not stored yet
						return projection.RetryAfter(10*time.Millisecond, errBroken)
					}
					l.deposit(1, "later") // it is behind the head
					select {
					case dead <- l.dies():
					default: // tried again, until the worker hears of its death
					}
					<-over
					return errBroken
				}
				switch kind {
				case "model":
					p = projection.NewModel("balances", projection.Fold(func(s *Balance, e Deposited, ev event.Event) error {
						return errors.Join(meets(ev), s.deposit(e, ev))
					}))
				case "effect":
					p = mailer(projection.Options{}, func(_ context.Context, _ Deposited, ev event.Event) error { return meets(ev) })
				default:
					p = sinkOf(&hooked{rows, meets}, projection.Options{})
				}
				w := l.start(l.config(p))
				died, found := false, false
				l.until("it dies, or parks the event", func() bool {
					select {
					case disk = <-dead:
						died = true
					default:
						rows := l.rows(p)
						found = len(rows) == 1 && rows[0].Position == 1 && rows[0].State == store.Parked
					}
					return died || found
				})
				w.cancel()
				close(over)
				<-w.done
				if found {
					return
				}
			}
		})
	}
}

func TestDeathsBetweenProgressDoNotMakeAWorkerCareful(t *testing.T) {
	t.Parallel()
	disk := crashfs.New()
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
	disk := crashfs.New()
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
	disk := crashfs.New()
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

// A worker that goes event by event has committed all but the one in hand.
func TestACarefulWorkerCommitsEachEvent(t *testing.T) {
	t.Parallel()
	disk := crashfs.New()
	for n := range 4 {
		l := begin(t, disk)
		if n == 0 {
			l.deposit(1, "a", "b", "a", "c")
		}
		key := store.SubscriberKey{Projection: "mailer"}
		if n < 3 {
			if _, err := l.store.Subscriber(key).Claim(t.Context(), event.NewID(), time.Minute); err != nil {
				t.Fatal(err)
			}
			disk = l.dies()
			continue
		}
		var seen calls
		entered := make(chan struct{})
		p := mailer(projection.Options{CommitEvery: time.Hour}, func(ctx context.Context, _ Deposited, ev event.Event) error {
			info, err := l.store.Subscriber(key).Info(context.Background())
			if err != nil {
				return err
			}
			seen.add("%d in hand at %d", info.InHand, info.Checkpoint)
			if ev.Position == 3 {
				close(entered)
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		w := l.start(l.config(p))
		select {
		case <-entered:
		case <-time.After(time.Minute):
			t.Fatalf("hangs: %+v", w.Status())
		}
		w.cancel()
		<-w.done
		if got := fmt.Sprint(seen.list()); got != "[1 in hand at 0 2 in hand at 1 3 in hand at 2]" {
			t.Fatalf("saw %s", got)
		}
		if info := l.info(p); info.InHand != 0 || info.Checkpoint != 2 {
			t.Fatalf("the process lives, and the event is in hand: %+v", info)
		}
	}
}

// Skipping another event, while nobody works, does not make the one in hand harmless.
func TestASkipForgetsNoKiller(t *testing.T) {
	t.Parallel()
	disk := crashfs.New()
	handled := calls{}
	p := mailer(projection.Options{}, func(_ context.Context, _ Deposited, ev event.Event) error {
		handled.add("%d", ev.Position)
		return nil
	})
	l := begin(t, disk)
	l.deposit(1, "a", "b", "c")
	lease, err := l.store.Subscriber(l.config(p).Key).Claim(t.Context(), event.NewID(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	row := store.Row{Key: "a", Position: 1, State: store.Parked}
	if _, err := lease.Commit(t.Context(), store.Commit{To: 1, Rows: []store.Row{row}, InHand: 2}); err != nil {
		t.Fatal(err)
	}
	l = begin(t, l.dies())
	w, err := worker.New(l.config(p))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Skip(t.Context(), "a", 1); err != nil {
		t.Fatal(err)
	}
	l.start(l.config(p)).waits(3)
	l.rowsAre(p, "a@1 skipped 0", "b@2 parked 1")
	if got := fmt.Sprint(handled.list()); got != "[3]" {
		t.Errorf("handled %s", got)
	}
}
