package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/worker"
)

const echoes = event.Aggregate("test/echo")

// echoed returns what was emitted, in order.
func (b *bed) echoed() []event.Position {
	b.Helper()
	var out []event.Position
	for ev, err := range b.store.Events(context.Background(), store.Query{Match: store.MatchTypes(Echoed{}.EventType())}) {
		if err != nil {
			b.Fatal(err)
		}
		e, err := event.Decode[Echoed](ev)
		if err != nil {
			b.Fatal(err)
		}
		out = append(out, e.Of)
	}
	return out
}

func emit(ctx context.Context, stream string, expect store.Expect, of event.Position) error {
	return projection.Emit(ctx, store.Batch{Stream: echoes.Stream(stream), Expect: expect, Events: event.Of(Echoed{of})})
}

func TestAnEventThatEmittedEndsTheCommit(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 8} {
		b := setup(t)
		var early calls
		p := mailer(projection.Options{Concurrency: n}, func(ctx context.Context, _ Deposited, ev event.Event) error {
			if n == 1 { // what the one before emitted is there already
				info, err := b.store.Stream(ctx, echoes.Stream("all"))
				if err != nil {
					return err
				}
				if info.Version != uint64(ev.Position-1) {
					early.add("%d at version %d", ev.Position, info.Version)
				}
			}
			return emit(ctx, "all", store.Any, ev.Position)
		})
		for i := range 60 {
			b.deposit(1, fmt.Sprint(i%7))
		}
		w := b.start(b.config(p))
		w.waits(60)
		w.drains()
		if got := early.list(); len(got) > 0 {
			t.Fatalf("handled before the commit of the one before: %q", got)
		}
		got := b.echoed()
		if len(got) != 60 {
			t.Fatalf("with concurrency %d, %d emitted, want 60", n, len(got))
		}
		for i, p := range got {
			if p != event.Position(i+1) {
				t.Fatalf("with concurrency %d the order of emits is %v", n, got)
			}
		}
	}
}

func TestBatchedEmitsShareCommits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := mailer(projection.Options{BatchEmits: true}, func(ctx context.Context, _ Deposited, ev event.Event) error {
		return emit(ctx, "all", store.Any, ev.Position)
	})
	for range 300 {
		b.deposit(1, "a")
	}
	w := b.start(b.config(p))
	w.waits(300)
	w.drains()
	if got := b.echoed(); len(got) != 300 || got[299] != 300 {
		t.Fatalf("emitted %v", got)
	}
	times := map[time.Time]int{}
	for ev, err := range b.store.Events(t.Context(), store.Query{Match: store.MatchTypes(Echoed{}.EventType())}) {
		if err != nil {
			t.Fatal(err)
		}
		times[ev.Time]++
	}
	if len(times) > 150 {
		t.Fatalf("300 emits in at least %d commits", len(times))
	}
}

func TestThePrefixBeforeAConflictIsCommitted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var early calls
	p := mailer(projection.Options{BatchEmits: true}, func(ctx context.Context, _ Deposited, ev event.Event) error {
		info, err := b.store.Stream(ctx, echoes.Stream("contended"))
		if err != nil || ev.Position%2 == 1 {
			return errors.Join(err, emit(ctx, "mine", store.Any, ev.Position))
		}
		if info.Version == uint64(ev.Position/2-1) { // the first try: somebody else comes between
			b.append(echoes.Stream("contended"), Echoed{})
			return emit(ctx, "contended", store.Exact(info.Version), ev.Position)
		}
		sub, err := b.store.Subscriber(store.SubscriberKey{Projection: "mailer"}).Info(ctx)
		if sub.Checkpoint != ev.Position-1 {
			early.add("%d at checkpoint %d", ev.Position, sub.Checkpoint)
		}
		return errors.Join(err, emit(ctx, "mine", store.Any, ev.Position))
	})
	for i := range 100 {
		b.deposit(1, fmt.Sprint(i))
	}
	w := b.start(b.config(p))
	w.waits(100)
	if got := early.list(); len(got) > 0 {
		t.Fatalf("ran again before the prefix was committed: %q", got)
	}
	var own []event.Position
	for _, e := range b.echoed() {
		if e != 0 {
			own = append(own, e)
		}
	}
	if !slices.IsSorted(own) || len(own) != 100 {
		t.Fatalf("emitted %v", own)
	}
	w.drains()
}

