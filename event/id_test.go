package event

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

func seeded() io.Reader { return rand.NewChaCha8([32]byte{1}) }

func TestNewIDIsStrictlyIncreasingAndUniqueAcrossGoroutines(t *testing.T) {
	t.Parallel()
	const workers, each = 8, 2000
	ids := make([][]ID, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range each {
				ids[w] = append(ids[w], NewID())
			}
		})
	}
	wg.Wait()
	ascending := func(a, b ID) int { return a.Compare(b) }
	for w := range workers {
		if !slices.IsSortedFunc(ids[w], ascending) {
			t.Errorf("goroutine %d saw ids step back", w)
		}
	}
	all := slices.Concat(ids...)
	slices.SortFunc(all, ascending)
	if n := len(slices.Compact(all)); n != workers*each {
		t.Errorf("%d different ids, want %d", n, workers*each)
	}
}

func TestIDsIncreaseWhenTheClockStepsBack(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_000_000)
	g := newIDSource(seeded(), func() time.Time { return now })
	before := g.next()
	for _, step := range []time.Duration{0, -time.Hour, -100 * time.Hour, time.Millisecond, 200 * time.Hour} {
		now = now.Add(step)
		id := g.next()
		if id.Compare(before) <= 0 {
			t.Errorf("after a step of %v: %v, not above %v", step, id, before)
		}
		before = id
	}
	if got := int64(before.Time()); got != now.UnixMilli() {
		t.Errorf("id has time %d, want the clock's %d", got, now.UnixMilli())
	}
}

func TestIDsBorrowTheNextMillisecondWhenOneIsUsedUp(t *testing.T) {
	t.Parallel()
	top := bytes.Repeat([]byte{0xFF}, 10) // the largest entropy there is
	g := newIDSource(io.MultiReader(bytes.NewReader(top), seeded()), func() time.Time { return time.UnixMilli(5000) })
	first, second := g.next(), g.next()
	if first.Time() != 5000 || second.Time() != 5001 || second.Compare(first) <= 0 {
		t.Errorf("%v (%d), then %v (%d)", first, first.Time(), second, second.Time())
	}
}

func TestThereAreNoIDsWithoutEntropy(t *testing.T) {
	t.Parallel()
	g := newIDSource(iotest.ErrReader(errors.New("no device")), time.Now)
	defer func() {
		if p := fmt.Sprint(recover()); !strings.Contains(p, "no device") {
			t.Errorf("panic %s, want one that says why", p)
		}
	}()
	t.Errorf("got %v", g.next())
}

func TestNewIDDoesNotAllocate(t *testing.T) {
	if n := testing.AllocsPerRun(1000, func() { NewID() }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func TestParseIDReadsWhatStringWrites(t *testing.T) {
	t.Parallel()
	id := NewID()
	if got, err := ParseID(id.String()); err != nil || got != id {
		t.Errorf("ParseID = %v, %v; want %v", got, err, id)
	}
	for _, s := range []string{"", "x", id.String() + "0", strings.Repeat("!", 26), strings.Repeat("Z", 26)} {
		got, err := ParseID(s)
		if !errors.Is(err, ErrInvalid) || !got.IsZero() {
			t.Errorf("ParseID(%q) = %v, %v", s, got, err)
		}
	}
}

func BenchmarkNewID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		NewID()
	}
}
