package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
	"github.com/riffle-go/riffle/worker"
)

func TestALiveWorkerCommitsAtOnceAfterThePage(t *testing.T) {
	bubble(t, func(b *bed) {
		m := balances(projection.Options{CommitEvery: time.Hour})
		w := b.start(b.config(m))
		w.becomes(worker.Live)
		b.deposit(1, "a")
		pass(20 * time.Millisecond)
		if info := b.info(m); info.Checkpoint != 1 {
			b.Fatalf("20 ms after the append the checkpoint is %d", info.Checkpoint)
		}
		w.drains()
	})
}

func TestAFinishedPrefixIsCommittedWhileAHandlerIsSlow(t *testing.T) {
	bubble(t, func(b *bed) {
		p := mailer(projection.Options{}, func(_ context.Context, _ Deposited, ev event.Event) error {
			if ev.Position > 2 {
				pass(10 * time.Second)
			}
			return nil
		})
		b.deposit(1, "a", "b", "c", "d")
		w := b.start(b.config(p))
		pass(200 * time.Millisecond)
		if info := b.info(p); info.Checkpoint != 2 {
			b.Fatalf("200 ms after the first two were handled the checkpoint is %d", info.Checkpoint)
		}
		pass(10 * time.Second)
		if info := b.info(p); info.Checkpoint != 3 {
			b.Fatalf("checkpoint %d, want 3", info.Checkpoint)
		}
		w.waits(4)
		w.drains()
	})
}

func TestOnlyAFinishedPrefixIsCommittedWithConcurrency(t *testing.T) {
	bubble(t, func(b *bed) {
		p := mailer(projection.Options{Concurrency: 4}, func(_ context.Context, _ Deposited, ev event.Event) error {
			if ev.Position == 2 {
				pass(10 * time.Second)
			}
			return nil
		})
		ids := make([]string, 20)
		for i := range ids {
			ids[i] = fmt.Sprint(i)
		}
		last := b.deposit(1, ids...)
		w := b.start(b.config(p))
		pass(time.Second)
		if info := b.info(p); info.Checkpoint != 1 {
			b.Fatalf("checkpoint %d while position 2 is in hand", info.Checkpoint)
		}
		w.waits(last)
		w.drains()
	})
}

func TestProgressOverEventsOfOthersIsWrittenForAWaiterAndAtARelease(t *testing.T) {
	bubble(t, func(b *bed) {
		m := balances(projection.Options{})
		w := b.start(b.config(m))
		w.becomes(worker.Live)
		b.note()
		pos := b.note()
		at := time.Now()
		w.waits(pos)
		if d := time.Since(at); d > 10*time.Millisecond {
			b.Fatalf("Wait took %v", d)
		}
		if info := b.info(m); info.Checkpoint != pos {
			b.Fatalf("checkpoint %d, want %d", info.Checkpoint, pos)
		}
		b.note()
		w.drains()
		if info := b.info(m); info.Checkpoint != pos {
			b.Fatalf("checkpoint %d: an idle worker does not look for events of others", info.Checkpoint)
		}
	})
}

func TestProgressOverEventsOfOthersIsWrittenEveryTenSeconds(t *testing.T) {
	bubble(t, func(b *bed) {
		for range 5 {
			b.note()
		}
		m := balances(projection.Options{})
		w := b.start(b.config(m))
		w.becomes(worker.Live)
		pass(9 * time.Second)
		if info := b.info(m); info.Checkpoint != 0 {
			b.Fatalf("checkpoint %d after 9 s", info.Checkpoint)
		}
		if st := w.Status(); st.Covered != 5 {
			b.Fatalf("covered %d, want 5", st.Covered)
		}
		pass(2 * time.Second)
		if info := b.info(m); info.Checkpoint != 5 {
			b.Fatalf("checkpoint %d after 11 s", info.Checkpoint)
		}
		w.drains()
	})
}

// picky cannot be encoded in some states.
type picky struct {
	Sum int64
	How string `json:"-"`
}

var errUnencodable = errors.New("odd")

func (p picky) MarshalJSON() ([]byte, error) {
	if p.Sum < 0 {
		switch p.How {
		case "panic":
			panic("odd")
		case "goexit":
			goexit()
		case "skip":
			return nil, projection.Skip(errUnencodable)
		}
		return nil, errUnencodable
	}
	type plain picky
	return json.Marshal(plain(p))
}