func TestEmitsThatCannotBeStoredAreAFailureOfTheirEvent(t *testing.T) {
	for _, batched := range []bool{false, true} {
		t.Run(fmt.Sprint("batched ", batched), func(t *testing.T) {
			bubble(t, func(b *bed) {
				taken := event.Draft{Payload: Echoed{}, ID: event.NewID()}
				_, err := b.store.Append(b.Context(), store.Batch{Stream: echoes.Stream("x"), Events: []event.Payload{taken}, Once: true})
				if err != nil {
					b.Fatal(err)
				}
				p := mailer(projection.Options{BatchEmits: batched}, func(ctx context.Context, _ Deposited, ev event.Event) error {
					if ev.Stream.ID == "bad" {
						return projection.Emit(ctx, store.Batch{Stream: echoes.Stream("y"), Expect: store.Any, Events: []event.Payload{taken}, Once: true})
					}
					return emit(ctx, "mine", store.Any, ev.Position)
				})
				last := b.deposit(1, "a", "bad", "b", "bad", "c")
				w := b.start(b.config(p))
				w.waits(last)
				b.rowsAre(p, "bad@3 waiting 1", "bad@5 waiting 0")
				if got := fmt.Sprint(b.echoed()); got != "[0 2 4 6]" {
					b.Fatalf("emitted %s", got)
				}
				if got := b.rows(p)[0].Last; !strings.Contains(got, "id") {
					b.Fatalf("the row says %q", got)
				}
				w.drains()
			})
		})
	}
}

func TestEmitsOfAFailedHandlerAreDropped(t *testing.T) {
	bubble(t, func(b *bed) {
		n := 0
		p := mailer(projection.Options{}, func(ctx context.Context, _ Deposited, ev event.Event) error {
			if err := emit(ctx, "all", store.Any, ev.Position); err != nil {
				return err
			}
			if n++; n < 3 {
				return errBroken
			}
			return nil
		})
		b.deposit(1, "a")
		w := b.start(b.config(p))
		w.waits(1)
		if got := fmt.Sprint(b.echoed()); got != "[1]" {
			b.Fatalf("emitted %s, want what the third attempt did", got)
		}
		w.drains()
	})
}

func TestARetriedEventEmitsInTheCommitThatRemovesItsRow(t *testing.T) {
	bubble(t, func(b *bed) {
		var broken switchable
		broken.set(errBroken)
		p := mailer(projection.Options{Concurrency: 4}, func(ctx context.Context, _ Deposited, ev event.Event) error {
			if ev.Stream.ID == "bad" && broken.get() != nil {
				return broken.get()
			}
			return emit(ctx, "all", store.Any, ev.Position)
		})
		b.deposit(1, "bad", "a", "bad")
		w := b.start(b.config(p))
		w.waits(3)
		broken.set(nil)
		pass(10 * time.Second)
		if got := fmt.Sprint(b.echoed()); got != "[2 1 3]" {
			b.Fatalf("emitted %s, want 2, then 1 and 3", got)
		}
		b.rowsAre(p)
		w.drains()
	})
}

