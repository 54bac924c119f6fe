package engine_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

func TestRunReturnsNilAfterACleanDrain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := tally(projection.Options{})
	r := b.run(b.engine(m))
	pos := b.append("a", Added{1}, Added{2})
	b.must(r.Wait(t.Context(), m, pos))
	if n := b.tally(m, "a"); n != 3 {
		t.Fatalf("the tally is %d, want 3", n)
	}
	b.must(r.stop())
	info, err := b.store.Subscriber(store.SubscriberKey{Projection: "tally"}).Info(t.Context())
	b.must(err)
	if !info.Worker.IsZero() {
		t.Fatal("the lease is held after a drain")
	}
}

func TestRunReturnsNilWhenItsContextHasEndedAlready(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b.must(b.engine(tally(projection.Options{})).Run(ctx))
}

func TestRunRunsOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := tally(projection.Options{})
	r := b.run(b.engine(m))
	b.must(r.Wait(t.Context(), m, b.append("a", Added{1})))
	if err := r.Run(t.Context()); !errors.Is(err, engine.ErrRunning) {
		t.Fatalf("a second Run: %v", err)
	}
	b.must(r.Wait(t.Context(), m, b.append("a", Added{1}))) // the first one goes on
	b.must(r.stop())
	if err := r.Run(t.Context()); !errors.Is(err, engine.ErrRunning) {
		t.Fatalf("a Run after the first: %v", err)
	}
}

func TestADrainFinishesWhatIsInHand(t *testing.T) {
	t.Parallel()
	b := setup(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	var cause error
	p := projection.NewEffect("slow", projection.On(func(ctx context.Context, _ Added, _ event.Event) error {
		close(entered)
		<-leave
		cause = context.Cause(ctx)
		return nil
	})).With(projection.Options{Start: store.AtPosition(1)})
	pos := b.append("a", Added{1})
	r := b.run(b.engine(p))
	<-entered
	r.cancel()
	b.until("the engine drains", func() bool { return r.Health().Ready != nil })
	close(leave)
	b.must(r.stop())
	if cause != nil {
		t.Fatalf("the handler was cancelled: %v", cause)
	}
	info, err := b.store.Subscriber(store.SubscriberKey{Projection: "slow"}).Info(t.Context())
	b.must(err)
	if info.Checkpoint != pos {
		t.Fatalf("the checkpoint is %d, want %d", info.Checkpoint, pos)
	}
}

// What is in hand at the drain takes longer than a lease: nobody else may begin with it.
func TestADrainKeepsTheLeaseUntilItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		entered := make(chan struct{}, 10)
		slow := projection.NewEffect("slow", projection.On(func(context.Context, Added, event.Event) error {
			entered <- struct{}{}
			time.Sleep(engine.DefaultLeaseTTL * 3 / 2)
			return nil
		})).With(projection.Options{Start: store.AtPosition(1)})
		first := b.run(b.engine(slow))
		pos := b.append("a", Added{1})
		<-entered
		second := b.run(b.engine(slow))
		b.must(first.stop())
		b.must(second.Wait(t.Context(), slow, pos))
		if n := len(entered); n != 0 {
			t.Errorf("the event in hand was handled %d times more", n)
		}
	})
}

func TestWhoDoesNotDrainIsCancelledAndNamed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		entered := make(chan struct{})
		causes := make(chan error, 1)
		slow := projection.NewEffect("slow", projection.On(func(ctx context.Context, _ Added, _ event.Event) error {
			close(entered)
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return ctx.Err()
		})).With(projection.Options{Start: store.AtPosition(1)})
		m := tally(projection.Options{})
		pos := b.append("a", Added{1})
		r := b.run(b.engine(slow, m))
		<-entered
		b.must(r.Wait(t.Context(), m, pos))
		began := time.Now()
		err := r.failing()
		late, ok := errors.AsType[*engine.ShutdownError](err)
		if !ok || !slices.Equal(late.Projections, []string{"slow"}) || len(late.Stuck) != 0 {
			t.Fatalf("got %v, want a ShutdownError that names slow", err)
		}
		if took := time.Since(began); took < 20*time.Second || took > 21*time.Second {
			t.Fatalf("it took %v, want 20 s", took)
		}
		if cause := <-causes; cause == nil || errors.Is(cause, context.Canceled) {
			t.Fatalf("the cause is %v; it should say why", cause)
		}
		info, err := b.store.Subscriber(store.SubscriberKey{Projection: "slow"}).Info(t.Context())
		b.must(err)
		if info.Checkpoint != 0 {
			t.Fatal("abandoned work was committed")
		}
	})
}