func TestAStateThatCannotBeEncodedParksTheEventThatMadeItSo(t *testing.T) {
	for how, want := range map[string]string{"error": errUnencodable.Error(), "panic": "panicked", "goexit": "Goexit"} {
		t.Run(how, func(t *testing.T) {
			bubble(t, func(b *bed) {
				m := projection.NewModel("balances", projection.Fold(func(s *picky, e Deposited, _ event.Event) error {
					s.Sum += e.Cents
					s.How = how
					return nil
				}))
				for _, cents := range []int64{1, 2, -10, 3} {
					b.deposit(cents, "a")
					b.deposit(cents, "b"+fmt.Sprint(cents))
				}
				w := b.start(b.config(m))
				w.waits(8)
				b.rowsAre(m, "a@5 waiting 1", "a@7 waiting 0", "b-10@6 waiting 1")
				sn, err := b.store.State(b.Context(), store.SnapshotKey{Projection: "balances", Key: "a"})
				if err != nil || string(sn.State) != `{"Sum":3}` || sn.Position != 3 {
					b.Fatalf("state %s at %d (%v)", sn.State, sn.Position, err)
				}
				if got := b.rows(m)[0].Last; !strings.Contains(got, want) {
					b.Fatalf("the row says %q", got)
				}
				w.drains()
			})
		})
	}
}

// The events behind one that is skipped because of its state count.
func TestAnEventWhoseStateIsSkippedIsLeftOutAlone(t *testing.T) {
	bubble(t, func(b *bed) {
		m := projection.NewModel("balances", projection.Fold(func(s *picky, e Deposited, _ event.Event) error {
			s.Sum, s.How = s.Sum+e.Cents, "skip"
			return nil
		}))
		for _, cents := range []int64{1, -10, 2, -20, 3} {
			b.deposit(cents, "a")
		}
		w := b.start(b.config(m))
		w.waits(5)
		b.rowsAre(m, "a@2 skipped 1", "a@4 skipped 1")
		sn, err := b.store.State(b.Context(), store.SnapshotKey{Projection: "balances", Key: "a"})
		if err != nil || string(sn.State) != `{"Sum":6}` || sn.Position != 5 {
			b.Fatalf("state %s at %d (%v)", sn.State, sn.Position, err)
		}
		w.drains()
	})
}

func TestAStateThatIsTooLargeBelongsToItsKey(t *testing.T) {
	t.Parallel()
	b := setupWith(t, &pebblestore.Options{Store: store.Options{Limits: store.Limits{StateBytes: 300}}})
	m := balances(projection.Options{})
	for range 200 {
		b.deposit(1, "big")
	}
	b.deposit(1, "small")
	w := b.start(b.config(m))
	w.waits(201)
	w.drains()
	if got := b.balance(m, "small").Cents; got != 1 {
		t.Fatalf("small has %d cents", got)
	}
	rows, got := b.rows(m), b.balance(m, "big")
	if len(rows)+len(got.Seen) != 200 || len(got.Seen) < 50 || rows[0].Position != got.Seen[len(got.Seen)-1]+1 {
		t.Fatalf("%d rows, and the state has %v", len(rows), got.Seen)
	}
}

func TestCommitsStayWithinTheLimits(t *testing.T) {
	t.Parallel()
	b := setupWith(t, &pebblestore.Options{Store: store.Options{Limits: store.Limits{CommitItems: 8, CommitBytes: 4096}}})
	m := projection.NewModel("balances", projection.FoldBy(
		func(e Deposited, _ event.Event) []string { return e.To }, (*Balance).deposit)).With(projection.Options{CommitEvery: time.Hour})
	want := map[string]int64{}
	for i := range 300 {
		to := []string{fmt.Sprint(i % 40), fmt.Sprint((i * 7) % 50), "x" + fmt.Sprint(i%3)}
		to = slices.Compact(slices.Sorted(slices.Values(to)))
		for _, k := range to {
			want[k]++
		}
		b.append(accounts.Stream("s"), Deposited{1, to})
	}
	w := b.start(b.config(m))
	w.waits(300)
	w.drains()
	for k, cents := range want {
		if got := b.balance(m, k).Cents; got != cents {
			t.Fatalf("key %s has %d cents, want %d", k, got, cents)
		}
	}
}

