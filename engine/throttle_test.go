package engine

import (
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// appends simulates a store whose appends are slower while a page of a rebuild runs.
type appends struct {
	mu             sync.Mutex
	position       float64
	last           time.Time
	working        bool
	atWork, atRest float64 // per second
}

func (a *appends) head() (event.Position, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	rate := a.atRest
	if a.working {
		rate = a.atWork
	}
	a.position += rate * time.Since(a.last).Seconds()
	a.last = time.Now()
	return event.Position(a.position), true
}

func (a *appends) work(on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.working = on
}

// pages runs pages of 10 ms and returns the rest after the last one.
func pages(t *testing.T, n int, atWork, atRest float64) (rest time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		a := &appends{last: time.Now(), atWork: atWork, atRest: atRest}
		th := &throttle{head: a.head, now: time.Now, factor: restFirst}
		for range n {
			a.work(true)
			time.Sleep(10 * time.Millisecond)
			rest = th.pauseFor(1_000_000, 500)
			a.work(false)
			time.Sleep(rest)
			synctest.Wait() // the end of the rest has been measured
		}
	})
	return rest
}

func TestARebuildDoesNotRestWhenNobodyAppends(t *testing.T) {
	t.Parallel()
	if rest := pages(t, 20, 0, 0); rest != 0 {
		t.Fatalf("rests %v", rest)
	}
}

func TestARebuildRestsLongerWhileAppendsSuffer(t *testing.T) {
	t.Parallel()
	if rest := pages(t, 20, 1000, 10_000); rest != 40*time.Millisecond {
		t.Fatalf("rests %v after a page of 10 ms, want the most, 40 ms", rest)
	}
}

func TestARebuildRestsLittleWhileAppendsDoNotSuffer(t *testing.T) {
	t.Parallel()
	rest := pages(t, 20, 10_000, 10_000)
	if rest <= 0 || rest > 10*time.Millisecond {
		t.Fatalf("rests %v after a page of 10 ms, want a fraction of that", rest)
	}
}

func TestARebuildDoesNotRestNearTheHead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &appends{last: time.Now(), atWork: 1000, atRest: 10_000}
		th := &throttle{head: a.head, now: time.Now, factor: restFirst}
		for _, left := range []uint64{10_000, 1000, 0} {
			time.Sleep(10 * time.Millisecond)
			th.pauseFor(10_000, 500)
			time.Sleep(10 * time.Millisecond)
			if rest := th.pauseFor(left, 500); (rest > 0) != (left > 1000) {
				t.Errorf("with %d events left it rests %v", left, rest)
			}
			synctest.Wait()
		}
	})
}

// The head that a throttle looks at is that of a store which appends go to.
func TestAThrottleSeesTheAppendsOfAStore(t *testing.T) {
	t.Parallel()
	st, err := pebblestore.OpenMem(&pebblestore.Options{Store: store.Options{Logger: slog.New(slog.DiscardHandler)}})
	if err != nil {
		t.Fatal(err)
	}
	appendOne := func() {
		_, err := st.Append(t.Context(), store.Batch{Stream: event.Aggregate("a").Stream("s"), Expect: store.Any, Events: event.Of(stone{})})
		if err != nil {
			t.Error(err)
		}
	}
	th := newThrottle(st)
	const far, page = 1_000_000, 500
	if rest := th.pauseFor(far, page); rest != 0 {
		t.Errorf("rests %v before it has measured a page", rest)
	}
	if rest := th.pauseFor(far, page); rest != 0 {
		t.Errorf("rests %v while nobody appends", rest)
	}
	appendOne()
	if rest := th.pauseFor(far, page); rest <= 0 || rest > restLongest {
		t.Errorf("rests %v after a page during which somebody appended", rest)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	if rest := th.pauseFor(far, page); rest != 0 {
		t.Errorf("rests %v when the store is closed", rest)
	}
}

type stone struct{}

func (stone) EventType() event.Type { return event.Aggregate("a").Event("stone") }