// TestEmittersUnderKills kills workers, steals leases and pauses, and checks that nothing is
// lost and nothing comes twice.
func TestAModelAndAnEmitterAreExactlyOnceUnderKills(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := balances(projection.Options{PageSize: 7, CommitEvery: 2 * time.Millisecond})
	p := mailer(projection.Options{PageSize: 5, Concurrency: 3}, func(ctx context.Context, e Deposited, ev event.Event) error {
		if err := emit(ctx, ev.Stream.ID, store.Any, ev.Position); err != nil {
			return err
		}
		if ev.Position%17 == 0 && projection.DeliveryFrom(ctx).Attempt == 1 {
			return projection.RetryAfter(time.Millisecond, errBroken)
		}
		return nil
	})
	const events = 600
	appended := make(chan struct{})
	go func() {
		defer close(appended)
		for i := range events {
			b.deposit(int64(i), fmt.Sprint(i%13))
		}
	}()
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for _, x := range []projection.Projection{m, p} {
		wg.Go(func() { b.torment(x, stop) })
	}
	<-appended
	kills := time.NewTimer(1500 * time.Millisecond)
	<-kills.C
	close(stop)
	wg.Wait()
	head, err := b.store.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []projection.Projection{m, p} {
		w := b.start(b.config(x))
		w.waits(head.Position)
		b.until("rows of "+x.Name()+" are handled", func() bool { return w.Status().BlockedKeys == 0 })
		w.drains()
		b.rowsAre(x)
	}
	want := map[string]int64{}
	order := map[string][]event.Position{}
	for ev, err := range b.store.Events(t.Context(), store.Query{Match: store.MatchTypes(Deposited{}.EventType())}) {
		if err != nil {
			t.Fatal(err)
		}
		e, err := event.Decode[Deposited](ev)
		if err != nil {
			t.Fatal(err)
		}
		want[ev.Stream.ID] += e.Cents
		order[ev.Stream.ID] = append(order[ev.Stream.ID], ev.Position)
	}
	for key, cents := range want {
		got := b.balance(m, key)
		if got.Cents != cents || fmt.Sprint(got.Seen) != fmt.Sprint(order[key]) {
			t.Errorf("state of %s is %+v, want %d from %v", key, got, cents, order[key])
		}
		var echoed []event.Position
		for ev, err := range b.store.Events(t.Context(), store.Query{Match: store.MatchStreams(echoes.Stream(key))}) {
			if err != nil {
				t.Fatal(err)
			}
			e, err := event.Decode[Echoed](ev)
			if err != nil {
				t.Fatal(err)
			}
			echoed = append(echoed, e.Of)
		}
		if fmt.Sprint(echoed) != fmt.Sprint(order[key]) {
			t.Errorf("emitted for %s: %v, want each once, in order: %v", key, echoed, order[key])
		}
	}
}

// torment starts workers and ends them in every way there is.
func (b *bed) torment(p projection.Projection, stop <-chan struct{}) {
	sub := b.store.Subscriber(b.config(p).Key)
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		c := b.config(p)
		c.Takeover, c.LeaseTTL = i%3 == 1, 20*time.Millisecond
		w, err := worker.New(c)
		if err != nil {
			b.Error(err)
			return
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		<-time.After(time.Duration(i*7%23) * time.Millisecond)
		switch i % 5 {
		case 0:
			cancel()
		case 1:
			w.Drain()
		case 2:
			if err := sub.ReleaseLease(context.Background()); err != nil {
				b.Error(err)
			}
		case 3:
			thief, err := sub.Takeover(context.Background(), event.NewID(), 20*time.Millisecond, 0)
			if err != nil {
				b.Error(err)
			} else if err := thief.Release(context.Background()); err != nil && !errors.Is(err, store.ErrLeaseLost) {
				b.Error(err)
			}
		case 4:
			if err := errors.Join(sub.SetPaused(context.Background(), "pause"), sub.SetPaused(context.Background(), "")); err != nil {
				b.Error(err)
			}
			w.Drain()
		}
		select {
		case err = <-done:
		case <-time.After(5 * time.Millisecond):
			cancel()
			err = <-done
		}
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, store.ErrLeaseLost) {
			b.Errorf("Run: %v", err)
		}
	}
}
