// Package pebblestore keeps a [store.Store] in one directory on disk, in CockroachDB's
// Pebble, inside the process that uses it.
//
// # Writing
//
// Callers validate, encode and look versions up; one committing goroutine gathers what
// they send into a group, gives out positions, writes the group as one batch, waits until
// it is on disk, and only then publishes it: first new names, then the head, then the
// callers and the subscriptions. Readers stop at the head, so nobody ever acts on an
// event that a crash could take back.
//
// # Failure
//
// Below Pebble lies a fuse: the first write-side error of the disk latches it, and so does
// damage, whoever meets it, a read or Verify; a read that only fails does not. From
// then on nothing that Pebble does can be acknowledged. The process lives, every waiting
// caller gets [store.ErrFailed], later writes get it at once, and reads go on. Close gives
// the directory free, and it can be opened again in the same process. What a failed store
// leaves behind are the goroutines and the memory of the abandoned Pebble instance; a
// process that reopens after many failures should restart instead.
//
// Low disk space is not a failure: below Options.FreeSpace writes are answered with
// [store.ErrDiskFull] before Pebble sees them, and work again when there is space.
//
// # One process
//
// Pebble locks its directory: a second process, and a second Open in this one, gets
// [store.ErrLocked]. The lock is also why a crash frees every lease at once: whoever can
// open the directory knows that no other worker lives.
package pebblestore
