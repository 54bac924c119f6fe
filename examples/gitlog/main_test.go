package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// asProgram makes a process of this test binary run the program instead of the tests.
const asProgram = "RIFFLE_TEST_GITLOG"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// program runs the program in a process of its own.
func program(t *testing.T, env []string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(append(os.Environ(), asProgram+"=1"), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// setup makes a repository with n commits, and the arguments for runs on it.
func setup(t *testing.T, n int) (*sample, app) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("RIFFLE_CI") != "" {
			t.Fatal("git is not installed, and here it must be")
		}
		t.Skip("NOT TESTED: git is not installed")
	}
	dir := t.TempDir()
	s := &sample{dir: filepath.Join(dir, "sample"), at: time.Date(2026, 3, 6, 23, 30, 0, 0, time.FixedZone("", -2*60*60))}
	if err := s.init(t.Context()); err != nil {
		t.Fatal(err)
	}
	more(t, s, n)
	return s, app{dir: s.dir, store: filepath.Join(dir, "gitlog.db"), chart: filepath.Join(dir, "gitlog.svg"), revision: 1, out: io.Discard}
}

func more(t *testing.T, s *sample, n int) {
	t.Helper()
	for range n {
		if err := s.commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func run(t *testing.T, a app) outcome {
	t.Helper()
	o, err := a.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestTheProgramTakesNewCommitsAndRebuilds(t *testing.T) {
	t.Parallel()
	s, a := setup(t, 3) // all on Friday by the author's clock, but for 23:30 at -02:00 being Saturday in UTC
	args := []string{"-store", a.store, "-chart", a.chart}
	for _, step := range []struct {
		more     int
		revision string
		want     []string
	}{
		{0, "1", []string{"took 3 new commits", "3 commits, 3 changes of files, +6 -0 lines", "1        1      1        0  Fri"}},
		{0, "1", []string{"took 0 new commits", "3 commits, 3 changes"}},
		{2, "1", []string{"took 2 new commits", "5 commits, 5 changes"}},
		{0, "2", []string{"rebuilt the models as revision 2", "took 0 new commits", "5 commits, 5 changes", "0        0      0        0  Fri"}},
	} {
		more(t, s, step.more)
		out, err := program(t, nil, append(args, "-revision", step.revision, s.dir)...)
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, want := range step.want {
			if !strings.Contains(out, want) {
				t.Errorf("revision %s, %d more commits: no %q in\n%s", step.revision, step.more, want, out)
			}
		}
	}
	st, err := pebblestore.Open(a.store, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	if err := st.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
	wellFormed(t, a.chart, "5 commits", "a file &amp; &lt;more&gt;.txt")
}

// wellFormed checks that a chart is XML, and that its source has some texts.
func wellFormed(t *testing.T, name string, want ...string) {
	t.Helper()
	svg, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	bars := 0
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
			bars++
		}
	}
	if bars < 1+7+3+3+3 { // the ground, the days, the authors twice, the files
		t.Errorf("%d bars in\n%s", bars, svg)
	}
	for _, w := range want {
		if !strings.Contains(string(svg), w) {
			t.Errorf("no %q in\n%s", w, svg)
		}
	}
}

func TestTheDemonstrationEndsByItself(t *testing.T) {
	t.Parallel()
	setup(t, 0)
	out, err := program(t, nil, "-ci")
	if err != nil || !strings.Contains(out, "3. a new revision rebuilds the models") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestWithoutGitTheProgramSaysSo(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-ci"}, {t.TempDir()}} {
		out, err := program(t, []string{"PATH=" + t.TempDir()}, args...)
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 || !strings.Contains(out, "git is not installed") {
			t.Errorf("%v: %v: %s", args, err, out)
		}
	}
}

// A run that dies leaves what it had stored; the next one takes the rest of a commit, too.
func TestAnInterruptedRunIsCompleted(t *testing.T) {
	t.Parallel()
	s, a := setup(t, 4)
	repo, err := openRepository(t.Context(), s.dir)
	if err != nil {
		t.Fatal(err)
	}
	st, err := pebblestore.Open(a.store, nil)
	if err != nil {
		t.Fatal(err)
	}
	tip, err := repo.tip(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := adopt(t.Context(), st, repo); err != nil {
		t.Fatal(err)
	}
	in := importer{st: st}
	for c, err := range repo.since(t.Context(), "", tip) {
		if err != nil {
			t.Fatal(err)
		}
		if c.Subject == "change 2" { // the process dies when the commit is stored and its file is not
			c.files = nil
			if err := errors.Join(in.add(t.Context(), c), in.flush(t.Context())); err != nil {
				t.Fatal(err)
			}
			break
		}
		if err := in.add(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if o := run(t, a); o.taken != 2 || o.total.Commits != 4 || o.total.Changes != 4 {
		t.Errorf("the next run took %d commits, and there are %+v", o.taken, o.total)
	}
}

func TestARewrittenHistoryCountsNoCommitTwice(t *testing.T) {
	t.Parallel()
	s, a := setup(t, 4)
	run(t, a)
	for _, args := range [][]string{
		{"reset", "--quiet", "--hard", "HEAD~2"},
		{"reflog", "expire", "--expire=now", "--all"},
		{"gc", "--quiet", "--prune=now"}, // the known tip is gone
	} {
		if err := s.git(t.Context(), args...); err != nil {
			t.Fatal(err)
		}
	}
	more(t, s, 1)
	if o := run(t, a); o.taken != 1 || o.total.Commits != 5 { // what happened stays: events are facts
		t.Errorf("took %d commits, has %d", o.taken, o.total.Commits)
	}
}

func TestACommitLargerThanAnAppendIsTakenWhole(t *testing.T) {
	t.Parallel()
	s, a := setup(t, 1)
	const files = 2*batchEvents + 100
	for i := range files {
		if err := os.WriteFile(filepath.Join(s.dir, fmt.Sprintf("f%04d", i)), []byte("x\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	more(t, s, 1)
	if o := run(t, a); o.total.Commits != 2 || o.total.Changes != files+2 || o.total.Added != files+3 {
		t.Errorf("the models have %+v", o.total)
	}
}

func TestAStoreBelongsToOneRepository(t *testing.T) {
	t.Parallel()
	_, a := setup(t, 1)
	run(t, a)
	other, _ := setup(t, 1)
	a.dir = other.dir
	if _, err := a.run(t.Context()); err == nil || !strings.Contains(err.Error(), "name another one by -store") {
		t.Errorf("got %v", err)
	}
}

func TestOlderCodeIsToldToUpgrade(t *testing.T) {
	t.Parallel()
	_, a := setup(t, 1)
	a.revision = 2
	run(t, a)
	a.revision = 1
	if _, err := a.run(t.Context()); err == nil || !strings.Contains(err.Error(), "name it by -revision") {
		t.Errorf("got %v", err)
	}
}

func TestAnEmptyRepositoryHasNoCommits(t *testing.T) {
	t.Parallel()
	_, a := setup(t, 0)
	if o := run(t, a); o.taken != 0 || o.total != (Activity{}) {
		t.Errorf("took %d, has %+v", o.taken, o.total)
	}
	if _, err := os.Stat(a.chart); err != nil {
		t.Error(err)
	}
	st, err := pebblestore.Open(a.store, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	if ok, err := st.Has(t.Context(), store.MatchTypes(Committed{}.EventType())...); ok || err != nil {
		t.Errorf("there is a commit: %t, %v", ok, err)
	}
}
