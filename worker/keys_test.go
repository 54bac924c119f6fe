package worker_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
	"github.com/riffle-go/riffle/worker"
)

// keyless is a function of keys that cannot find those of some events.
type keyless struct {
	switchable
	fail func()
}

func (k *keyless) of(ev event.Event) string {
	if ev.Stream.ID == "bad" && k.get() != nil {
		k.fail()
	}
	return "key of " + ev.Stream.ID
}

// Nobody knows what would have to wait behind an event without a key.
func TestAnEventWithoutAKeyHaltsOrWaitsUnderItsStream(t *testing.T) {
	for how, fail := range map[string]func(){"panic": func() { panic("no key") }, "goexit": func() { goexit() }} {
		for _, park := range []bool{false, true} {
			for _, kind := range []string{"model", "effect", "sink"} {
				t.Run(fmt.Sprintf("%s, %s, park %t", how, kind, park), func(t *testing.T) {
					bubble(t, func(b *bed) {
						k := &keyless{fail: fail}
						k.set(errBroken)
						o := projection.Options{Key: k.of, ParkUnkeyed: park}
						var c calls
						var p projection.Projection = mailer(o, func(_ context.Context, _ Deposited, ev event.Event) error {
							c.add("%d", ev.Position)
							return nil
						})
						handled := func() string { return fmt.Sprint(c.list()) }
						switch kind {
						case "model":
							m := balances(o)
							p = m
							handled = func() string {
								return fmt.Sprint(append(b.balance(m, "key of a").Seen, b.balance(m, "key of bad").Seen...))
							}
						case "sink":
							tab := &table{}
							p = sinkOf(tab, o)
							handled = func() string { return fmt.Sprint(tab.rows()) }
						}
						b.deposit(1, "a", "bad", "a")
						w := b.start(b.config(p))
						if !park {
							w.becomes(worker.Halted)
							if _, ok := errors.AsType[*projection.KeyError](w.Status().Err); !ok {
								b.Fatalf("halted because of %v", w.Status().Err)
							}
							if info := b.info(p); info.Checkpoint > 1 {
								b.Fatalf("halted at checkpoint %d, behind the event", info.Checkpoint)
							}
							w.drains()
							return
						}
						w.waits(3)
						if rows := b.rows(p); len(rows) != 1 || rows[0].Key != "bad" || rows[0].Position != 2 || !rows[0].Unkeyed {
							b.Fatalf("rows %+v", rows)
						}
						pass(10 * time.Second) // tried again, and still without a key
						if got := handled(); got != "[1 3]" {
							b.Fatalf("handled %s", got)
						}
						k.set(nil)
						pass(time.Minute)
						b.rowsAre(p)
						if got := handled(); got != "[1 3 2]" {
							b.Fatalf("handled %s", got)
						}
						w.drains()
					})
				})
			}
		}
	}
}

// An event whose keys were found late is folded into all of them, or, when that is too late for
// one of them, into none: half of it would go unnoticed.
func TestAnEventWhoseKeysAreFoundLateConcernsAllOfThem(t *testing.T) {
	for _, what := range []string{"waited", "exits", "has gone on", "is blocked"} {
		t.Run("one of them "+what, func(t *testing.T) {
			bubble(t, func(b *bed) {
				k := &keyless{fail: func() { panic("no key") }}
				k.set(errBroken)
				exits := what == "exits"
				m := projection.NewModel("balances", projection.FoldBy(func(e Deposited, ev event.Event) []string {
					k.of(ev)
					return append([]string{ev.Stream.ID}, e.To...)
				}, func(s *Balance, e Deposited, ev event.Event) error {
					switch {
					case e.Cents < 0:
						return projection.Park(errBroken)
					case exits && s.Cents >= 100 && ev.Stream.ID == "bad":
						exits = false
						goexit()
					}
					return s.deposit(e, ev)
				})).With(projection.Options{ParkUnkeyed: true, Retry: projection.Retry{Attempts: 5}})
				b.deposit(100, "y")
				b.append(accounts.Stream("bad"), Deposited{1, []string{"x", "y"}})
				b.append(accounts.Stream("bad"), Deposited{1, []string{"z"}}) // behind the first one
				w := b.start(b.config(m))
				w.waits(3)
				b.rowsAre(m, "bad@2 waiting 3", "bad@3 waiting 0")
				switch what {
				case "has gone on":
					w.waits(b.deposit(1, "y"))
				case "is blocked":
					w.waits(b.deposit(-1, "y"))
				}
				k.set(nil)
				for range 3 { // another key succeeds, so that attempts count
					w.waits(b.deposit(1, "good"))
					pass(time.Hour)
				}
				want := map[string]int64{"bad": 2, "x": 1, "y": 101, "z": 1}
				rows := []string(nil)
				switch what {
				case "has gone on":
					want = map[string]int64{"bad": 0, "x": 0, "y": 101, "z": 0}
					rows = []string{"bad@2 parked 5", "bad@3 waiting 0"}
				case "is blocked":
					want = map[string]int64{"bad": 0, "x": 0, "y": 100, "z": 0}
					rows = []string{"bad@2 parked 5", "bad@3 waiting 0", "y@4 parked 1"}
				}
				b.rowsAre(m, rows...)
				for key, cents := range want {
					if got := b.balance(m, key).Cents; got != cents {
						b.Errorf("%s has %d cents, want %d", key, got, cents)
					}
				}
				w.drains()
			})
		})
	}
}

