package pebblestore

import (
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// injected returns fs with an injector in front. It fills a hole in errorfs, which injects
// nothing into the files of ReuseForWrite: recycled WALs, which after a while means every
// WAL.
func injected(fs vfs.FS, f func(errorfs.Op) error) vfs.FS {
	return &injectedFS{FS: errorfs.Wrap(fs, errorfs.InjectorFunc(f)), inject: f}
}

type injectedFS struct {
	*errorfs.FS
	inject func(errorfs.Op) error
}

func (x *injectedFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := x.FS.ReuseForWrite(oldname, newname, category)
	if err != nil {
		return nil, err
	}
	return errorfs.WrapFile(f, errorfs.InjectorFunc(func(op errorfs.Op) error {
		op.Path = newname // WrapFile knows none
		return x.inject(op)
	})), nil
}
