package main

import (
	"regexp"
	"strings"
	"testing"
)

func TestTheProgramShowsTheSameTableAfterARewind(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := run(t.Context(), &out, []string{"-ci"}); err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(out.String(), "no difference\n") || !regexp.MustCompile(`(?m)^ +ann +\d+ +\d+ +\d+ +\d+\.\d\d$`).MatchString(out.String()) {
		t.Errorf("printed %s", &out)
	}
}

func TestTheProgramGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, orders := range []string{"30", "0", "20"} {
		var out strings.Builder
		if err := run(t.Context(), &out, []string{"-dir", dir, "-orders", orders}); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(out.String(), "no difference\n") {
			t.Errorf("printed %s", &out)
		}
	}
}

func TestTheProgramWritesToPostgreSQL(t *testing.T) {
	t.Parallel()
	db := onPostgreSQL(t)
	var out strings.Builder
	if err := run(t.Context(), &out, []string{"-ci", "-postgres", db.source}); err != nil {
		t.Fatal(err)
	}
	if n := db.number(t, "SELECT count(*) FROM orders"); n != 200 {
		t.Errorf("%d orders are in the table, want 200", n)
	}
}
