package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

const table = "../../docs/observability.md"

// instrument is a row of the table of metrics.
type instrument struct {
	name, kind, unit string
	attributes       []string
}

// documented reads the table of metrics.
func documented(t *testing.T) []instrument {
	t.Helper()
	data, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(data), "<!-- metrics:begin -->")
	rows, _, closed := strings.Cut(rest, "<!-- metrics:end -->")
	if !found || !closed {
		t.Fatalf("%s has no table of metrics", table)
	}
	var all []instrument
	for row := range strings.Lines(rows) {
		cells := strings.Split(row, "|")
		if len(cells) < 6 || !strings.Contains(cells[1], "`") {
			continue
		}
		m := instrument{name: strings.Trim(cells[1], " `"), kind: strings.TrimSpace(cells[2]), unit: strings.Trim(cells[3], " `")}
		for a := range strings.SplitSeq(cells[4], ",") {
			m.attributes = append(m.attributes, strings.Trim(a, " `"))
		}
		all = append(all, m)
	}
	if len(all) < 30 {
		t.Fatalf("only %d metrics read from %s", len(all), table)
	}
	return all
}

// family is the name under which Prometheus sees a metric.
func (m instrument) family() string {
	name := underscores(m.name)
	switch m.unit {
	case "s":
		name += "_seconds"
	case "By":
		name += "_bytes"
	case "1":
		name += "_ratio"
	}
	if m.kind == "counter" {
		name += "_total"
	}
	return name
}

func underscores(s string) string { return strings.ReplaceAll(s, ".", "_") }

// series are the names that may stand in an expression.
func (m instrument) series() []string {
	f := m.family()
	if m.kind == "histogram" {
		return []string{f + "_bucket", f + "_sum", f + "_count"}
	}
	return []string{f}
}

var (
	selector  = regexp.MustCompile(`\{([^}]*)\}`)
	matcher   = regexp.MustCompile(`([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)\s*"[^"]*"`)
	grouping  = regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)`)
	comment   = regexp.MustCompile(`(?m)^\s*#.*$`)
	duration  = regexp.MustCompile(`\[[^\]]*\]|\boffset\s+\w+`)
	word      = regexp.MustCompile(`[a-zA-Z_]\w*`)
	functions = map[string]bool{
		"sum": true, "max": true, "rate": true, "increase": true, "histogram_quantile": true,
		"vector": true, "or": true, "unless": true,
	}
)

// check finds what an expression names that the table does not have.
func check(expr string, all []instrument) error {
	known, labels := map[string]bool{"up": true}, map[string]bool{"job": true, "instance": true, "le": true}
	for _, m := range all {
		for _, s := range m.series() {
			known[s] = true
		}
		for _, a := range m.attributes {
			labels[underscores(a)] = true
		}
	}
	rest := comment.ReplaceAllString(expr, "")
	for _, s := range selector.FindAllStringSubmatch(rest, -1) {
		for _, m := range matcher.FindAllStringSubmatch(s[1], -1) {
			if !labels[m[1]] {
				return fmt.Errorf("there is no label %s", m[1])
			}
		}
	}
	rest = duration.ReplaceAllString(selector.ReplaceAllString(rest, ""), "")
	for _, g := range grouping.FindAllStringSubmatch(rest, -1) {
		for _, l := range word.FindAllString(g[1], -1) {
			if !labels[l] {
				return fmt.Errorf("there is no label %s", l)
			}
		}
	}
	rest = grouping.ReplaceAllString(rest, "")
	metrics := 0
	for _, w := range word.FindAllString(rest, -1) {
		switch {
		case known[w]:
			metrics++
		case !functions[w]:
			return fmt.Errorf("there is no metric %s", w)
		}
	}
	if metrics == 0 {
		return fmt.Errorf("no metric is named")
	}
	return nil
}

func TestExpressionsNameOnlyWhatIsDocumented(t *testing.T) {
	t.Parallel()
	all := documented(t)
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			if err := check(target.Expr, all); err != nil {
				t.Errorf("panel %q: %v: %s", p.Title, err, target.Expr)
			}
		}
	}
	for _, a := range alerts(t) {
		if err := check(a.Expr, all); err != nil {
			t.Errorf("alert %s: %v: %s", a.Alert, err, a.Expr)
		}
	}
}

func TestTheCheckFindsUnknownNames(t *testing.T) {
	t.Parallel()
	all := documented(t)
	for _, expr := range []string{
		`riffle_subscription_lag`, // the unit is missing
		`sum(rate(riffle_append_conflicts[5m]))`,
		`riffle_store_position{store="x"}`,
		`sum by (subscription) (riffle_subscription_parked)`,
		`riffle_store_sync_duration_seconds`,
		`vector(0)`,
	} {
		if check(expr, all) == nil {
			t.Errorf("%s passes", expr)
		}
	}
}

func TestEveryMetricIsInTheDashboard(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			b.WriteString(target.Expr + "\n")
		}
	}
	for _, m := range documented(t) {
		if !strings.Contains(b.String(), m.family()) {
			t.Errorf("no panel shows %s", m.name)
		}
	}
}

func TestEveryAlertHasASectionInTheRunbook(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	rules := map[string]bool{}
	for _, a := range alerts(t) {
		rules[a.Alert] = true
		if !strings.Contains(string(data), "\n### "+a.Alert+"\n") {
			t.Errorf("docs/operations.md has no section %s", a.Alert)
		}
		if want := "docs/operations.md#" + strings.ToLower(a.Alert); a.Annotations["runbook"] != want {
			t.Errorf("%s: the runbook is %q, want %q", a.Alert, a.Annotations["runbook"], want)
		}
		if s := a.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s: severity %q", a.Alert, s)
		}
	}
	for _, heading := range regexp.MustCompile(`(?m)^### (Riffle\w+)$`).FindAllStringSubmatch(string(data), -1) {
		if !rules[heading[1]] {
			t.Errorf("docs/operations.md explains %s, which is no alert", heading[1])
		}
	}
}
