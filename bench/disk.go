package main

import (
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// disk is a file system that counts what is written, by kind of file, and can make every
// sync take longer, as slow disks do.
type disk struct {
	vfs.FS
	syncDelay time.Duration

	wal    atomic.Int64 // bytes written to write-ahead logs
	tables atomic.Int64 // bytes written to sstables, by flushes and compactions
	other  atomic.Int64
	syncs  atomic.Int64 // that a caller waited for
}

func newDisk(syncDelay time.Duration) *disk { return &disk{FS: vfs.Default, syncDelay: syncDelay} }

// written is everything written so far.
func (d *disk) written() int64 { return d.wal.Load() + d.tables.Load() + d.other.Load() }

func (d *disk) counter(name string) *atomic.Int64 {
	switch filepath.Ext(name) {
	case ".log":
		return &d.wal
	case ".sst":
		return &d.tables
	}
	return &d.other
}

func (d *disk) wrap(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &diskFile{File: f, disk: d, written: d.counter(name)}, nil
}

func (d *disk) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.Create(name, category)
	return d.wrap(name, f, err)
}

func (d *disk) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.ReuseForWrite(oldname, newname, category)
	return d.wrap(newname, f, err)
}

func (d *disk) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := d.FS.OpenReadWrite(name, category, opts...)
	return d.wrap(name, f, err)
}

func (d *disk) OpenDir(name string) (vfs.File, error) {
	f, err := d.FS.OpenDir(name)
	return d.wrap(name, f, err)
}

func (d *disk) Unwrap() vfs.FS { return d.FS }

type diskFile struct {
	vfs.File
	disk    *disk
	written *atomic.Int64
}

func (f *diskFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.written.Add(int64(n))
	return n, err
}

func (f *diskFile) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(p, off)
	f.written.Add(int64(n))
	return n, err
}

func (f *diskFile) Sync() error {
	f.delay()
	return f.File.Sync()
}

func (f *diskFile) SyncData() error {
	f.delay()
	return f.File.SyncData()
}

func (f *diskFile) delay() {
	f.disk.syncs.Add(1)
	if f.disk.syncDelay > 0 {
		time.Sleep(f.disk.syncDelay)
	}
}
