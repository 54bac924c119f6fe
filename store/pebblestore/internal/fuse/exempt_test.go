package fuse

import (
	"errors"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

func TestExemptErrorsPass(t *testing.T) {
	t.Parallel()
	for _, c := range calls {
		t.Run(string(c.op)+" "+c.path, func(t *testing.T) {
			t.Parallel()
			f, flt := setup(t, c.kind, errDisk)
			f.Arm()
			release := f.Exempt("./db/")
			defer release()
			call := c.make(t, f)
			flt.on.Store(true)
			if err := call(); !errors.Is(err, errDisk) {
				t.Errorf("got %v, want the error of the disk", err)
			}
			if err := f.Err(); err != nil {
				t.Errorf("the fuse has blown: %v", err)
			}
		})
	}
}

func TestExemptCallsReturnTheCauseAfterAFailure(t *testing.T) {
	t.Parallel()
	for _, c := range calls {
		t.Run(string(c.op)+" "+c.path, func(t *testing.T) {
			t.Parallel()
			f, _ := setup(t, c.kind, errDisk)
			f.Arm()
			defer f.Exempt("db")()
			call := c.make(t, f)
			f.Trip(errDisk)
			err := call()
			if c.op == OpClose {
				if err != nil {
					t.Errorf("Close = %v, want the file closed", err)
				}
				return
			}
			if !errors.Is(err, ErrBlown) || !errors.Is(err, errDisk) {
				t.Errorf("got %v, want the cause", err)
			}
		})
	}
}

func TestNearestDirectoryDecidesWhatIsExempt(t *testing.T) {
	t.Parallel()
	f := Wrap(vfs.NewMem())
	if err := f.MkdirAll("/data/db", 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Lock("/data/db/LOCK"); err != nil {
		t.Fatal(err)
	}
	releaseData := f.Exempt("/data")
	releaseNested := f.Exempt("/data/db/backups/1")
	releaseAgain := f.Exempt("/data/db/backups/1")
	releaseStore := f.Exempt("/data/db")

	check := func(path string, exempt bool) {
		t.Helper()
		if got := f.dirs.exempt(f.inner, path); got != exempt {
			t.Errorf("%s: exempt = %v, want %v", path, got, exempt)
		}
	}
	check("/data", true)
	check("/data/other/file", true)
	check("/data/database", true) // a name that only begins like the store's
	check("/data/db", false)
	check("/data/db/000001.sst", false)
	check("/data/db/backups/2/000001.sst", false)
	check("/data/x/../db", false)
	check("/data/db/backups/1", true)
	check("/data/db/./backups//1/000001.sst", true)
	check("/", false)
	check("relative", false)

	releaseAgain()
	releaseAgain()
	check("/data/db/backups/1", true) // one registration is left
	releaseNested()
	check("/data/db/backups/1", false)
	releaseStore()
	releaseData()
	check("/data/other/file", false)

	releaseWorking := f.Exempt("")
	check("relative", true)
	releaseWorking()
	check("relative", false)
}

func TestParentsOfAnExemptDirectoryMaySync(t *testing.T) {
	t.Parallel()
	f := Wrap(vfs.NewMem())
	for _, dir := range []string{"/data/db", "/mnt/backups"} {
		if err := f.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.Lock("/data/db/LOCK"); err != nil {
		t.Fatal(err)
	}
	release := f.Exempt("/mnt/backups/1")
	defer f.Exempt("/data/db/backups/1")()
	for path, want := range map[string]bool{
		"/":                true,
		"/mnt":             true,
		"/mnt/":            true,
		"/mnt/backups":     true,
		"/mnt/backups/1/x": false,
		"/mnt/backups/2":   false,
		"/data":            true,
		"/data/db":         false, // syncing the store's directory is the store's business
		"/data/db/backups": false,
	} {
		if got := f.dirs.aboveExempt(f.inner, path); got != want {
			t.Errorf("%s: above an exempt directory = %v, want %v", path, got, want)
		}
	}
	release()
	if f.dirs.aboveExempt(f.inner, "/mnt") {
		t.Error("/mnt is above an exempt directory when that is released")
	}
}

func TestDirectoriesInABackupMaySync(t *testing.T) {
	t.Parallel()
	f, flt := setup(t, errorfs.OpOpenDir, errDisk)
	if err := f.MkdirAll("backup/inner", 0o755); err != nil {
		t.Fatal(err)
	}
	f.Arm()
	defer f.Exempt("backup")()
	flt.on.Store(true)
	if _, err := f.OpenDir("backup/inner"); !errors.Is(err, errDisk) {
		t.Errorf("got %v, want the error of the disk", err)
	}
	if err := f.Err(); err != nil {
		t.Errorf("the fuse has blown: %v", err)
	}
}

func TestCallsOnTwoPathsAreExemptByWhatTheyChange(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind   errorfs.OpKind
		call   func(f *FS) error
		exempt bool
	}{
		"a link into the backup":     {errorfs.OpLink, func(f *FS) error { return f.Link("db/a", "backup/a") }, true},
		"a link out of the backup":   {errorfs.OpLink, func(f *FS) error { return f.Link("backup/a", "db/a") }, false},
		"a rename into the backup":   {errorfs.OpRename, func(f *FS) error { return f.Rename("db/a", "backup/a") }, false},
		"a rename out of the backup": {errorfs.OpRename, func(f *FS) error { return f.Rename("backup/a", "db/a") }, false},
		"a rename in the backup":     {errorfs.OpRename, func(f *FS) error { return f.Rename("backup/a", "backup/b") }, true},
		"a reuse out of the backup": {errorfs.OpReuseForWrite, func(f *FS) error {
			_, err := f.ReuseForWrite("backup/a", "db/c", category)
			return err
		}, false},
		"a reuse into the backup": {errorfs.OpReuseForWrite, func(f *FS) error {
			_, err := f.ReuseForWrite("db/a", "backup/c", category)
			return err
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, flt := setup(t, c.kind, syscall.EXDEV)
			f.Arm()
			defer f.Exempt("backup")()
			flt.on.Store(true)
			if !c.exempt {
				mustPark(t, f, name, func() { _ = c.call(f) })
				return
			}
			if err := c.call(f); !errors.Is(err, syscall.EXDEV) {
				t.Errorf("got %v, want the error of the disk", err)
			}
			if err := f.Err(); err != nil {
				t.Errorf("the fuse has blown: %v", err)
			}
		})
	}
}

func TestExemptCallsDoNotHoldUpAbandon(t *testing.T) {
	t.Parallel()
	g := newGate(errorfs.OpFileWrite)
	f, _ := locked(t, errorfs.Wrap(vfs.NewMem(), g))
	if err := f.MkdirAll("backup", 0o755); err != nil {
		t.Fatal(err)
	}
	defer f.Exempt("backup")()
	file := createFile(t, f, "backup/a")
	done := make(chan error)
	go func() {
		_, err := file.Write([]byte("slow"))
		done <- err
	}()
	receive(t, "the write", g.entered)
	f.Trip(errDisk)
	if err := f.Abandon(expired(t)); err != nil {
		t.Errorf("Abandon: %v", err)
	}
	close(g.open)
	if err := receive(t, "the write to return", done); err != nil {
		t.Errorf("the write = %v", err)
	}
}
