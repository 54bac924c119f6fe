package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/riffle-go/riffle/event"
)

// The driver's methods, each inside the gate and with its errors put right. The gate is
// held for one driver call only, never while code of the user runs.

func (c *core) commit(ctx context.Context, txn *Txn) (Result, error) {
	if err := c.enter(ctx); err != nil {
		return Result{}, err
	}
	defer c.gate.leave()
	res, err := c.driver.Commit(ctx, txn)
	return res, wrap("commit", err)
}

func (c *core) scan(ctx context.Context, d Driver, scan Scan) (ScanResult, error) {
	if err := c.enter(ctx); err != nil {
		return ScanResult{}, err
	}
	defer c.gate.leave()
	scan.Examine = c.limits.Examine
	res, err := d.Read(ctx, scan)
	if err != nil {
		return ScanResult{}, wrap("read", err)
	}
	for i := range res.Events {
		c.schema.Bind(&res.Events[i])
	}
	return res, nil
}

func (c *core) head(ctx context.Context, d Driver) (Head, error) {
	if err := c.enter(ctx); err != nil {
		return Head{}, err
	}
	defer c.gate.leave()
	h, err := d.Head(ctx)
	return h, wrap("head", err)
}

func (c *core) stream(ctx context.Context, d Driver, stream event.Stream) (StreamInfo, error) {
	if err := c.enter(ctx); err != nil {
		return StreamInfo{}, err
	}
	defer c.gate.leave()
	info, err := d.Stream(ctx, stream)
	return info, wrap("stream", err)
}

// get returns a record, or the zero Record with ok false.
func (c *core) get(ctx context.Context, key string) (r Record, ok bool, err error) {
	if err := c.enter(ctx); err != nil {
		return Record{}, false, err
	}
	defer c.gate.leave()
	r, err = c.driver.Get(ctx, key)
	switch {
	case errors.Is(err, ErrNotFound):
		return Record{}, false, nil
	case err != nil:
		return Record{}, false, wrap("get record", err)
	}
	return r, true, nil
}

func (c *core) list(ctx context.Context, prefix, after string, limit int) ([]Record, error) {
	if err := c.enter(ctx); err != nil {
		return nil, err
	}
	defer c.gate.leave()
	rs, err := c.driver.List(ctx, prefix, after, limit)
	return rs, wrap("list records", err)
}

// wrap says where an error of a driver came from, and leaves alone what callers know
// already.
func wrap(op string, err error) error {
	if err == nil || known(err) {
		return err
	}
	return fmt.Errorf("store: %s: %w", op, err)
}

func known(err error) bool {
	if _, ok := errors.AsType[*ReadError](err); ok {
		return true
	}
	for _, sentinel := range [...]error{
		ErrInvalid, ErrConflict, ErrIDReused, ErrNotFound, ErrClosed, ErrFailed, ErrDiskFull,
		ErrUnknown, ErrLocked, ErrIncompatible, ErrCorrupt, ErrHeld, ErrLeaseLost, ErrHistory,
		ErrUnsupported, ErrGuard, context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	return false
}
