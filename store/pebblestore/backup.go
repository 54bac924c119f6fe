package pebblestore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// backupMarker is the file that tells a backup from the store it was taken of.
const backupMarker = "RIFFLE-BACKUP"

// partialSuffix ends the name of a directory while a backup is made in it. One that is left
// over has no marker, and could be opened as the store itself; so nothing opens it.
const partialSuffix = ".partial"

// backupInfo is what the marker holds, for people.
type backupInfo struct {
	History event.ID       `json:"history"`
	Head    event.Position `json:"head"` // at the start; the backup holds at least this much
	Time    time.Time      `json:"time"`
}

// Backup implements store.Maintainer: it copies the store, as of now or a little later,
// into a directory that must not exist yet. Appends go on meanwhile. Files are linked
// where the file system can, so a backup on the same disk costs little at first. Backups
// are made one after the other: two to one directory would take each other's files away.
// One is made also while free space is low.
//
// It is made in dir.partial, which is removed first if it is left over from a crash, and
// after a failure; dir is there when it is whole. If dir.partial holds anything else, the
// backup is refused.
//
// A copy may hold events that the source has not made durable, and could lose and number
// anew. So the copy carries a marker, and opening it gives it a new History: cursors of
// the source are refused by it.
func (d *driver) Backup(ctx context.Context, dir string) (err error) {
	if err := d.writable(); err != nil && !errors.Is(err, store.ErrDiskFull) {
		return err
	}
	select {
	case d.backups <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-d.closing:
		return store.ErrClosed
	case <-d.fuse.Failed():
		return d.failure()
	}
	defer func() { <-d.backups }()
	if err := d.enter(ctx); err != nil {
		return err
	}
	defer d.leave()
	if dir == "" {
		return &store.InvalidError{Field: "dir", Reason: "empty; name a directory that does not exist"}
	}
	if isPartial(d.fuse, dir) {
		return &store.InvalidError{Field: "dir", Reason: fmt.Sprintf("%s ends in %s, as unfinished backups do; name another", dir, partialSuffix)}
	}
	if _, err := d.fuse.Stat(dir); err == nil {
		return &store.InvalidError{Field: "dir", Reason: fmt.Sprintf("%s exists already; name a directory that does not", dir)}
	}
	info := backupInfo{History: d.history, Head: event.Position(d.head.Load().position), Time: d.now().UTC()}
	done := make(chan error, 1)
	go func() { done <- d.copyTo(dir, info) }()
	select {
	case err = <-done:
	case <-d.fuse.Failed(): // the goroutine may never end now
		return d.failure()
	}
	if err != nil {
		return fmt.Errorf("pebblestore: backup to %s: %w", dir, err)
	}
	return nil
}

// copyTo makes the copy beside dir and renames it when it has its marker, so that a crash
// never leaves one in dir that would pass for the store itself.
func (d *driver) copyTo(dir string, info backupInfo) (err error) {
	dir = d.fuse.PathJoin(dir)
	partial := dir + partialSuffix
	defer d.fuse.Exempt(dir)()
	defer d.fuse.Exempt(partial)()
	if err := d.leftOver(partial); err != nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil { // how Pebble tells that a file of the copy cannot be synced
			err = fmt.Errorf("panic: %v", p)
		}
		if err != nil {
			err = errors.Join(err, d.fuse.RemoveAll(partial))
		}
	}()
	if err := d.fuse.RemoveAll(partial); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := d.db.Checkpoint(partial, pebble.WithFlushedWAL()); err != nil {
		return err
	}
	if err := d.writeBackupMarker(partial, info); err != nil {
		return err
	}
	if err := d.fuse.Rename(partial, dir); err != nil {
		return err
	}
	if err := d.syncDir(d.fuse.PathDir(dir)); err != nil { // a crash could take it away again
		return errors.Join(err, d.fuse.RemoveAll(dir))
	}
	return nil
}

// madeByBackups are the names of files in a copy.
var madeByBackups = regexp.MustCompile(`^(\d+(-\d+)?\.(sst|log|blob)|(MANIFEST|OPTIONS|CURRENT|marker|temporary)[-.].+|CURRENT|` + backupMarker + `)$`)

// leftOver refuses a directory that holds anything but what backups make: it will be removed.
func (d *driver) leftOver(partial string) error {
	names, err := d.fuse.List(partial)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, name := range names {
		if !madeByBackups.MatchString(name) {
			return &store.InvalidError{Field: "dir", Reason: fmt.Sprintf("%s is where the backup would be made, but holds %q, which no backup left there; move it away, or name another directory", partial, name)}
		}
	}
	return err
}

func isPartial(fs vfs.FS, dir string) bool {
	return strings.HasSuffix(fs.PathJoin(dir), partialSuffix)
}

func (d *driver) writeBackupMarker(dir string, info backupInfo) error {
	text, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return err
	}
	f, err := d.fuse.Create(d.fuse.PathJoin(dir, backupMarker), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return d.syncDir(dir)
}

func (d *driver) syncDir(dir string) error {
	f, err := d.fuse.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d *driver) hasBackupMarker() (bool, error) {
	f, err := d.fuse.Open(d.fuse.PathJoin(d.dir, backupMarker))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = io.Copy(io.Discard, f)
	return true, errors.Join(err, f.Close())
}

// removeBackupMarker comes after the new History is durable: a crash in between rotates
// it once more, which harms nobody.
func (d *driver) removeBackupMarker() error {
	if err := d.fuse.Remove(d.fuse.PathJoin(d.dir, backupMarker)); err != nil {
		return err
	}
	return d.syncDir(d.dir)
}
