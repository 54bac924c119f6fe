package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// cacheSize suits a process that reads most blocks once.
const cacheSize = 64 << 20

// openReadOnly opens a store without changing anything in its directory.
func openReadOnly(dir string, stderr io.Writer) (*store.Store, error) {
	return open(dir, stderr, true)
}

func open(dir string, stderr io.Writer, readOnly bool) (*store.Store, error) {
	if err := checkDir(dir); err != nil {
		return nil, err
	}
	st, err := pebblestore.Open(dir, &pebblestore.Options{
		CacheSize: cacheSize,
		ReadOnly:  readOnly,
		Store:     store.Options{Name: dir, Logger: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))},
	})
	if err != nil {
		return nil, explain(dir, err)
	}
	return st, nil
}

// checkDir says what is wrong with a directory before anything tries to lock it, which
// would leave a file in it.
func checkDir(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s does not exist; name the directory of a store, the one the service opens", dir)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is a file; name the directory of a store, the one the service opens", dir)
	}
	desc, err := pebble.Peek(dir, vfs.Default)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return explain(dir, err)
	case err != nil && strings.Contains(err.Error(), "unknown format major version"): // Pebble has no error value for it
		return fmt.Errorf("%s: %w: a newer version of Riffle wrote it; use the riffle command of that version (%w)", dir, store.ErrIncompatible, err)
	case err != nil:
		return fmt.Errorf("%s cannot be read as a store: %w", dir, err)
	case !desc.Exists:
		return noStore(dir)
	}
	return nil
}

// noStore looks for what was probably meant.
func noStore(dir string) error {
	var near []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		sub := filepath.Join(dir, e.Name())
		if desc, err := pebble.Peek(sub, vfs.Default); e.IsDir() && err == nil && desc.Exists {
			near = append(near, sub)
		}
	}
	if len(near) > 0 {
		return fmt.Errorf("there is no store in %s, but there is in %s", dir, strings.Join(near, ", "))
	}
	return fmt.Errorf("there is no store in %s; name the directory that the service opens", dir)
}

// explain adds to an error of opening a store what to do about it.
func explain(dir string, err error) error {
	switch {
	case errors.Is(err, store.ErrLocked), strings.Contains(err.Error(), "resource temporarily unavailable"):
		return &lockedError{dir: dir, holder: lockHolder(filepath.Join(dir, "LOCK"))}
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s holds a Pebble database, but no Riffle store", dir)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w; run riffle as the user that owns the store, or look at a backup (reading locks the directory, which needs the right to write the file LOCK)", err)
	}
	return err
}

// lockedError says who has a directory open, and how to see the store nevertheless.
type lockedError struct {
	dir    string
	holder string // "" when it cannot be found out
}

func (e *lockedError) Error() string {
	by := "another process"
	if e.holder != "" {
		by = e.holder
	}
	return fmt.Sprintf(`%s is in use by %s, and only one process can have a store open.
Ask that service: its admin page and API show all of this for the live store, and riffle asks
them with --url, as in riffle subscriptions --url http://localhost:8080/admin.
Or stop it first. Or take a backup through it (admin page, or Store.Backup) and look at that.`, e.dir, by)
}

// Is matches store.ErrLocked.
func (*lockedError) Is(target error) bool { return target == store.ErrLocked }

// closing closes a store and keeps the first error.
func closing(st *store.Store, err error) error {
	if cerr := st.Close(); err == nil {
		return cerr
	}
	return err
}
