package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
)

// figure is one thing to measure, with what it is compared with and the bounds of the
// ratio.
type figure struct {
	group     string // selects figures that belong together
	name      string
	unit      string
	yardstick string // what yardstick_value was measured on, in a few words
	bound     *bound // nil: reported without a judgement
	zero      bool   // nothing is a value too: that of who reads nothing

	// run measures. Whatever it leaves in directories of b is removed behind it.
	run func(ctx context.Context, b *bench) ([]pair, error)
}

// bound is what a ratio must keep, and what would be good.
type bound struct {
	must, hope float64
	lower      bool // less is better
	hopeOnly   bool // nothing must be kept
}

// atLeast bounds a ratio that should be high.
func atLeast(must, hope float64) *bound { return &bound{must: must, hope: hope} }

// atMost bounds a ratio that should be low.
func atMost(must, hope float64) *bound { return &bound{must: must, hope: hope, lower: true} }

// hopeAtMost says what a ratio would be at its best, and judges none.
func hopeAtMost(hope float64) *bound { return &bound{hope: hope, lower: true, hopeOnly: true} }

// keeps says whether any of the interval keeps the bound.
func (b *bound) keeps(s spread) bool {
	switch {
	case b == nil || b.hopeOnly:
		return true
	case b.lower:
		return s.lo <= b.must
	}
	return s.hi >= b.must
}

// pair is what both sides gave in one turn. Its ratio is value ÷ yardstick.
type pair struct{ value, yardstick float64 }

func (p pair) ratio() float64 { return p.value / p.yardstick }

// allFigures are the figures in the order in which they run. Each group of figures adds its
// own list here.
func allFigures() []figure {
	return slices.Concat(storeFigures(), runtimeFigures())
}

// selectFigures returns the figures whose group or name begins with what the regular
// expression matches; a plain prefix is one.
func selectFigures(all []figure, pattern string) ([]figure, error) {
	re, err := regexp.Compile("^(?:" + pattern + ")")
	if err != nil {
		return nil, fmt.Errorf("bench: -run %q: %w", pattern, err)
	}
	found := slices.DeleteFunc(slices.Clone(all), func(f figure) bool {
		return !re.MatchString(f.group) && !re.MatchString(f.name)
	})
	if len(found) == 0 {
		return nil, fmt.Errorf("bench: -run %q selects nothing; use a group (store, runtime) or the beginning of a name (append.sync)", pattern)
	}
	return found, nil
}
