package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/snapshot"
	"github.com/riffle-go/riffle/store"
)

func TestFoldsStartFromTheCommittedState(t *testing.T) {
	t.Parallel()
	b, s := setup(t, nil)
	b.committed["a"] = store.Snapshot{
		Key: store.SnapshotKey{Key: "a"}, State: []byte(`{"Seen":[1,2]}`), ContentType: "application/json", Position: 2, Version: 2,
	}
	if err := s.Fold(t.Context(), "a", b.event(3, "ok")); err != nil {
		t.Fatal(err)
	}
	if got := seen(t, s, "a"); got != "[1 2 3]" {
		t.Fatal(got)
	}
	cut, err := s.Cut(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := store.Snapshot{
		Key:   store.SnapshotKey{Projection: "p", Generation: 2, Key: "a"},
		State: []byte(`{"Seen":[1,2,3]}`), ContentType: "application/json", Revision: 3, Version: 3, Position: 3,
	}
	if len(cut.Save) != 1 || fmt.Sprint(cut.Save[0]) != fmt.Sprint(want) || cut.Items() != 1 || cut.Bytes != len("a")+len(want.State) {
		t.Fatalf("cut %+v, want %+v", cut, want)
	}
}

func TestAFoldThatFailsLeavesTheStateAsItWas(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"refuse", "panic"} {
		b, s := setup(t, nil)
		for at := range event.Position(3) {
			if err := s.Fold(t.Context(), "a", b.event(at+1, "ok")); err != nil {
				t.Fatal(err)
			}
		}
		if err := fold(t.Context(), s, "a", b.event(4, how)); err == nil {
			t.Fatal("no error")
		}
		if got := seen(t, s, "a"); got != "[1 2 3]" {
			t.Errorf("after %s: %s", how, got)
		}
		if err := s.Fold(t.Context(), "a", b.event(5, "ok")); err != nil {
			t.Fatal(err)
		}
		if got := seen(t, s, "a"); got != "[1 2 3 5]" {
			t.Errorf("after %s and another event: %s", how, got)
		}
	}
}

func TestUndoStartsFromTheCommitUnderWay(t *testing.T) {
	t.Parallel()
	b, s := setup(t, nil)
	must(t, s.Fold(t.Context(), "a", b.event(1, "ok")))
	cut := mustCut(t, s)
	must(t, s.Fold(t.Context(), "a", b.event(2, "ok")))
	b.reads, b.loads = 0, 0
	if err := s.Fold(t.Context(), "a", b.event(3, "refuse")); !errors.Is(err, errRefused) {
		t.Fatal(err)
	}
	if got := seen(t, s, "a"); got != "[1 2]" {
		t.Fatal(got)
	}
	if b.loads != 0 || b.reads != 1 {
		t.Fatalf("undo loaded %d states and read %d events, want 0 and 1", b.loads, b.reads)
	}
	b.commit(cut)
	s.Committed()
	if n, _ := s.Changed(); n != 1 {
		t.Fatalf("%d changed, want the one that was folded into meanwhile", n)
	}
	if got := string(mustCut(t, s).Save[0].State); got != `{"Seen":[1,2]}` {
		t.Fatal(got)
	}
}

func TestUndoOfADeletionUnderWay(t *testing.T) {
	t.Parallel()
	b, s := setup(t, nil)
	must(t, s.Fold(t.Context(), "a", b.event(1, "ok")))
	b.commit(mustCut(t, s))
	s.Committed()
	must(t, s.Fold(t.Context(), "a", b.event(2, "delete")))
	if cut := mustCut(t, s); len(cut.Remove) != 1 || cut.Remove[0] != "a" || len(cut.Save) != 0 {
		t.Fatalf("%+v", cut)
	}
	if err := s.Fold(t.Context(), "a", b.event(3, "refuse")); err == nil {
		t.Fatal("no error")
	}
	if got := seen(t, s, "a"); got != "none" { // not what is still committed
		t.Fatal(got)
	}
	must(t, s.Fold(t.Context(), "a", b.event(4, "ok")))
	if got := seen(t, s, "a"); got != "[4]" {
		t.Fatal(got)
	}
}

