package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/riffle-go/riffle/cmd/riffle/internal/display"
	"github.com/riffle-go/riffle/event"
)

// backupMarker is the file that makes a directory a backup that was not restored yet.
const backupMarker = "RIFFLE-BACKUP"

func newBackup() *cobra.Command {
	var check bool
	c := &cobra.Command{
		Use:   "backup DIR DEST",
		Short: "Copy a store into a new directory",
		Long: `Copy a store into a directory that does not exist yet. On the same file system its tables
are linked, not copied, so keep backups that count on another disk.

To restore a backup, let the service open it, or a copy of it. It then gets a new history, and
cursors of the original are refused by it. To copy a backup that was never opened, use cp.

The store is opened for writing, as its service would, but only if it has the layout of this
version of Riffle: a backup upgrades nothing.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("%s takes two arguments, the directory of a store and one that does not exist yet; it got %d", c.CommandPath(), len(args))
			}
			return nil
		},
		ValidArgsFunction: completeDirs,
	}
	format := formatFlag(c)
	c.Flags().BoolVar(&check, "verify", false, "check the whole copy afterwards, as riffle verify does")
	c.RunE = func(c *cobra.Command, args []string) error {
		r, err := backup(c.Context(), args[0], args[1], c.ErrOrStderr())
		if err != nil {
			return err
		}
		if check {
			v, err := verify(c.Context(), args[1], c.ErrOrStderr())
			if err != nil {
				return fmt.Errorf("the copy was made but could not be checked: %w", err)
			}
			if r.Verified = v.OK; !v.OK {
				fmt.Fprintf(c.ErrOrStderr(), "riffle: the copy %s is damaged, as the store probably is; run riffle verify on both\n", args[1])
				return errors.Join(v.write(c.OutOrStdout(), *format), errReported)
			}
		}
		return r.write(c.OutOrStdout(), *format)
	}
	return c
}

// backupReport is the result of backup.
type backupReport struct {
	Dir      string         `json:"dir"`
	Dest     string         `json:"dest"`
	Head     event.Position `json:"head"`
	History  event.ID       `json:"history"`
	Bytes    uint64         `json:"bytes"`
	Seconds  float64        `json:"seconds"`
	Verified bool           `json:"verified"`
}

func backup(ctx context.Context, dir, dest string, stderr io.Writer) (backupReport, error) {
	r := backupReport{Dir: dir, Dest: dest}
	if err := checkDest(dir, dest); err != nil {
		return r, err
	}
	// Opened for reading first, so that nothing of an older or newer layout is touched.
	st, err := openReadOnly(dir, stderr)
	if err != nil {
		return r, err
	}
	head, err := st.Head(ctx)
	if err = closing(st, err); err != nil {
		return r, err
	}
	if _, err := os.Stat(filepath.Join(dir, backupMarker)); err == nil {
		return r, fmt.Errorf("%s is itself a backup that was never opened; copy it with cp -r, for opening it would give it a new history", dir)
	}
	progress := display.NewProgress(stderr, "backup", display.Bytes, "")
	defer progress.Clear()
	total, err := dirSize(dir)
	if err != nil {
		return r, err
	}
	if st, err = open(dir, stderr, false); err != nil {
		return r, err
	}
	r.Head, r.History = head.Position, head.History
	err = watch(func() error { return st.Backup(ctx, dest) }, func() {
		if n, err := copiedSize(dest); err == nil {
			progress.Update(min(n, total), total)
		}
	})
	if err = closing(st, err); err != nil {
		return r, err
	}
	r.Seconds = progress.Elapsed().Seconds()
	r.Bytes, err = dirSize(dest)
	return r, err
}

// checkDest says what is wrong with a destination before anything is opened.
func checkDest(dir, dest string) error {
	if _, err := os.Lstat(dest); err == nil {
		return fmt.Errorf("%s exists already; name a directory that does not", dest)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	from, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	to, err := filepath.Abs(dest)
	if err != nil {
		return err
	}
	if rel, err := filepath.Rel(from, to); err == nil && filepath.IsLocal(rel) {
		return fmt.Errorf("%s lies inside of the store %s; name a directory elsewhere", dest, dir)
	}
	return nil
}

// watch runs a job and looks at it now and then until it ends.
func watch(job func() error, look func()) error {
	done := make(chan error, 1)
	go func() { done <- job() }()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-ticker.C:
			look()
		}
	}
}

// copiedSize is how much of a copy there is. While it is made it lies beside dest, under
// a name that begins like it.
func copiedSize(dest string) (uint64, error) {
	entries, err := os.ReadDir(filepath.Dir(dest))
	if err != nil {
		return 0, err
	}
	var sum uint64
	for _, e := range entries {
		if name := e.Name(); name == filepath.Base(dest) || strings.HasPrefix(name, filepath.Base(dest)+".partial") {
			n, err := dirSize(filepath.Join(filepath.Dir(dest), name))
			if err != nil {
				return 0, err
			}
			sum += n
		}
	}
	return sum, nil
}

func (r *backupReport) write(w io.Writer, format display.Format) error {
	if format == display.JSON {
		return display.WriteJSON(w, r)
	}
	checked := "; check it with riffle verify " + shellQuote(r.Dest)
	if r.Verified {
		checked = "; the copy is whole"
	}
	_, err := fmt.Fprintf(w, "copied %s to %s: %s, %s, in %s%s\n", r.Dir, r.Dest, display.Plural(uint64(r.Head), "event"),
		display.Bytes(r.Bytes), time.Duration(r.Seconds*float64(time.Second)).Round(time.Millisecond), checked)
	return err
}
