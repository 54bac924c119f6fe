package main

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync"
	"sync/atomic"
)

// faults is a driver whose COMMIT can fail: before it was carried out, or after, when only
// the answer is lost.
type faults struct {
	real   driver.Driver
	source string

	mu        sync.Mutex
	next      func() fault
	meanwhile func()

	commits atomic.Int64 // how many were tried
}

type fault int

const (
	none   fault = iota
	before       // nothing is committed
	after        // everything is, but nobody is told
)

var errCommit = errors.New("the connection was lost during COMMIT")

// set says what becomes of the next COMMITs; nil is nothing special.
func (f *faults) set(next func() fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = next
}

// once makes the next COMMIT fail, and then does something before anybody knows.
func (f *faults) once(how fault, meanwhile func()) {
	f.set(func() fault {
		f.set(nil)
		return how
	})
	f.meanwhile = meanwhile
}

func (f *faults) choose() fault {
	f.mu.Lock()
	next := f.next
	f.mu.Unlock()
	if next == nil {
		return none
	}
	return next()
}

// Driver is part of driver.Connector.
func (f *faults) Driver() driver.Driver { return f.real }

// Connect is part of driver.Connector.
func (f *faults) Connect(context.Context) (driver.Conn, error) {
	c, err := f.real.Open(f.source)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: c, faults: f}, nil
}

type connection struct {
	driver.Conn
	faults *faults
	broken bool // database/sql uses it for one call at a time
}

func (c *connection) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
	if err != nil {
		return nil, err
	}
	return &transaction{Tx: tx, connection: c}, nil
}

func (c *connection) ExecContext(ctx context.Context, q string, args []driver.NamedValue) (driver.Result, error) {
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, q, args)
}

func (c *connection) QueryContext(ctx context.Context, q string, args []driver.NamedValue) (driver.Rows, error) {
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, q, args)
}

func (c *connection) PrepareContext(ctx context.Context, q string) (driver.Stmt, error) {
	return c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, q)
}

func (c *connection) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.Conn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

func (c *connection) ResetSession(ctx context.Context) error {
	if c.broken {
		return driver.ErrBadConn
	}
	if r, ok := c.Conn.(driver.SessionResetter); ok {
		return r.ResetSession(ctx)
	}
	return nil
}

func (c *connection) IsValid() bool {
	if v, ok := c.Conn.(driver.Validator); ok && !v.IsValid() {
		return false
	}
	return !c.broken
}

type transaction struct {
	driver.Tx
	connection *connection
}

func (t *transaction) Commit() error {
	f := t.connection.faults
	f.commits.Add(1)
	how := f.choose()
	if how == none {
		return t.Tx.Commit()
	}
	t.connection.broken = true
	end := t.Tx.Commit
	if how == before {
		end = t.Tx.Rollback
	}
	err := errors.Join(errCommit, end())
	if f.meanwhile != nil {
		f.meanwhile()
	}
	return err
}