func TestAnEventIsNeverFoldedTwice(t *testing.T) {
	t.Parallel()
	b, s := setup(t, nil)
	must(t, s.Fold(t.Context(), "a", b.event(5, "ok")))
	for _, at := range []event.Position{5, 4} {
		if err := s.Fold(t.Context(), "a", b.event(at, "ok")); !errors.Is(err, snapshot.ErrFoldedBefore) {
			t.Errorf("position %d: %v", at, err)
		}
	}
	if got := seen(t, s, "a"); got != "[5]" {
		t.Fatal(got)
	}
}

func TestResetForgetsWhatWasNotCommitted(t *testing.T) {
	t.Parallel()
	b, s := setup(t, nil)
	must(t, s.Fold(t.Context(), "a", b.event(1, "ok")))
	b.commit(mustCut(t, s))
	s.Committed()
	must(t, s.Fold(t.Context(), "a", b.event(2, "ok")))
	mustCut(t, s)
	s.Reset() // the commit failed
	if got := seen(t, s, "a"); got != "[1]" {
		t.Fatal(got)
	}
	if n, bytes := s.Changed(); n != 0 || bytes != 0 {
		t.Fatal(n, bytes)
	}
}

func TestOnlyCleanStatesAreEvictedOldestFirst(t *testing.T) {
	t.Parallel()
	b, s := setup(t, func(c *snapshot.Config) { c.Limit = 2000 }) // about six small states
	at := event.Position(0)
	touch := func(key string) {
		at++
		must(t, s.Fold(t.Context(), key, b.event(at, "ok")))
	}
	for i := range 50 {
		touch(fmt.Sprint("k", i))
	}
	if n, _ := s.Len(); n != 50 {
		t.Fatalf("%d live states: changed ones were evicted", n)
	}
	b.commit(mustCut(t, s))
	if n, _ := s.Len(); n != 50 {
		t.Fatalf("%d live states: some under way were evicted", n)
	}
	s.Committed()
	n, bytes := s.Len()
	if n == 0 || n > 8 || bytes > 2000 {
		t.Fatalf("%d states of %d bytes are left", n, bytes)
	}
	b.loads = 0
	touch("k49") // the last used is still there
	if b.loads != 0 {
		t.Fatal("the last used state was evicted")
	}
	touch("k0")
	if b.loads != 1 {
		t.Fatal("the oldest state was kept")
	}
	if got := seen(t, s, "k0"); got != "[1 52]" {
		t.Fatal(got)
	}
}

func TestReadingManyStatesStaysWithinTheLimit(t *testing.T) {
	t.Parallel()
	_, s := setup(t, func(c *snapshot.Config) { c.Limit = 2000 })
	for i := range 200 {
		if got := seen(t, s, fmt.Sprint("k", i)); got != "none" {
			t.Fatal(got)
		}
		if _, bytes := s.Len(); bytes > 3000 {
			t.Fatalf("%d bytes after %d states", bytes, i)
		}
	}
}

// Keys are parts of the memory of a page of events, which is much more than a state.
func TestStatesKeepNothingButTheirKey(t *testing.T) {
	t.Parallel()
	_, s := setup(t, nil)
	page := make([]byte, 1<<16)
	copy(page, "key")
	freed := make(chan struct{})
	runtime.AddCleanup(&page[0], func(c chan struct{}) { close(c) }, freed)
	seen(t, s, unsafe.String(&page[0], len("key")))
	for range 100 {
		runtime.GC()
		select {
		case <-freed:
			runtime.KeepAlive(s)
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	runtime.KeepAlive(s)
	t.Error("the page that the key is a part of is still in memory")
}

func TestAnUndoThatFailsIsTriedAgain(t *testing.T) {
	t.Parallel()
	b, s := setup(t, nil)
	for at := range event.Position(3) {
		must(t, s.Fold(t.Context(), "a", b.event(at+1, "ok")))
	}
	if err := s.Fold(t.Context(), "a", b.event(4, "refuse")); err == nil {
		t.Fatal("no error")
	}
	lost := b.events[2]
	delete(b.events, 2)
	if _, err := s.View(t.Context(), "a"); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("half a state was given out: %v", err)
	}
	if _, err := s.Cut(t.Context()); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("half a state was cut: %v", err)
	}
	b.events[2] = lost
	if got := seen(t, s, "a"); got != "[1 2 3]" {
		t.Fatal(got)
	}
}

