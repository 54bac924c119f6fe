package fuse

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// idle is a file that does nothing, so that what is measured is the fuse.
type idle struct{ vfs.File }

func (idle) Write(p []byte) (int, error) { return len(p), nil }
func (idle) SyncData() error             { return nil }

// idleFS creates idle files.
type idleFS struct{ vfs.FS }

func (idleFS) Create(string, vfs.DiskWriteCategory) (vfs.File, error) { return idle{}, nil }

// BenchmarkWriteAndSync measures what the fuse adds to one write and one sync of the
// write-ahead log: compare direct with fused.
func BenchmarkWriteAndSync(b *testing.B) {
	fs := Wrap(idleFS{vfs.NewMem()})
	fs.Arm()
	for _, c := range []struct {
		name string
		fs   vfs.FS
	}{{"direct", idleFS{}}, {"fused", fs}} {
		b.Run(c.name, func(b *testing.B) {
			file, err := c.fs.Create("000001.log", category)
			if err != nil {
				b.Fatal(err)
			}
			p := make([]byte, 256)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := file.Write(p); err != nil {
					b.Fatal(err)
				}
				if err := file.SyncData(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
