package store_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

// plain hides the optional abilities of a driver, but for what it promises.
type plain struct {
	store.Driver
	traits store.Traits
}

func (p plain) Traits() store.Traits { return p.traits }

// limited shows the limits of a driver too.
type limited struct {
	plain
	store.Limiter
}

// ticking is a clock that gives several events each millisecond of its list.
func ticking(millis ...int64) func() time.Time {
	i := 0
	return func() time.Time {
		ms := millis[min(i, len(millis)-1)]
		i++
		return time.UnixMilli(ms)
	}
}

func TestPointsResolve(t *testing.T) {
	t.Parallel()
	at := func(ms float64) store.Point { return store.AtTime(time.UnixMicro(int64(ms * 1000))) }
	a, b := accounts.Stream("a"), accounts.Stream("b")
	open := map[string]func(d *memdriver.Driver) store.Driver{
		"time seeker": func(d *memdriver.Driver) store.Driver { return d },
		"search":      func(d *memdriver.Driver) store.Driver { return plain{d, store.Traits{MonotoneTime: true}} },
		"scan":        func(d *memdriver.Driver) store.Driver { return plain{d, store.Traits{}} },
		"short pages": func(d *memdriver.Driver) store.Driver { return limited{plain{d, store.Traits{}}, d} },
	}
	for name, wrap := range open {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, err := store.New(wrap(memdriver.New(memdriver.Options{
				Clock: ticking(10, 20, 20, 20, 30, 40), Limits: store.Limits{Examine: 1},
			})), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			deposit(t, st, "a", 3)
			deposit(t, st, "b", 3)
			for _, c := range []struct {
				name     string
				point    store.Point
				from, to event.Position
			}{
				{"zero", store.Point{}, 1, 6},
				{"position 0", store.AtPosition(0), 1, 0},
				{"position 3", store.AtPosition(3), 3, 3},
				{"position beyond", store.AtPosition(99), 99, 99},
				{"head", store.AtHead(), 7, 6},
				{"version 2 of a", store.AtVersion(a, 2), 2, 2},
				{"version 3 of b", store.AtVersion(b, 3), 6, 6},
				{"before all", at(9), 1, 0},
				{"first", at(10), 1, 1},
				{"between", at(15), 2, 1},
				{"three of a millisecond", at(20), 2, 4},
				{"within a millisecond", at(20.9), 2, 4},
				{"last", at(40), 6, 6},
				{"after all", at(41), 7, 6},
			} {
				from, err := st.ResolveFrom(t.Context(), c.point)
				if err != nil {
					t.Fatal(c.name, err)
				}
				to, err := st.ResolveTo(t.Context(), c.point)
				if err != nil {
					t.Fatal(c.name, err)
				}
				if from != c.from || to != c.to {
					t.Errorf("%s: from %d to %d, want %d and %d", c.name, from, to, c.from, c.to)
				}
				q := store.Query{From: c.point, To: store.AtPosition(6)}
				wantEqual(t, "events from "+c.name, len(collect(t, st.Events(t.Context(), q))), int(max(7, c.from)-c.from))
				q = store.Query{To: c.point}
				wantEqual(t, "events to "+c.name, len(collect(t, st.Events(t.Context(), q))), int(min(6, c.to)))
			}
			from, err := st.ResolveFrom(t.Context(), store.AtVersion(a, 4))
			if err != nil || from != 7 {
				t.Fatal("the next version is behind the head:", from, err)
			}
			_, err = st.ResolveTo(t.Context(), store.AtVersion(a, 4))
			wantError(t, err, store.ErrNotFound)
			_, err = st.ResolveFrom(t.Context(), store.AtVersion(a, 5))
			wantError(t, err, store.ErrNotFound)
			_, err = st.ResolveFrom(t.Context(), store.AtVersion(a, 0))
			wantInvalid(t, err, "Point.Version")
			_, err = st.ResolveFrom(t.Context(), store.AtVersion(event.Aggregate("").Stream("a"), 1))
			wantInvalid(t, err, "Point.Aggregate")
		})
	}
}

func TestTimesOfALargerStore(t *testing.T) {
	t.Parallel()
	var millis []int64
	for i := range int64(300) {
		millis = append(millis, 1000+i/7*5)
	}
	d := memdriver.New(memdriver.Options{Clock: ticking(millis...)})
	seek := open(t, d)
	deposit(t, seek, "a", 300)
	search, err := store.New(plain{d, store.Traits{MonotoneTime: true}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for ms := int64(995); ms < 1300; ms++ {
		p := store.AtTime(time.UnixMilli(ms))
		want, err := seek.ResolveFrom(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		got, err := search.ResolveFrom(t.Context(), p)
		if err != nil || got != want {
			t.Fatalf("at %d: search %d, seeker %d, %v", ms, got, want, err)
		}
	}
}

// TestTimesThatMillisecondsCannotCount: programs use the largest and the smallest time for
// "no end" and "no beginning".
func TestTimesThatMillisecondsCannotCount(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	deposit(t, st, "a", 3)
	for name, c := range map[string]struct {
		time     time.Time
		from, to event.Position
	}{
		"largest":             {time.Unix(1<<63-62135596801, 999999999), 4, 3},
		"last that counts":    {time.UnixMilli(math.MaxInt64), 4, 3},
		"first that does not": {time.UnixMilli(math.MaxInt64).Add(time.Millisecond), 4, 3},
		"zero":                {time.Time{}, 1, 0},
		"first that counts":   {time.UnixMilli(math.MinInt64), 1, 0},
		"before what counts":  {time.UnixMilli(math.MinInt64).Add(-time.Millisecond), 1, 0},
		"smallest of all":     {time.Unix(math.MinInt64, 0), 1, 0},
		"largest of all ":     {time.Unix(math.MaxInt64-1<<40, 0), 4, 3},
		"a year of 5 digits":  {time.Date(99999, 1, 1, 0, 0, 0, 0, time.UTC), 4, 3},
		"long before 1970":    {time.Date(-99999, 1, 1, 0, 0, 0, 0, time.UTC), 1, 0},
	} {
		from, err := st.ResolveFrom(t.Context(), store.AtTime(c.time))
		if err != nil || from != c.from {
			t.Errorf("%s: from %d, %v, want %d", name, from, err, c.from)
		}
		to, err := st.ResolveTo(t.Context(), store.AtTime(c.time))
		if err != nil || to != c.to {
			t.Errorf("%s: to %d, %v, want %d", name, to, err, c.to)
		}
	}
}

func TestPointIsZero(t *testing.T) {
	t.Parallel()
	for _, p := range []store.Point{store.AtHead(), store.AtPosition(0), store.AtTime(time.Time{}), store.AtVersion(event.Stream{}, 0)} {
		if p.IsZero() {
			t.Errorf("%v counts as not set", fmt.Sprint(p))
		}
	}
	if !(store.Point{}).IsZero() {
		t.Error("the zero Point counts as set")
	}
}
