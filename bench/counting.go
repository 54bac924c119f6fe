package main

import (
	"context"
	"errors"
	"reflect"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// counting is a store whose driver counts how often it is asked to read.
type counting struct {
	store *store.Store
	reads *atomic.Int64
}

// embedded is everything that the driver of an embedded store can do.
type embedded interface {
	store.Driver
	store.Leaser
	store.Catalog
	store.TimeSeeker
	store.Maintainer
	store.Syncer
	store.Failer
	store.Limiter
	store.Describer
}

// readCounter counts calls that read. Head and Wait are none: an embedded store answers
// them from memory.
type readCounter struct {
	embedded
	reads *atomic.Int64
}

func (c readCounter) Read(ctx context.Context, scan store.Scan) (store.ScanResult, error) {
	c.reads.Add(1)
	return c.embedded.Read(ctx, scan)
}

func (c readCounter) Stream(ctx context.Context, s event.Stream) (store.StreamInfo, error) {
	c.reads.Add(1)
	return c.embedded.Stream(ctx, s)
}

func (c readCounter) Get(ctx context.Context, key string) (store.Record, error) {
	c.reads.Add(1)
	return c.embedded.Get(ctx, key)
}

func (c readCounter) List(ctx context.Context, prefix, after string, limit int) ([]store.Record, error) {
	c.reads.Add(1)
	return c.embedded.List(ctx, prefix, after, limit)
}

func (c readCounter) PositionAt(ctx context.Context, t time.Time) (event.Position, error) {
	c.reads.Add(1)
	return c.embedded.PositionAt(ctx, t)
}

func (c readCounter) Types(ctx context.Context) ([]event.Type, error) {
	c.reads.Add(1)
	return c.embedded.Types(ctx)
}

func (c readCounter) Streams(ctx context.Context, a event.Aggregate, r store.Range) ([]event.Stream, error) {
	c.reads.Add(1)
	return c.embedded.Streams(ctx, a, r)
}

// openCounting opens a store and puts a counter between it and its driver.
func openCounting(dir string) (*counting, error) {
	st, err := openRiffle(dir, nil)
	if err != nil {
		return nil, err
	}
	d, err := driverOf(st)
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	c := &counting{reads: new(atomic.Int64)}
	o := st.Options()
	// The driver belongs to this store from now on; the one that opened it is left alone.
	if c.store, err = store.New(readCounter{d, c.reads}, &o); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return c, nil
}

// driverOf takes the driver out of a store. Programs cannot have it; a counter below the
// store has no other way in.
func driverOf(st *store.Store) (embedded, error) {
	field := reflect.ValueOf(st).Elem().FieldByName("driver")
	if !field.IsValid() || !field.CanAddr() {
		return nil, errors.New("this version of the store does not keep its driver as the one that this was written for")
	}
	d, ok := reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem().Interface().(embedded)
	if !ok {
		return nil, errors.New("the driver of the store cannot do what that of an embedded store can")
	}
	return d, nil
}