func TestStatesThatGrowBeyondACommitAreCommittedInSmallerSteps(t *testing.T) {
	t.Parallel()
	b := setupWith(t, &pebblestore.Options{Store: store.Options{Limits: store.Limits{CommitBytes: 20_000}}})
	m := projection.NewModel("texts", projection.Fold(func(s *string, e Deposited, _ event.Event) error {
		*s = strings.Repeat("x", 3000) // far more than the event has
		return nil
	})).With(projection.Options{CommitEvery: time.Hour})
	for i := range 100 {
		b.deposit(1, fmt.Sprint(i))
	}
	w := b.start(b.config(m))
	w.waits(100)
	w.drains()
	n := 0
	for _, err := range b.store.States(t.Context(), "texts", 0, store.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 100 {
		t.Fatalf("%d states, want 100", n)
	}
}

func TestAnEventThatFitsIntoNoCommitHalts(t *testing.T) {
	t.Parallel()
	b := setupWith(t, &pebblestore.Options{Store: store.Options{Limits: store.Limits{CommitItems: 5}}})
	m := projection.NewModel("balances", projection.FoldBy(
		func(e Deposited, _ event.Event) []string { return e.To }, (*Balance).deposit))
	b.append(accounts.Stream("s"), Deposited{1, []string{"a", "b", "c", "d", "e", "f"}})
	w := b.start(b.config(m))
	w.becomes(worker.Halted)
	if err := w.Status().Err; err == nil || !strings.Contains(err.Error(), "too many keys") {
		t.Fatalf("halted because of %v", err)
	}
	w.drains()
}

func TestAKeyThatCannotBeFoundHaltsOrParksByTheStream(t *testing.T) {
	for _, park := range []bool{false, true} {
		t.Run(fmt.Sprint("park ", park), func(t *testing.T) {
			bubble(t, func(b *bed) {
				var broken switchable
				broken.set(errBroken)
				m := projection.NewModel("balances", projection.FoldBy(func(e Deposited, ev event.Event) []string {
					if ev.Position == 2 && broken.get() != nil {
						panic("no key")
					}
					return e.To
				}, (*Balance).deposit)).With(projection.Options{ParkUnkeyed: park})
				for i := range 3 {
					b.append(accounts.Stream(fmt.Sprint("s", i)), Deposited{1, []string{"k" + fmt.Sprint(i)}})
				}
				w := b.start(b.config(m))
				if !park {
					w.becomes(worker.Halted)
					if info := b.info(m); info.Checkpoint >= 2 {
						b.Fatalf("checkpoint %d", info.Checkpoint)
					}
					w.drains()
					return
				}
				w.waits(3)
				b.rowsAre(m, "s1@2 waiting 3")
				broken.set(nil)
				pass(time.Minute)
				b.rowsAre(m)
				if got := b.balance(m, "k1").Cents; got != 1 {
					b.Fatalf("%d cents after the retry", got)
				}
				w.drains()
			})
		})
	}
}

func TestTheStateCacheIsBoundedAndStatesComeBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := balances(projection.Options{CommitEvery: time.Millisecond, PageSize: 10})
	for range 3 {
		for i := range 100 {
			b.deposit(1, fmt.Sprint(i))
		}
	}
	c := b.config(m)
	c.StateCache = 1
	w := b.start(c)
	w.waits(300)
	w.drains()
	for i := range 100 {
		if got := b.balance(m, fmt.Sprint(i)).Cents; got != 3 {
			t.Fatalf("key %d has %d cents", i, got)
		}
	}
}

func TestHandlersRunWhileACommitIsUnderWay(t *testing.T) {
	bubble(t, func(b *bed) {
		var handled atomic.Int64
		p := mailer(projection.Options{CommitEvery: time.Millisecond}, func(context.Context, Deposited, event.Event) error {
			pass(time.Millisecond)
			handled.Add(1)
			return nil
		})
		for range 100 {
			b.deposit(1, "a")
		}
		at := time.Now()
		w := b.start(b.config(p))
		b.until("all handled", func() bool { return handled.Load() == 100 })
		if d := time.Since(at); d > 110*time.Millisecond { // a lazy commit alone takes 5 ms
			b.Fatalf("100 events of 1 ms took %v: the handlers waited for commits", d)
		}
		w.waits(100)
		w.drains()
	})
}