func TestAHandlerThatIgnoresItsContextIsNamedAsStuck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		entered, leave := make(chan struct{}), make(chan struct{})
		stuck := projection.NewEffect("stuck", projection.On(func(context.Context, Added, event.Event) error {
			close(entered)
			<-leave
			return nil
		})).With(projection.Options{Start: store.AtPosition(1)})
		b.append("a", Added{1})
		r := b.run(b.engineWith(engine.Config{Projections: []projection.Projection{stuck}, ShutdownTimeout: time.Second}))
		<-entered
		late, ok := errors.AsType[*engine.ShutdownError](r.failing())
		if !ok || !slices.Equal(late.Stuck, []string{"stuck"}) {
			t.Fatalf("got %v, want a ShutdownError that says stuck", late)
		}
		if err := r.CatchUp(t.Context()); !errors.Is(err, engine.ErrRunning) {
			t.Fatalf("a CatchUp beside the stuck handler: %v", err)
		}
		close(leave)
		synctest.Wait()
	})
}

func TestAStoreThatIsClosedEndsRun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := tally(projection.Options{})
	r := b.run(b.engine(m))
	b.must(r.Wait(t.Context(), m, b.append("a", Added{1})))
	b.must(b.store.Close())
	if err := <-r.ended; !errors.Is(err, store.ErrClosed) {
		t.Fatalf("Run ended with %v, want ErrClosed", err)
	}
	r.ended <- nil // for stop
	if h := r.Health(); !errors.Is(h.Live, store.ErrClosed) || h.Ready == nil {
		t.Fatalf("health is %v", h)
	}
}

func TestHandlersGetTheValuesOfRunsContext(t *testing.T) {
	t.Parallel()
	type key struct{}
	b := setup(t)
	got := make(chan any, 1)
	p := projection.NewEffect("values", projection.On(func(ctx context.Context, _ Added, _ event.Event) error {
		got <- ctx.Value(key{})
		return nil
	})).With(projection.Options{Start: store.AtPosition(1)})
	b.append("a", Added{1})
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
	ended := make(chan error, 1)
	e := b.engine(p)
	go func() { ended <- e.Run(ctx) }()
	if v := <-got; v != "value" {
		t.Errorf("the value is %v", v)
	}
	cancel()
	b.must(<-ended)
}

// A stop at any moment is clean, and the next engine goes on exactly where it was.
func TestStartsAndStopsLoseNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := tally(projection.Options{})
	var f effect
	stop := make(chan struct{})
	var appending sync.WaitGroup
	sum := 0
	appending.Go(func() {
		for sum < 4000 {
			select {
			case <-stop:
				return
			default:
			}
			sum++
			if _, err := b.store.Append(context.Background(), store.Batch{
				Stream: Counters.Stream("a"), Expect: store.Any, Events: event.Of(Added{1}),
			}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for i := range 60 {
		e := b.engine(m, f.projection(projection.Options{}))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Duration(i%12)*time.Millisecond, cancel)
		if err := e.Run(ctx); err != nil {
			t.Fatalf("run %d: %v", i, err)
		}
		cancel()
	}
	close(stop)
	appending.Wait()
	b.must(b.engine(m, f.projection(projection.Options{})).CatchUp(t.Context()))
	if n := b.tally(m, "a"); n != sum {
		t.Errorf("the tally is %d, want %d", n, sum)
	}
	if n := len(f.handled()); n != sum {
		t.Errorf("the effect handled %d events, want %d: drains lose and repeat nothing", n, sum)
	}
}
