package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"runtime"
	"strconv"
	"strings"
)

// result is a figure that was measured. As JSON it is one line.
type result struct {
	Name           string   `json:"name"`
	Value          float64  `json:"value"` // median of our side
	Unit           string   `json:"unit"`
	Yardstick      string   `json:"yardstick"`
	YardstickValue float64  `json:"yardstick_value"` // median of the other side
	Ratio          float64  `json:"ratio"`           // median of the pairs' ratios
	Lo             float64  `json:"lo"`              // the interval around it
	Hi             float64  `json:"hi"`
	Pairs          int      `json:"pairs"`
	Cores          int      `json:"cores"`
	Better         string   `json:"better"` // higher or lower, of the ratio
	Must           *float64 `json:"must,omitempty"`
	Hope           *float64 `json:"hope,omitempty"`
	OK             bool     `json:"ok"` // false when the whole interval misses Must
}

func newResult(f figure, pairs []pair) (result, error) {
	var values, yardsticks, ratios []float64
	for _, p := range pairs {
		values, yardsticks, ratios = append(values, p.value), append(yardsticks, p.yardstick), append(ratios, p.ratio())
	}
	ratio := newSpread(ratios)
	if !(ratio.lo > 0 || f.zero && ratio.lo == 0) || math.IsInf(ratio.hi, 0) {
		return result{}, fmt.Errorf("bench: %s: the pairs %v give no ratio: a side measured nothing", f.name, pairs)
	}
	r := result{
		Name: f.name, Unit: f.unit, Yardstick: f.yardstick,
		Value: newSpread(values).median, YardstickValue: newSpread(yardsticks).median,
		Ratio: ratio.median, Lo: ratio.lo, Hi: ratio.hi,
		Pairs: len(pairs), Cores: runtime.GOMAXPROCS(0), Better: "higher", OK: f.bound.keeps(ratio),
	}
	if f.bound != nil {
		r.Hope = &f.bound.hope
		if !f.bound.hopeOnly {
			r.Must = &f.bound.must
		}
		if f.bound.lower {
			r.Better = "lower"
		}
	}
	return r, nil
}

// bounds are the bounds in words.
func (r *result) bounds() string {
	if r.Hope == nil {
		return "-"
	}
	sign := ">="
	if r.Better == "lower" {
		sign = "<="
	}
	if r.Must == nil {
		return fmt.Sprintf("- (%s %v)", sign, *r.Hope)
	}
	return fmt.Sprintf("%s %v (%v)", sign, *r.Must, *r.Hope)
}

// verdict says how the figure stands to its bounds.
func (r *result) verdict() string {
	switch {
	case !r.OK:
		return "MISS"
	case r.Hope != nil && r.beats(*r.Hope):
		return "hope"
	case r.Must == nil:
		return "reported"
	case !r.beats(*r.Must):
		return "near" // the median misses, the interval does not
	}
	return "ok"
}

func (r *result) beats(bound float64) bool {
	if r.Better == "lower" {
		return r.Ratio <= bound
	}
	return r.Ratio >= bound
}

func (r *result) interval() string {
	if r.Pairs == 1 {
		return "one run"
	}
	return fmt.Sprintf("%.2f-%.2f", r.Lo, r.Hi)
}

// printer writes results as they come.
type printer interface {
	begin(w io.Writer, b *bench) error
	print(w io.Writer, r *result) error
	end(w io.Writer) error
}

// jsonLines prints one object per line.
type jsonLines struct{}

func (jsonLines) begin(io.Writer, *bench) error { return nil }
func (jsonLines) end(io.Writer) error           { return nil }
func (jsonLines) print(w io.Writer, r *result) error {
	return json.NewEncoder(w).Encode(r)
}

// table prints lines for people.
type table struct{}

const tableLine = "%-28s %12s %12s %-11s %7s %-12s %-15s %-8s %s\n"

func (table) begin(w io.Writer, _ *bench) error {
	_, err := fmt.Fprintf(w, tableLine, "figure", "value", "yardstick", "unit", "ratio", "interval", "must (hope)", "verdict", "compared with")
	return err
}

func (table) print(w io.Writer, r *result) error {
	_, err := fmt.Fprintf(w, tableLine, r.Name, number3(r.Value), number3(r.YardstickValue), r.Unit,
		fmt.Sprintf("%.2f", r.Ratio), r.interval(), r.bounds(), r.verdict(), r.Yardstick)
	return err
}

func (table) end(io.Writer) error { return nil }

// number3 prints three digits that count, without an exponent.
func number3(v float64) string {
	if math.Abs(v) >= 1000 {
		digits := math.Pow(10, math.Floor(math.Log10(math.Abs(v)))-2)
		return thousands(strconv.FormatFloat(math.Round(v/digits)*digits, 'f', 0, 64))
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// thousands puts spaces between groups of three digits.
func thousands(s string) string {
	var out strings.Builder
	for i, c := range s {
		if i > 0 && (len(s)-i)%3 == 0 && s[i-1] != '-' {
			out.WriteByte(' ')
		}
		out.WriteRune(c)
	}
	return out.String()
}
