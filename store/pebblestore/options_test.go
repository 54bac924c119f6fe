package pebblestore

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/riffle-go/riffle/store"
)

// TestBadOptionsAreReportedAtOnceAndCreateNothing: all of them, those of the store too.
func TestBadOptionsAreReportedAtOnceAndCreateNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "db")
	_, err := Open(dir, &Options{
		CacheSize: 1, Sync: 7, FreeSpace: -2,
		Store: store.Options{Name: "a\nb", Limits: store.Limits{EventBytes: 1 << 40, Examine: -1}},
	})
	if !errors.Is(err, store.ErrInvalid) {
		t.Fatalf("%v, want ErrInvalid", err)
	}
	for _, field := range []string{"CacheSize", "Sync", "FreeSpace", "Options.Name", "Options.Limits.EventBytes", "Options.Limits.Examine"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not reported: %v", field, err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory of a store that was not opened: %v", err)
	}
}
