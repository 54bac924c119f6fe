package admin_test

import (
	"slices"
	"testing"

	"github.com/riffle-go/riffle/admin"
)

func TestTheStoreTellsWhatItTakesOnDisk(t *testing.T) {
	t.Parallel()
	b := filled(t, setupOptions{dir: t.TempDir(), idle: true})
	b.must(b.store.Sync(t.Context()))
	var v struct{ Disk *admin.Disk }
	b.get("api/v1/store").into(&v)
	if v.Disk == nil || v.Disk.Total == 0 || v.Disk.Free == 0 || len(v.Disk.Levels) != 7 {
		t.Fatalf("%+v", v.Disk)
	}
	if !slices.ContainsFunc(v.Disk.Spaces, func(s admin.DiskSpace) bool { return s.Space == "e" && s.What == "log of events" }) {
		t.Errorf("%+v", v.Disk.Spaces)
	}
}
