package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// errNoGit is returned on machines without git.
var errNoGit = errors.New("gitlog: git is not installed: install it, it is what reads the repository")

// repository is a git repository, read by the git command.
type repository struct{ dir string }

func openRepository(ctx context.Context, dir string) (repository, error) {
	if _, err := exec.LookPath("git"); err != nil {
		return repository{}, fmt.Errorf("%w (%w)", errNoGit, err)
	}
	root, err := repository{dir}.git(ctx, "rev-parse", "--absolute-git-dir")
	if err != nil {
		return repository{}, err
	}
	root, err = filepath.EvalSymlinks(root)
	return repository{root}, err
}

func (r repository) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "git", append([]string{"-C", r.dir}, args...)...)
}

// git runs a command and returns its first line.
func (r repository) git(ctx context.Context, args ...string) (string, error) {
	out, err := r.command(ctx, args...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return "", fmt.Errorf("gitlog: git %s in %s: %s: %w", args[0], r.dir, bytes.TrimSpace(exit.Stderr), err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line, err
}

// tip returns the commit that is checked out; "" when there is none yet.
func (r repository) tip(ctx context.Context) (string, error) {
	tip, err := r.git(ctx, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 {
		return "", nil
	}
	return tip, err
}

// has says whether a commit is still there; a rewritten history may have lost it.
func (r repository) has(ctx context.Context, commit string) bool {
	return r.command(ctx, "cat-file", "-e", commit+"^{commit}").Run() == nil
}

// commit is a commit with its files, sorted by path.
type commit struct {
	hash string
	Committed
	files []FileChanged
}

// since yields the commits that lead to tip and not to known, parents first; all of them
// when known is "".
func (r repository) since(ctx context.Context, known, tip string) iter.Seq2[commit, error] {
	return func(yield func(commit, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		// What a user has configured must not change the format.
		args := []string{"-c", "log.showSignature=false", "-c", "log.showRoot=true", "log", "-z", "--reverse", "--topo-order",
			"--no-color", "--no-ext-diff", "--no-renames", "--no-notes", "--encoding=UTF-8", "--numstat", "--format=" + format, tip}
		if known != "" {
			args = append(args, "^"+known)
		}
		cmd := r.command(ctx, append(args, "--")...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			yield(commit{}, err)
			return
		}
		for c, err := range parse(out) {
			if !yield(c, err) || err != nil {
				cancel()
				_ = cmd.Wait() // killed, because nobody reads on
				return
			}
		}
		if err := cmd.Wait(); err != nil {
			yield(commit{}, fmt.Errorf("gitlog: git log: %s: %w", bytes.TrimSpace(stderr.Bytes()), err))
		}
	}
}

// format has fields behind unit separators, the one with free text last. A record separator
// begins a commit; paths never follow a NUL directly, since numbers come before them.
const format = "%x1e%H%x1f%aI%x1f%aN%x1f%s"

// parse reads what git log prints: for each commit the format, and for each file of it the
// lines added, the lines deleted and the path; each ends with a NUL.
func parse(r io.Reader) iter.Seq2[commit, error] {
	return func(yield func(commit, error) bool) {
		var c commit
		begun := false
		done := func() bool {
			if !begun {
				return true
			}
			slices.SortFunc(c.files, func(a, b FileChanged) int { return strings.Compare(a.Path, b.Path) })
			c.Files = len(c.files)
			return yield(c, nil)
		}
		for in := bufio.NewReaderSize(r, 64<<10); ; {
			token, err := in.ReadString(0)
			if err == io.EOF && strings.TrimSpace(token) == "" {
				done()
				return
			}
			if err == nil {
				token = strings.TrimPrefix(token[:len(token)-1], "\n")
				if head, ok := strings.CutPrefix(token, "\x1e"); ok {
					if !done() {
						return
					}
					c, err = parseCommit(head)
					begun = true
				} else if begun {
					err = c.parseFile(token)
				} else {
					err = fmt.Errorf("gitlog: git log began with %q", token)
				}
			}
			if err != nil {
				yield(commit{}, err)
				return
			}
		}
	}
}

func parseCommit(head string) (commit, error) {
	f := strings.SplitN(strings.ToValidUTF8(head, "\uFFFD"), "\x1f", 4)
	if len(f) != 4 {
		return commit{}, fmt.Errorf("gitlog: git log printed a commit as %q", head)
	}
	when, err := time.Parse(time.RFC3339, f[1])
	if err != nil {
		return commit{}, fmt.Errorf("gitlog: the date of commit %s: %w", f[0], err)
	}
	const longest = 1 << 10 // bytes of a subject
	subject := f[3]
	if len(subject) > longest {
		subject = strings.ToValidUTF8(subject[:longest], "") + "…"
	}
	return commit{hash: f[0], Committed: Committed{Author: f[2], When: when, Subject: subject}}, nil
}

func (c *commit) parseFile(token string) error {
	f := strings.SplitN(strings.ToValidUTF8(token, "\uFFFD"), "\t", 3)
	if len(f) != 3 {
		return fmt.Errorf("gitlog: git log printed a file of commit %s as %q", c.hash, token)
	}
	e := FileChanged{Path: f[2], Author: c.Author, When: c.When}
	for i, n := range []*int{&e.Added, &e.Deleted} {
		if f[i] == "-" { // a binary file
			continue
		}
		var err error
		if *n, err = strconv.Atoi(f[i]); err != nil {
			return fmt.Errorf("gitlog: git log printed a file of commit %s as %q", c.hash, token)
		}
	}
	c.files = append(c.files, e)
	return nil
}
