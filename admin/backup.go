package admin

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// backupsView is what lies in Options.BackupDir.
type backupsView struct {
	Enabled bool         `json:"enabled"` // there is a directory for backups
	Running bool         `json:"running"`
	Items   []backupView `json:"items"` // the latest, at most 100
	Total   int          `json:"total"`
	Error   *errorView   `json:"error"` // why they cannot be listed
}

// backupView is a backup; its directory is named so.
type backupView struct {
	Name  string    `json:"name"`
	Time  time.Time `json:"time"`  // when it was begun
	Bytes int64     `json:"bytes"` // of its files, which it may share with the store by links
}

const (
	mostBackups = 100
	backupTime  = "20060102T150405.000Z"
	// backupFor bounds a backup. It cannot be stopped, only left alone.
	backupFor = 30 * time.Minute
)

// makeBackup copies the store into a new directory, whose name nobody outside can choose.
func (h *Handler) makeBackup(ctx context.Context) (*backupView, error) {
	if h.options.BackupDir == "" {
		return nil, problemOf(http.StatusForbidden, "no-backup-dir", "Backups are switched off",
			"the program gave no admin.Options.BackupDir to make them in")
	}
	select {
	case h.backup <- struct{}{}:
		defer func() { <-h.backup }()
	default:
		p := problemOf(http.StatusConflict, "busy", "A backup is being made", "wait until it is done")
		p.retry = true
		return nil, p
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), backupFor)
	defer cancel()
	now := time.Now().UTC()
	v := &backupView{Name: h.backupPrefix() + now.Format(backupTime), Time: now.Truncate(time.Millisecond)}
	dir := filepath.Join(h.options.BackupDir, v.Name)
	if err := h.store.Backup(ctx, dir); err != nil {
		return nil, err
	}
	v.Bytes = sizeOf(dir)
	return v, nil
}

// backupPrefix is the name of the store, as far as it is safe in the name of a directory.
func (h *Handler) backupPrefix() string {
	safe := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			return r
		}
		return '-'
	}, h.store.Options().Name)
	return strings.Trim(cut(safe, 60), "-…") + "-"
}

// backups lists the backups of this store, the latest first. A directory that does not exist
// has none.
func (h *Handler) backups() backupsView {
	v := backupsView{Enabled: h.options.BackupDir != "", Running: len(h.backup) > 0, Items: []backupView{}}
	if !v.Enabled {
		return v
	}
	entries, err := os.ReadDir(h.options.BackupDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		if pe, ok := errors.AsType[*fs.PathError](err); ok {
			err = pe.Err // where the directory is concerns nobody here
		}
		v.Error = errorOf(err)
		return v
	}
	for _, e := range entries {
		stamp, ours := strings.CutPrefix(e.Name(), h.backupPrefix())
		if t, err := time.Parse(backupTime, stamp); ours && err == nil && e.IsDir() {
			v.Items = append(v.Items, backupView{Name: e.Name(), Time: t})
		}
	}
	slices.SortFunc(v.Items, func(a, b backupView) int {
		return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(a.Name, b.Name))
	})
	v.Total = len(v.Items)
	v.Items = v.Items[:min(v.Total, mostBackups)]
	for i := range v.Items {
		v.Items[i].Bytes = sizeOf(filepath.Join(h.options.BackupDir, v.Items[i].Name))
	}
	return v
}

// sizeOf adds up the files of a backup. What cannot be seen counts nothing.
func sizeOf(dir string) (bytes int64) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
	}
	return bytes
}
