package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// demonstrate makes a repository and reads it three times: at first, with new commits, and
// in a new revision. It fails when a run does not do what it should.
func demonstrate(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "riffle-gitlog-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s := sample{dir: filepath.Join(dir, "sample"), at: time.Date(2026, 3, 6, 9, 0, 0, 0, time.FixedZone("", 2*60*60))}
	if err := s.init(ctx); err != nil {
		return err
	}
	a := app{dir: s.dir, store: filepath.Join(dir, "gitlog.db"), chart: filepath.Join(dir, "gitlog.svg"), revision: 1, out: out}
	for step, run := range []struct {
		title              string
		commits, revision  int // before the run, and of it
		wantTaken, wantAll int
		wantRebuilt        bool
	}{
		{"the first run takes everything", 20, 1, 20, 20, false},
		{"the second run takes what is new", 5, 1, 5, 25, false},
		{"a new revision rebuilds the models", 0, 2, 0, 25, true},
	} {
		_, _ = fmt.Fprintf(out, "%d. %s\n\n", step+1, run.title)
		for range run.commits {
			if err := s.commit(ctx); err != nil {
				return err
			}
		}
		a.revision = run.revision
		o, err := a.run(ctx)
		if err != nil {
			return err
		}
		if o.taken != run.wantTaken || o.total.Commits != run.wantAll || o.rebuilt != run.wantRebuilt || run.wantRebuilt && o.reads == 0 {
			return fmt.Errorf("gitlog: %s: it took %d of %d commits, rebuilt: %t, read %d times", run.title, o.taken, o.total.Commits, o.rebuilt, o.reads)
		}
		_, _ = fmt.Fprintln(out)
	}
	_, _ = fmt.Fprintln(out, "that was in a temporary directory, which is removed: name a repository of yours to keep its chart")
	return nil
}

// sample is a small repository.
type sample struct {
	dir string
	at  time.Time // of the next commit
	n   int       // commits so far
}

func (s *sample) git(ctx context.Context, args ...string) error {
	author := []string{"Ann Example", "Ben Example", "Ōe <Kenzaburō>"}[s.n%3]
	date := s.at.Format(time.RFC3339)
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", s.dir}, args...)...)
	cmd.Env = append(os.Environ(), // nothing of the user's settings
		"GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_DATE="+date, "GIT_COMMITTER_DATE="+date,
		"GIT_AUTHOR_NAME="+author, "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=c", "GIT_COMMITTER_EMAIL=c@example.org")
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%w (%w)", errNoGit, err)
	}
	if err != nil {
		return fmt.Errorf("gitlog: git %s: %s: %w", args[0], out, err)
	}
	return nil
}

func (s *sample) init(ctx context.Context) error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	return s.git(ctx, "init", "--quiet")
}

// commit changes a file and commits that; authors, files and days take turns.
func (s *sample) commit(ctx context.Context) error {
	name := filepath.Join(s.dir, []string{"main.go", "README.md", "a file & <more>.txt"}[s.n%3])
	file, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	for line := range s.n%4 + 1 {
		_, err = fmt.Fprintf(file, "line %d of commit %d\n", line, s.n)
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := s.git(ctx, "add", "--all"); err != nil {
		return err
	}
	if err := s.git(ctx, "commit", "--quiet", "--message", fmt.Sprintf("change %d", s.n)); err != nil {
		return err
	}
	s.n++
	s.at = s.at.Add(8 * time.Hour)
	return nil
}
