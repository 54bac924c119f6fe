package store_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

// batches of all kinds, to be appended again and again
func someBatches(expects ...store.Expect) []store.Batch {
	var out []store.Batch
	for i, e := range expects {
		out = append(out, store.Batch{
			Stream: accounts.Stream(fmt.Sprint("s", i)), Expect: e, Once: e < 0,
			Events: event.Of(deposited{1}, deposited{2}, deposited{3}),
		})
	}
	return out
}

// A batch that nothing but its neighbours tells where to look for.
func TestRepeatedAppendFindsBatchesWithoutOnceBesideTheOthers(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	for i := range 4 {
		deposit(t, st, fmt.Sprint("s", i), 2)
	}
	batches := someBatches(store.Any, store.Exact(2), store.Exists, store.Any)
	for i := range batches {
		batches[i].Once = false
	}
	first, err := st.Append(t.Context(), batches...)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		deposit(t, st, fmt.Sprint("s", i), 2)
	}
	again, err := st.Append(t.Context(), batches...)
	if err != nil {
		t.Fatal(err)
	}
	first.Replayed = true
	wantEqual(t, "result", again, first)

	batches[0].Events = event.Of(deposited{1}, deposited{2}, deposited{3})
	_, err = st.Append(t.Context(), batches...)
	wantError(t, err, store.ErrIDReused)

	// At the beginning of the log there is no neighbour before.
	empty, _ := setup(t, memdriver.Options{})
	if _, err := empty.Append(t.Context(), someBatches(store.NoStream)...); err != nil {
		t.Fatal(err)
	}
	only := store.Batch{Stream: accounts.Stream("z"), Events: event.Of(opened{})}
	if _, err := empty.Append(t.Context(), only); err != nil {
		t.Fatal(err)
	}
	before := store.Batch{Stream: accounts.Stream("y"), Expect: store.Any, Events: event.Of(opened{})}
	_, err = empty.Append(t.Context(), before, only)
	wantError(t, err, store.ErrIDReused)
}

func TestRepeatedAppendReturnsTheFirstResult(t *testing.T) {
	t.Parallel()
	for name, expects := range map[string][]store.Expect{
		"no stream":       {store.NoStream},
		"exact":           {store.Exact(2)},
		"any once":        {store.Any},
		"exists once":     {store.Exists},
		"several streams": {store.NoStream, store.NoStream, store.NoStream},
		"mixed":           {store.NoStream, store.Any, store.NoStream, store.Any},
		"mixed 2":         {store.Any, store.NoStream, store.Any},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, d := setup(t, memdriver.Options{})
			if expects[0] == store.Exact(2) || expects[0] == store.Exists {
				deposit(t, st, "s0", 2)
			}
			batches := someBatches(expects...)
			first, err := st.Append(t.Context(), batches...)
			if err != nil || first.Replayed {
				t.Fatal(first, err)
			}
			for i := range expects { // others append behind it
				deposit(t, st, fmt.Sprint("s", i), 2)
			}
			reopened := open(t, d.Reopen())
			for _, st := range []*store.Store{reopened, reopened} {
				again, err := st.Append(t.Context(), batches...)
				if err != nil {
					t.Fatal(err)
				}
				want := first
				want.Replayed = true
				wantEqual(t, "result", again, want)
			}
		})
	}
}

func TestAppendWithSomeIDsStoredIsRefused(t *testing.T) {
	t.Parallel()
	ids := event.Of(deposited{1}, deposited{2}, deposited{3})
	ann, bob := accounts.Stream("ann"), accounts.Stream("bob")
	first := store.Batch{Stream: ann, Events: ids, Once: true}
	for name, again := range map[string][]store.Batch{
		"one id is new":            {{Stream: ann, Events: []event.Payload{ids[0], event.Of(deposited{9})[0], ids[2]}}},
		"one event less is there":  {{Stream: ann, Events: append(append([]event.Payload{}, ids...), event.Of(deposited{9})...)}},
		"another batch is new":     {{Stream: ann, Events: ids}, {Stream: bob, Events: event.Of(deposited{4})}},
		"once: another order":      {{Stream: ann, Expect: store.Any, Once: true, Events: []event.Payload{ids[1], ids[0], ids[2]}}},
		"once: another stream":     {{Stream: bob, Expect: store.Any, Once: true, Events: ids}},
		"once: a new id":           {{Stream: ann, Expect: store.Any, Once: true, Events: append(event.Of(deposited{9}), ids...)}},
		"once: with a gap":         {{Stream: ann, Expect: store.Any, Once: true, Events: []event.Payload{ids[0], ids[2]}}},
		"once: with a new batch":   {{Stream: ann, Expect: store.Any, Once: true, Events: ids}, {Stream: bob, Expect: store.Any, Once: true, Events: event.Of(deposited{1})}},
		"once: exact elsewhere":    {{Stream: bob, Once: true, Events: ids}},
		"once: at another version": {{Stream: ann, Expect: store.Exact(1), Once: true, Events: ids}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, _ := setup(t, memdriver.Options{})
			if _, err := st.Append(t.Context(), first); err != nil {
				t.Fatal(err)
			}
			_, err := st.Append(t.Context(), again...)
			wantError(t, err, store.ErrIDReused)
			reused, _ := errors.AsType[*store.IDReusedError](err)
			e, err := st.Event(t.Context(), reused.Position)
			if err != nil || e.ID != reused.ID {
				t.Fatalf("the error names %s at %d, there is %s (%v)", reused.ID, reused.Position, e.ID, err)
			}
			head, err := st.Head(t.Context())
			if err != nil || head.Position != 3 {
				t.Fatal("something was written", head, err)
			}
		})
	}
}

func TestAnyWithoutOnceAppendsAgain(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	b := store.Batch{Stream: accounts.Stream("a"), Expect: store.Any, Events: event.Of(deposited{1})}
	for range 2 {
		if _, err := st.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	head, err := st.Head(t.Context())
	if err != nil || head.Position != 2 {
		t.Fatal(head, err)
	}
}

func TestConflictWhoseReadBackFailsIsUnknown(t *testing.T) {
	t.Parallel()
	odd := errors.New("odd")
	var fail atomic.Bool
	st, _ := setup(t, memdriver.Options{Faults: memdriver.Faults{Read: func(store.Scan) error {
		if fail.Load() {
			return odd
		}
		return nil
	}}})
	deposit(t, st, "a", 1)
	fail.Store(true)
	_, err := st.Append(t.Context(), store.Batch{Stream: accounts.Stream("a"), Events: event.Of(deposited{1})})
	wantError(t, err, store.ErrUnknown)
	wantError(t, err, odd)
	if errors.Is(err, store.ErrConflict) {
		t.Fatal("a conflict would let the caller decide anew, although the append may be stored")
	}
}
