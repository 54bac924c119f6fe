package main

import (
	"math"
	"slices"
)

// confidence of the interval around a median.
const confidence = 0.95

// spread is the median of some samples and the interval that holds the true median with
// the confidence above. It assumes nothing about how the samples are distributed: the
// interval goes from one sample to another. Fewer than six samples are too few for that;
// then it holds them all.
type spread struct {
	median, lo, hi float64
}

func newSpread(samples []float64) spread {
	s := slices.Sorted(slices.Values(samples))
	n := len(s)
	if n == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN()}
	}
	cut := outside(n)
	return spread{median: median(s), lo: s[cut], hi: s[n-1-cut]}
}

// median of sorted samples.
func median(sorted []float64) float64 {
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// outside is how many of n sorted samples the interval leaves out at each end. The true
// median lies below the k-th smallest sample with the probability that fewer than k of n
// fair coins show heads.
func outside(n int) int {
	below := 0.0 // P(fewer than k+1 heads)
	choose := 1.0
	for k := 0; k < n/2; k++ {
		below += choose * math.Pow(0.5, float64(n))
		if 2*below > 1-confidence {
			return max(0, k-1)
		}
		choose = choose * float64(n-k) / float64(k+1)
	}
	return max(0, n/2-1)
}
