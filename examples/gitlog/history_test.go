package main

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// logged is what git prints for two commits, the first with an odd path and a binary file.
const logged = "\x1eaaa\x1f2026-03-06T23:30:00-02:00\x1fAnn\x1fodd \x1f subject\x00\n" +
	"3\t1\tz.go\x00-\t-\ta\nb\t\x1e\"\xff.png\x00" +
	"\x1ebbb\x1f2026-03-07T01:30:00Z\x1f\x1f\x00"

func TestParseReadsCommitsWithTheirFiles(t *testing.T) {
	t.Parallel()
	var got []string
	for c, err := range parse(strings.NewReader(logged)) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %q %s %q %d", c.hash, c.Author, c.When.Weekday(), c.Subject, c.Files))
		for _, f := range c.files {
			got = append(got, fmt.Sprintf("%q +%d -%d", f.Path, f.Added, f.Deleted))
		}
	}
	want := []string{
		`aaa "Ann" Friday "odd \x1f subject" 2`, `"a\nb\t\x1e\"` + "\uFFFD" + `.png" +0 -0`, `"z.go" +3 -1`,
		`bbb "" Saturday "" 0`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestParseRefusesWhatGitDoesNotPrint(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"1\t1\tno commit\x00", "\x1eaaa\x1fyesterday\x1fAnn\x1fs\x00", "\x1eaaa\x1f\x00",
		logged + "\nx\t1\tf\x00", logged + "\n1\x00", logged + "cut off",
	} {
		var last error
		for _, err := range parse(strings.NewReader(in)) {
			last = err
		}
		if last == nil {
			t.Errorf("%q was read without an error", in)
		}
	}
}

func TestKeysFitAndDiffer(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 400)
	a, b := key("a/"+long), key("b/"+long)
	if a == b || len(a) > 384 || !utf8.ValidString(a) || !strings.HasSuffix(a, "ää") {
		t.Errorf("%q (%d bytes), %q", a, len(a), b)
	}
	if key("") == "" || key("main.go") != "main.go" {
		t.Errorf("%q, %q", key(""), key("main.go"))
	}
}

func TestTheChartEscapesNames(t *testing.T) {
	t.Parallel()
	evil := entry{"<script>\x1b[2J & \"co\"\x00", Activity{Commits: 1, Added: 2}}
	svg := string(chart("/home/<x>/.git", report{authors: []entry{evil}, files: []entry{evil}}))
	if strings.ContainsAny(svg, "\x1b\x00") || strings.Contains(svg, "<script") || !strings.Contains(svg, "&lt;x&gt;: 0 commits") {
		t.Errorf("the chart is\n%s", svg)
	}
}