func TestAFoldThatChangesItsMindIsAnError(t *testing.T) {
	t.Parallel()
	b, s := setup(t, nil)
	must(t, s.Fold(t.Context(), "a", b.event(1, "ok")))
	b.event(1, "refuse")
	if err := s.Fold(t.Context(), "a", b.event(2, "refuse")); !errors.Is(err, errRefused) {
		t.Fatal(err)
	}
	if _, err := s.View(t.Context(), "a"); !errors.Is(err, errRefused) {
		t.Fatalf("the state was built without an event: %v", err)
	}
}

func TestSettleFindsTheEventThatCannotBeEncoded(t *testing.T) {
	t.Parallel()
	for _, underWay := range []bool{false, true} {
		b, s := setup(t, nil)
		broken := errors.New("a loop")
		b.encodable = func(j *journal) error {
			for _, at := range j.Seen {
				if at == 3 {
					return broken
				}
			}
			return nil
		}
		must(t, s.Fold(t.Context(), "a", b.event(1, "ok")))
		if underWay {
			mustCut(t, s)
		}
		for _, at := range []event.Position{2, 3, 4, 5} {
			must(t, s.Fold(t.Context(), "a", b.event(at, "ok")))
		}
		must(t, s.Fold(t.Context(), "b", b.event(6, "ok")))
		if underWay {
			s.Committed()
			b.committed["a"] = store.Snapshot{State: []byte(`{"Seen":[1]}`), ContentType: "application/json", Position: 1}
		}
		_, err := s.Cut(t.Context())
		bad, ok := errors.AsType[*snapshot.EncodeError](err)
		if !ok || bad.Key != "a" || !errors.Is(err, broken) {
			t.Fatalf("cut: %v", err)
		}
		found, err := s.Settle(t.Context(), "a")
		if err != nil || found.Culprit != 3 || !errors.Is(found.Err, broken) || fmt.Sprint(found.Behind) != "[4 5]" {
			t.Fatalf("%+v, %v", found, err)
		}
		if got := seen(t, s, "a"); got != "[1 2]" {
			t.Fatal(got)
		}
		if cut := mustCut(t, s); len(cut.Save) != 2 || cut.Save[0].Position != 2 {
			t.Fatalf("%+v", cut)
		}
	}
}

func TestSettleOfAGoodKeyChangesNothing(t *testing.T) {
	t.Parallel()
	b, s := setup(t, nil)
	must(t, s.Fold(t.Context(), "a", b.event(1, "ok")))
	must(t, s.Fold(t.Context(), "a", b.event(2, "ok")))
	for _, key := range []string{"a", "unknown"} {
		if found, err := s.Settle(t.Context(), key); err != nil || found.Culprit != 0 {
			t.Fatalf("%+v, %v", found, err)
		}
	}
	if got := seen(t, s, "a"); got != "[1 2]" {
		t.Fatal(got)
	}
}

func TestOneCutAtATime(t *testing.T) {
	t.Parallel()
	b, s := setup(t, nil)
	must(t, s.Fold(t.Context(), "a", b.event(1, "ok")))
	mustCut(t, s)
	if _, err := s.Cut(t.Context()); err == nil {
		t.Fatal("a second cut before the first was committed")
	}
	s.Committed()
	if cut := mustCut(t, s); cut.Items() != 0 {
		t.Fatalf("%+v", cut)
	}
}

func TestALoadThatFailsFailsTheFold(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk")
	b, s := setup(t, func(c *snapshot.Config) {
		c.Load = func(context.Context, string) (store.Snapshot, error) { return store.Snapshot{}, broken }
	})
	if err := s.Fold(t.Context(), "a", b.event(1, "ok")); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if n, _ := s.Len(); n != 0 {
		t.Fatal("an entry without a state is kept")
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	if _, err := snapshot.NewStates(snapshot.Config{}); err == nil {
		t.Error("a config without functions was accepted")
	}
	c := newBackend().config()
	c.Limit = -1
	if _, err := snapshot.NewStates(c); !errors.Is(err, store.ErrInvalid) {
		t.Error(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustCut(t *testing.T, s *snapshot.States) snapshot.Cut {
	t.Helper()
	c, err := s.Cut(t.Context())
	must(t, err)
	return c
}
