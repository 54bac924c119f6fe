// Package fuse makes a Pebble store fail closed.
//
// Pebble handles a failing disk in several ways, and few of them suit a
// library that lives in somebody else's process: a write-ahead log that cannot
// be written ends in Logger.Fatalf, one that cannot be rotated ends in a panic
// that cannot be recovered, a table that cannot be written is tried again
// without pause while every writer waits. FS stands between Pebble and its
// file system and leaves Pebble only one failure to handle: a disk that hangs.
//
// # States
//
//	           Arm             first failure, Trip
//	[passing] -----> [armed] ----------------------> [blown]
//	    |                                               |
//	    +------------------ Trip ---------------------->| Abandon
//	                                                    v
//	                                               [abandoned]
//
// What each state means:
//
//   - Passing: the state while pebble.Open runs. Errors reach Pebble as they
//     are, so that Open can return them.
//   - Armed: the first write-side call that fails blows the fuse and does not
//     return. No success that the disk did not give can be acknowledged.
//   - Blown: Failed is closed, Err tells why. Every write-side call, running or
//     new, blocks for ever; this includes the calls that remove or reuse files,
//     since they could hit files that a reopened store needs. Reads go on.
//   - Abandoned: no write-side call is running and none can start; the LOCK is
//     free and the directory can be opened again, through a new FS.
//
// Write-side are Create, Link, Remove, RemoveAll, Rename, ReuseForWrite,
// MkdirAll, OpenReadWrite and OpenDir, and on files Write, WriteAt, Preallocate,
// Sync, SyncData, SyncTo, and Close of a file that was opened for writing.
// Everything else is read-side: it is forwarded in every state, and its errors
// are returned and change nothing.
//
// # Failure
//
// Two errors are passed on although the call is write-side, because Pebble
// makes the call knowing that it may fail this way and stays correct: a file to
// remove that does not exist, and a Preallocate that the file system does not
// support. A full disk is a failure like any other.
//
// Operations in directories registered with Exempt return their errors and
// never blow the fuse: a full backup disk must not stop a store. Once the fuse
// is blown they return its error, because what they would copy is no longer
// trustworthy; they do not block. DB.Checkpoint reports some failures to sync its
// destination by a panic in the goroutine that called it, so that goroutine must
// recover.
//
// Callers that wait for Pebble must also wait for Failed:
//
//	select {
//	case err := <-done:
//	case <-fs.Failed():
//	}
//
// A blown fuse says nothing about a write that was waiting: it may or may not be
// on disk. After the fuse has blown the owner must not call DB.Close, Flush,
// Metrics, NewSnapshot or Checkpoint, which may hang; Get and NewIter work.
//
// # What a blown fuse costs
//
// A blocked goroutine never ends. It keeps what it refers to: the abandoned
// pebble.DB with its memtables, its share of the block cache and its open file
// descriptors. Parked tells how many goroutines are blocked here; behind them
// wait the callers of writes and Pebble's own background goroutines, one of which
// wakes ten times a second to look for work. Reopening in the same process is
// therefore meant for rare failures: each one costs about the memory of one open
// store until the process ends.
//
// # Where it belongs
//
// FS must be the outermost wrapper, the one that pebble.Options.FS holds.
// Wrappers that measure, such as vfs.WithDiskHealthChecks, belong inside it, or
// they report blocked calls as slow ones for ever. Pebble adds that wrapper
// itself only when Options.FS is nil.
package fuse
