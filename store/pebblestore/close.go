package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/riffle-go/riffle/store"
)

// defaultAbandonTimeout is how long Close of a failed store waits for write-side calls that
// are still inside the file system.
const defaultAbandonTimeout = 30 * time.Second

// Close implements store.Driver. What is in the queue is answered with ErrClosed or
// committed; reads in flight are waited for.
func (d *driver) Close() error {
	d.once.Do(func() { d.result = d.close() })
	return d.result
}

func (d *driver) close() error {
	d.end(store.ErrClosed)
	close(d.closing)
	d.notifier.close()
	select {
	case <-d.committed:
	case <-d.fuse.Failed():
	}
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	return d.orAbandon(func() error {
		d.helpers.Wait() // one of them may be asking Pebble for its numbers
		var err error
		if d.opts.Sync == SyncOff && !d.opts.ReadOnly {
			err = d.clearDirty()
		}
		if !d.opts.ReadOnly {
			err = errors.Join(err, d.db.Flush()) // or the next Open replays the log
		}
		return errors.Join(err, d.release())
	})
}

// orAbandon ends a Pebble with f, or leaves it behind when it has failed or fails in f;
// in the second case it says so, since nobody else would.
func (d *driver) orAbandon(f func() error) error {
	if d.failed() {
		return d.abandon()
	}
	err := d.unlessFailed(f)
	if d.failed() {
		return errors.Join(err, d.abandon())
	}
	return err
}

// abandon leaves a failed Pebble behind and frees the directory.
func (d *driver) abandon() error {
	ctx, cancel := context.WithTimeout(context.Background(), d.opts.abandonTimeout)
	defer cancel()
	if err := d.fuse.Abandon(ctx); err != nil {
		return fmt.Errorf("pebblestore: close %s after a failure: %w", d.dir, err)
	}
	return nil
}

func (d *driver) failed() bool {
	select {
	case <-d.fuse.Failed():
		return true
	default:
		return false
	}
}

// Failed implements store.Failer.
func (d *driver) Failed() <-chan struct{} { return d.fuse.Failed() }

// Err implements store.Failer.
func (d *driver) Err() error {
	if !d.failed() {
		return nil
	}
	return d.failure()
}

// failure is the error of a failed store. Damage speaks for itself: that a fuse has blown
// explains nothing, and another opening of the store would not help.
func (d *driver) failure() error {
	cause := d.fuse.Err()
	if damage, ok := errors.AsType[*store.CorruptError](cause); ok {
		cause = damage
	}
	return &store.FailedError{Cause: cause}
}

// writable says whether a write may be tried.
func (d *driver) writable() error {
	switch {
	case d.opts.ReadOnly:
		return fmt.Errorf("pebblestore: %s is open for reading only: %w", d.dir, store.ErrUnsupported)
	case d.failed():
		return d.failure()
	case d.life.Err() != nil:
		return store.ErrClosed
	case d.space != nil && d.space.Low():
		return store.ErrDiskFull
	}
	return nil
}

// enter begins a read of Pebble; leave ends it. Close waits in between.
func (d *driver) enter(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	d.mu.RLock()
	if d.closed {
		d.mu.RUnlock()
		return store.ErrClosed
	}
	return nil
}

func (d *driver) leave() { d.mu.RUnlock() }

// readError tells damage (a *store.CorruptError) from an error of the disk (a
// *store.ReadError). What is not there although something else in the store says so is
// damage too.
func (d *driver) readError(what string, key []byte, err error) error {
	at := d.dict.Load().place(key)
	if pebble.IsCorruptionError(err) || errors.Is(err, pebble.ErrNotFound) {
		return &store.CorruptError{What: what, Key: at, Err: plainDamage(err)}
	}
	return &store.ReadError{What: what, Key: at, Err: err}
}