// An event with several keys is in a commit as a whole, or not at all.
func TestADrainBetweenTheKeysOfAnEventCommitsWhatIsBeforeIt(t *testing.T) {
	bubble(t, func(b *bed) {
		var broken switchable
		broken.set(errBroken)
		m := projection.NewModel("balances", projection.FoldBy(
			func(e Deposited, _ event.Event) []string { return e.To },
			func(s *Balance, e Deposited, ev event.Event) error {
				if s.Cents < 0 && broken.get() != nil {
					return errBroken
				}
				return s.deposit(e, ev)
			})).With(projection.Options{CommitEvery: time.Hour})
		s := accounts.Stream("s")
		b.append(s, Deposited{-10, []string{"poor"}})
		b.append(s, Deposited{1, []string{"rich"}})
		b.append(s, Deposited{1, []string{"new", "rich", "poor"}})
		w := b.start(b.config(m))
		pass(100 * time.Millisecond) // between two tries in hand
		w.drains()
		if info := b.info(m); info.Checkpoint != 2 || b.balance(m, "new").Cents != 0 || b.balance(m, "rich").Cents != 1 {
			b.Fatalf("checkpoint %d, states %+v and %+v", info.Checkpoint, b.balance(m, "new"), b.balance(m, "rich"))
		}
		broken.set(nil)
		w = b.start(b.config(m))
		w.waits(3)
		for key, want := range map[string]string{"new": "{1 [3]}", "rich": "{2 [2 3]}", "poor": "{-9 [1 3]}"} {
			if got := fmt.Sprint(b.balance(m, key)); got != want {
				b.Errorf("%s is %s, want %s", key, got, want)
			}
		}
		w.drains()
	})
}

// A fold that ends its goroutine between two keys is no place for a commit either, however
// full that is.
func TestAnEventThatEndsItsGoroutineIsCommittedAsAWhole(t *testing.T) {
	t.Parallel()
	b := setupWith(t, &pebblestore.Options{Store: store.Options{Limits: store.Limits{CommitItems: 8}}})
	folds := 0
	m := projection.NewModel("balances", projection.FoldBy(
		func(e Deposited, _ event.Event) []string { return e.To },
		func(s *Balance, e Deposited, ev event.Event) error {
			if folds++; folds == 7 {
				goexit()
			}
			return s.deposit(e, ev)
		})).With(projection.Options{CommitEvery: time.Hour})
	b.append(accounts.Stream("s"), Deposited{1, []string{"a", "b", "c"}})
	last := b.append(accounts.Stream("s"), Deposited{1, []string{"d", "e", "f", "g"}})
	w := b.start(b.config(m))
	w.waits(last)
	for _, key := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		if got := b.balance(m, key).Cents; got != 1 {
			t.Errorf("%s has %d cents", key, got)
		}
	}
	w.drains()
}

// A row belongs to the key that it was made for.
func TestAnEventSetAsideForAKeyThatItHasNoMoreGoesToNoOther(t *testing.T) {
	bubble(t, func(b *bed) {
		by := func(key string, broken error) *projection.Model[Balance] {
			return projection.NewModel("balances", projection.FoldBy(
				func(Deposited, event.Event) []string { return []string{key} },
				func(s *Balance, e Deposited, ev event.Event) error { return cmp.Or(broken, s.deposit(e, ev)) }))
		}
		before, after := by("before", projection.Park(errBroken)), by("after", nil)
		w := b.start(b.config(before))
		w.waits(b.deposit(1, "s"))
		w.drains()
		w = b.start(b.config(after))
		if err := w.Retry(b.Context(), "before"); err != nil {
			b.Fatal(err)
		}
		pass(time.Minute)
		b.rowsAre(before, "before@1 waiting 1")
		if before, after := b.balance(after, "before").Cents, b.balance(after, "after").Cents; before != 0 || after != 0 {
			b.Errorf("%d and %d cents", before, after)
		}
		w.drains()
	})
}
