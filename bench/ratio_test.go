package main

import (
	"context"
	"math"
	"slices"
	"testing"
)

func TestTheIntervalHoldsTheMedianWith95Percent(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 40; n++ {
		samples := make([]float64, n)
		for i := range samples {
			samples[i] = float64(n - i)
		}
		s := newSpread(samples)
		slices.Sort(samples)
		cut := slices.Index(samples, s.lo)
		if s.lo > s.median || s.hi < s.median || samples[n-1-cut] != s.hi {
			t.Fatalf("n = %d: %+v of %v", n, s, samples)
		}
		if missed := 2 * fewerHeads(n, cut); n >= 6 && missed > 0.05 {
			t.Errorf("n = %d: the interval misses the median with %.3f", n, missed)
		} else if wider := 2 * fewerHeads(n, cut+1); n >= 6 && wider <= 0.05 {
			t.Errorf("n = %d: the interval could be smaller, missing with %.3f", n, wider)
		}
		if n < 6 && cut != 0 {
			t.Errorf("n = %d: the interval leaves out samples", n)
		}
	}
}

// fewerHeads is the probability of at most k heads in n throws, counted by Pascal's triangle.
func fewerHeads(n, k int) float64 {
	row := []float64{1}
	for range n {
		next := make([]float64, len(row)+1)
		for i, v := range row {
			next[i] += v
			next[i+1] += v
		}
		row = next
	}
	sum := 0.0
	for i := 0; i <= k && i < len(row); i++ {
		sum += row[i]
	}
	return sum / math.Pow(2, float64(n))
}

func TestAFigureMissesOnlyWhenTheWholeIntervalMisses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		bound   *bound
		ratios  []float64
		ok      bool
		verdict string
	}{
		{atLeast(0.9, 1.1), []float64{0.7, 0.8, 0.85}, false, "MISS"},
		{atLeast(0.9, 1.1), []float64{0.7, 0.8, 0.95}, true, "near"},
		{atLeast(0.9, 1.1), []float64{0.7, 1.0, 1.05}, true, "ok"},
		{atLeast(0.9, 1.1), []float64{0.7, 1.1, 1.2}, true, "hope"},
		{atMost(2, 1), []float64{2.1, 2.2, 3}, false, "MISS"},
		{atMost(2, 1), []float64{1.9, 2.2, 3}, true, "near"},
		{atMost(2, 1), []float64{0.9, 1.5, 3}, true, "ok"},
		{atMost(2, 1), []float64{0.5, 1, 3}, true, "hope"},
		{nil, []float64{0.1}, true, "reported"},
	} {
		var pairs []pair
		for _, ratio := range c.ratios {
			pairs = append(pairs, pair{ratio * 50, 50})
		}
		r, err := newResult(figure{name: "x", bound: c.bound}, pairs)
		if err != nil || r.OK != c.ok || r.verdict() != c.verdict {
			t.Errorf("%v under %+v: ok %v, %s, %v; want %v, %s", c.ratios, c.bound, r.OK, r.verdict(), err, c.ok, c.verdict)
		}
	}
}

func TestTheRatioIsTheMedianOfThePairsNotOfTheSides(t *testing.T) {
	t.Parallel()
	// the machine was ten times slower in two pairs
	r, err := newResult(figure{name: "x"}, []pair{{100, 50}, {10, 5}, {11, 5}, {100, 40}, {90, 50}})
	if err != nil || r.Ratio != 2 || r.Lo != 1.8 || r.Hi != 2.5 || r.Value != 90 || r.YardstickValue != 40 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestASideThatMeasuredNothingIsAnError(t *testing.T) {
	t.Parallel()
	for _, pairs := range [][]pair{{}, {{0, 1}}, {{1, 0}}, {{0, 0}}, {{1, math.NaN()}}, {{1, 1}, {-1, 1}}} {
		if r, err := newResult(figure{name: "x"}, pairs); err == nil {
			t.Errorf("%v gives %+v", pairs, r)
		}
	}
}

func TestTheSidesTakeTurnsAtBeingFirst(t *testing.T) {
	t.Parallel()
	b := &bench{config: config{runs: 4}}
	var order []string
	turn := func(name string, v float64) side {
		return func(context.Context) (float64, error) {
			order = append(order, name)
			return v, nil
		}
	}
	pairs, err := b.pairs(t.Context(), turn("ours", 3), turn("yardstick", 2))
	if err != nil || len(pairs) != 4 || slices.ContainsFunc(pairs, func(p pair) bool { return p != pair{3, 2} }) {
		t.Errorf("%v, %v", pairs, err)
	}
	want := []string{"ours", "yardstick", "yardstick", "ours", "ours", "yardstick", "yardstick", "ours"}
	if !slices.Equal(order, want) {
		t.Errorf("order %v", order)
	}
}

func TestNumbersShowThreeDigits(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{
		0.12345: "0.123", 9.8765: "9.88", 123.4: "123", 999: "999", 1234: "1 230", 98765: "98 800", 1234567: "1 230 000",
	} {
		if got := number3(v); got != want {
			t.Errorf("%v is printed as %q, want %q", v, got, want)
		}
	}
}
