package telemetry

import (
	"cmp"
	"slices"
)

// Kind says how the values of an instrument add up.
type Kind string

// The kinds of instruments.
const (
	Counter       Kind = "counter"       // only rises, until the process ends
	UpDownCounter Kind = "updowncounter" // a level whose sum over stores means something
	Gauge         Kind = "gauge"         // a level whose sum means nothing
	Histogram     Kind = "histogram"     // a distribution
)

// Instrument describes one metric that Riffle emits.
type Instrument struct {
	Name string
	Kind Kind
	Unit string // UCUM; counted things stand in braces
	// Attributes are the keys that its data points may have, sorted.
	Attributes  []string
	Description string
	// Buckets are the upper bounds of a histogram, in its unit; nil for the other kinds.
	Buckets []float64
	_       struct{}
}

// Instruments returns every metric that Riffle emits, sorted by name. The caller owns the
// result.
func Instruments() []Instrument {
	all := slices.Concat(storeInstruments(), subscriptionInstruments())
	for _, r := range pebbleReadings() {
		all = append(all, r.Instrument)
	}
	for _, r := range subscriptionReadings() {
		all = append(all, r.Instrument)
	}
	slices.SortFunc(all, func(a, b Instrument) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// durationBuckets begin at 10 µs: handlers of models take microseconds, and a commit on a
// fast disk less than a millisecond. The default buckets of SDKs are made for milliseconds;
// in seconds nearly everything would fall into the first.
func durationBuckets() []float64 {
	return []float64{
		0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005,
		0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
		1, 2.5, 5, 10, 30,
	}
}

// delayBuckets reach up to a day: a projection that was paused or halted is that late.
func delayBuckets() []float64 {
	return []float64{
		0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
		1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400,
	}
}

func countBuckets() []float64 {
	return []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096}
}

func byteBuckets() []float64 {
	const kib, mib = 1 << 10, 1 << 20
	return []float64{256, 1 * kib, 4 * kib, 16 * kib, 64 * kib, 256 * kib, 1 * mib, 4 * mib, 16 * mib}
}
