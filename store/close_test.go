package store_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

func TestEveryMethodIsClosedAfterClose(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	deposit(t, st, "a", 1)
	u := st.Subscriber(balances)
	l := claim(t, u)
	for range 2 {
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	worker := event.NewID()
	for name, f := range map[string]func() error{
		"Append":           func() error { _, err := st.Append(ctx); return err },
		"Import":           func() error { _, err := st.Import(ctx); return err },
		"Read":             func() error { _, err := st.Read(ctx, store.Query{}); return err },
		"Read bad query":   func() error { _, err := st.Read(ctx, store.Query{Limit: -1}); return err },
		"Events":           func() error { return failure(st.Events(ctx, store.Query{})) },
		"Event":            func() error { _, err := st.Event(ctx, 0); return err },
		"Has":              func() error { _, err := st.Has(ctx); return err },
		"Head":             func() error { _, err := st.Head(ctx); return err },
		"Wait":             func() error { _, err := st.Wait(ctx, 0); return err },
		"ResolveFrom":      func() error { _, err := st.ResolveFrom(ctx, store.Point{}); return err },
		"ResolveTo":        func() error { _, err := st.ResolveTo(ctx, store.Point{}); return err },
		"Stream":           func() error { _, err := st.Stream(ctx, event.Stream{}); return err },
		"Types":            func() error { _, err := st.Types(ctx); return err },
		"Streams":          func() error { return failure(st.Streams(ctx, "", store.Range{})) },
		"Sync":             func() error { return st.Sync(ctx) },
		"Backup":           func() error { return st.Backup(ctx, "") },
		"Verify":           func() error { return st.Verify(ctx, nil) },
		"Err":              st.Err,
		"Subscribers":      func() error { return failure(st.Subscribers(ctx)) },
		"State":            func() error { _, err := st.State(ctx, store.SnapshotKey{}); return err },
		"States":           func() error { return failure(st.States(ctx, "", 0, store.Range{})) },
		"DeleteStates":     func() error { return st.DeleteStates(ctx, "", 0) },
		"Snapshot":         func() error { _, err := st.Snapshot(ctx, store.SnapshotKey{}); return err },
		"SaveSnapshot":     func() error { return st.SaveSnapshot(ctx, store.Snapshot{}) },
		"DeleteSnapshots":  func() error { return st.DeleteSnapshots(ctx, "") },
		"Projection":       func() error { _, err := st.Projection(ctx, ""); return err },
		"Projections":      func() error { return failure(st.Projections(ctx)) },
		"SaveProjection":   func() error { _, err := st.SaveProjection(ctx, store.ProjectionRow{}); return err },
		"DeleteProjection": func() error { return st.DeleteProjection(ctx, "") },
		"Claim":            func() error { _, err := u.Claim(ctx, worker, time.Second); return err },
		"Takeover":         func() error { _, err := u.Takeover(ctx, worker, time.Second, time.Second); return err },
		"WaitFree":         func() error { return u.WaitFree(ctx) },
		"Info":             func() error { _, err := u.Info(ctx); return err },
		"Running":          func() error { _, err := u.Running(ctx, worker); return err },
		"Wish":             func() error { _, err := u.Wish(ctx); return err },
		"SetWish":          func() error { return u.SetWish(ctx, func(*store.Wish) error { return nil }) },
		"SetPaused":        func() error { return u.SetPaused(ctx, "") },
		"Rows":             func() error { return failure(u.Rows(ctx, store.Range{})) },
		"KeyRows":          func() error { return failure(u.KeyRows(ctx, "")) },
		"Rewind":           func() error { return u.Rewind(ctx, 0) },
		"ReleaseLease":     func() error { return u.ReleaseLease(ctx) },
		"Delete":           func() error { return u.Delete(ctx) },
		"Lease.Renew":      func() error { return l.Renew(ctx) },
		"Lease.Release":    func() error { return l.Release(ctx) },
		"Lease.Commit":     func() error { _, err := l.Commit(ctx, store.Commit{From: 1}); return err },
		"Primary":          func() error { _, err := st.Primary().Head(ctx); return err },
		"Merge":            func() error { _, err := store.Merge(st).Read(ctx, store.Query{}); return err },
	} {
		if err := f(); !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestCloseEndsThoseWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, _ := setup(t, memdriver.Options{})
		u := st.Subscriber(balances)
		claim(t, u)
		errs := make(chan error)
		waits := []func() error{
			func() error { _, err := st.Wait(t.Context(), 0); return err },
			func() error { _, err := st.Wait(t.Context(), 0, store.MatchTypes()...); return err },
			func() error { return u.WaitFree(t.Context()) },
			func() error { _, err := u.Takeover(t.Context(), event.NewID(), time.Hour, 10*time.Second); return err },
		}
		for _, f := range waits {
			go func() { errs <- f() }()
		}
		synctest.Wait()
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
		for range waits {
			wantError(t, <-errs, store.ErrClosed)
		}
	})
}

func TestCloseEndsTheSearchForAnOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, _ := setup(t, memdriver.Options{Faults: unknownTimes(1<<30, false)})
		errs := make(chan error)
		go func() {
			_, err := st.Append(t.Context(), someBatches(store.NoStream)...)
			errs <- err
		}()
		go func() { errs <- st.Subscriber(balances).SetPaused(t.Context(), "x") }()
		synctest.Wait() // both sleep before the next try
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			wantError(t, <-errs, store.ErrClosed)
		}
	})
}

// slow holds its Read until it is told to go on, and says when it is closed.
type slow struct {
	store.Driver
	entered, goOn chan struct{}
	closed        atomic.Bool
}

func (s *slow) Head(ctx context.Context) (store.Head, error) {
	s.entered <- struct{}{}
	<-s.goOn
	if s.closed.Load() {
		return store.Head{}, errors.New("the driver was closed under a call")
	}
	return s.Driver.Head(ctx)
}

func (s *slow) Close() error {
	if s.closed.Swap(true) {
		return errors.New("closed twice")
	}
	return s.Driver.Close()
}

func TestCloseWaitsForCallsAtWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &slow{Driver: memdriver.New(memdriver.Options{}), entered: make(chan struct{}), goOn: make(chan struct{})}
		st, err := store.New(d, nil)
		if err != nil {
			t.Fatal(err)
		}
		var calls, closes sync.WaitGroup
		for range 3 {
			calls.Go(func() {
				if _, err := st.Head(t.Context()); err != nil {
					t.Error(err)
				}
			})
			<-d.entered
		}
		for range 3 {
			closes.Go(func() {
				if err := st.Close(); err != nil {
					t.Error(err)
				}
				if !d.closed.Load() {
					t.Error("Close returned before the driver was closed")
				}
			})
		}
		synctest.Wait()
		if d.closed.Load() {
			t.Fatal("the driver was closed while calls were at work")
		}
		_, err = st.Head(t.Context())
		wantError(t, err, store.ErrClosed)
		close(d.goOn)
		calls.Wait()
		closes.Wait()
	})
}

func TestIteratorStopsAtClose(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	deposit(t, st, "a", store.DefaultPageSize+10)
	n := 0
	var last error
	for _, err := range st.Events(t.Context(), store.Query{}) {
		if last = err; err != nil {
			break
		}
		if n++; n == 1 {
			if err := st.Close(); err != nil { // from within: nothing is held
				t.Fatal(err)
			}
		}
	}
	wantError(t, last, store.ErrClosed)
	wantEqual(t, "events of the page", n, store.DefaultPageSize)
}

func TestCloseAmongAppendsAndReads(t *testing.T) {
	t.Parallel()
	st, d := setup(t, memdriver.Options{})
	var wg sync.WaitGroup
	var acknowledged atomic.Int64
	started := make(chan struct{}, 8)
	for range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				_, err := st.Append(t.Context(), store.Batch{Stream: accounts.Stream("a"), Expect: store.Any, Events: event.Of(deposited{})})
				if err == nil {
					acknowledged.Add(1)
					_, err = st.Read(t.Context(), store.Query{Limit: 1})
				}
				if errors.Is(err, store.ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				if i == 20 {
					started <- struct{}{}
				}
			}
		})
	}
	for range 8 {
		<-started
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	head, err := open(t, d.Reopen()).Head(t.Context())
	if err != nil || int64(head.Position) != acknowledged.Load() {
		t.Fatalf("%d events, %d acknowledged, %v", head.Position, acknowledged.Load(), err)
	}
}

func TestCloseReportsTheDriversError(t *testing.T) {
	t.Parallel()
	d := &slow{Driver: memdriver.New(memdriver.Options{})}
	d.closed.Store(true)
	st, err := store.New(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err == nil {
		t.Fatal("the error is lost")
	}
}
